"""The optimisers in the package: their options reach torch, and their state survives a checkpoint bit for bit."""

import pytest
import torch
from torch import nn

from gancli.gan.optimizers import SGD, Adam, AdamW, RMSprop
from gancli.gan.state import Average, Trained, TrainingState

MADE = [
    Adam(),
    Adam(betas=(0.5, 0.9), eps=1e-6),
    AdamW(weight_decay=0.1),
    RMSprop(momentum=0.5),
    SGD(),
    SGD(momentum=0.9, nesterov=True),
]


def state_of(optimizer):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    trained = Trained(network, optimizer.build(network.parameters(), 0.1, (0.0, 0.99)))
    return TrainingState({"generator": trained}, {"generator": Average(network)})


def step(state, number):
    trained = state.trained["generator"]
    trained.set_rates(0.1 / (number + 1), (0.0, 0.9 + number / 100))
    trained.network(torch.full((2, 3), float(number + 1))).square().sum().backward()
    trained.optimizer.step()
    trained.optimizer.zero_grad()


@pytest.mark.parametrize("optimizer", MADE, ids=str)
def test_a_restored_optimiser_goes_on_in_the_same_bits(optimizer):
    whole, fresh = state_of(optimizer), state_of(optimizer)
    for number in range(3):
        step(whole, number)
    stored = {group: {name: value.clone() for name, value in tensors.items()} for group, tensors in whole.tensors().items()}
    fresh.restore(stored, whole.counters())
    for state in (whole, fresh):
        for number in range(3, 6):
            step(state, number)
    for group, tensors in whole.tensors().items():
        assert all(torch.equal(value, fresh.tensors()[group][name]) for name, value in tensors.items()), group


def test_betas_of_its_own_do_not_follow_the_schedule():
    fixed, following = state_of(Adam(betas=(0.5, 0.9))), state_of(Adam())
    for state in (fixed, following):
        state.trained["generator"].set_rates(0.5, (0.1, 0.2))
    betas = [state.trained["generator"].optimizer.param_groups[0]["betas"] for state in (fixed, following)]
    assert betas == [(0.5, 0.9), (0.1, 0.2)]


def test_a_group_may_learn_more_slowly():
    network = nn.Linear(2, 2)
    groups = [{"params": [network.weight]}, {"params": [network.bias], "lr_scale": 0.01}]
    trained = Trained(network, SGD().build(groups, 0.1, (0.0, 0.99)))
    trained.set_rates(0.5, (0.0, 0.99))
    assert [group["lr"] for group in trained.optimizer.param_groups] == [0.5, 0.005]


def test_numbers_and_other_types_in_the_state_come_back_as_they_were():
    state, fresh = state_of(SGD()), state_of(SGD())
    weight = state.trained["generator"].network[0].weight
    state.trained["generator"].optimizer.state[weight] = {
        "count": 3,
        "rate": 0.25,
        "sum": torch.ones((), dtype=torch.float64),
        "none": None,
    }
    fresh.restore(state.tensors(), state.counters())
    found = fresh.trained["generator"].optimizer.state[fresh.trained["generator"].network[0].weight]
    assert (found["count"], type(found["count"]), found["rate"]) == (3, int, 0.25)
    assert found["sum"].dtype == torch.float64
    assert "none" not in found
