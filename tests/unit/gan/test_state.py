import pytest
import torch

from gancli.errors import CheckpointError
from gancli.gan.state import Meter, Trained, load_strictly


def copies(tensors):
    return {group: {name: value.clone() for name, value in members.items()} for group, members in tensors.items()}


def test_a_restored_state_plays_on_exactly(make_game):
    one, two = make_game(arch={"dropout": 0.3}), make_game(arch={"dropout": 0.3})
    for k in range(3):
        report = one.trainer.step(k / 9)
        one.state.meters["epoch"].add(report)
    two.state.restore(copies(one.state.tensors()), one.state.counters())
    for game in (one, two):
        for k in range(3, 6):
            game.state.meters["epoch"].add(game.trainer.step(k / 9))
    first, second = one.state.tensors(), two.state.tensors()
    assert first.keys() == second.keys()
    for group, members in first.items():
        assert list(members) == list(second[group])
        assert all(torch.equal(value, second[group][name]) for name, value in members.items()), group
    assert one.state.counters() == two.state.counters()
    assert one.state.meters["epoch"].means() == two.state.meters["epoch"].means()


def test_moments_come_back_in_the_layout_of_their_parameter(make_game):
    """Fused optimisers go through memory, and would update the wrong weights."""

    def conv_network():
        torch.manual_seed(0)
        network = torch.nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)
        return Trained(network, torch.optim.Adam(network.parameters(), lr=0.1, fused=True))

    def train(trained, step):
        trained.network(torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(step))).sum().backward()
        trained.optimizer.step()
        trained.optimizer.zero_grad()

    states = []
    for _ in range(2):
        state = make_game().state
        state.trained["generator"] = conv_network()
        states.append(state)
    one, two = states
    train(one.trained["generator"], 0)
    stored = {group: {name: value.contiguous() for name, value in tensors.items()} for group, tensors in one.tensors().items()}
    two.restore(stored, one.counters())
    for state in states:
        train(state.trained["generator"], 1)
    assert torch.equal(one.trained["generator"].network.weight, two.trained["generator"].network.weight)


def test_moments_are_keyed_by_network_and_parameter(make_game):
    game = make_game()
    game.trainer.step(0.0)
    optim = game.state.tensors()["optim"]
    assert "generator/hidden.0.weight/exp_avg" in optim
    assert "discriminator/output.bias/exp_avg_sq" in optim
    assert "generator/output.bias/step" in optim


def test_before_the_first_step_there_are_no_moments(make_game):
    assert make_game().state.tensors()["optim"] == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_F34_a_value_that_is_not_finite_is_named(make_game, value):
    game = make_game()
    game.trainer.step(0.0)
    assert game.state.non_finite() is None
    with torch.no_grad():
        game.generator.output.bias[0] = value
    assert game.state.non_finite() == "generator/output.bias"


def test_F34_moments_are_looked_at_too(make_game):
    game = make_game()
    game.trainer.step(0.0)
    parameter = game.discriminator.output.bias
    game.state.trained["discriminator"].optimizer.state[parameter]["exp_avg_sq"].fill_(float("inf"))
    assert game.state.non_finite() == "optim/discriminator/output.bias/exp_avg_sq"


def test_F15_a_foreign_checkpoint_names_at_most_five_differences(make_game):
    game, other = make_game(), make_game(arch={"generator_widths": (8, 8, 8, 8)})
    with pytest.raises(CheckpointError, match=r"(?s)^The generator does not fit: (.*?;){4}[^;]* and \d+ more\."):
        game.state.restore(copies(other.state.tensors()), other.state.counters())


def test_F15_a_shape_or_type_that_differs_is_named_with_both():
    network = torch.nn.Linear(2, 2)
    with pytest.raises(CheckpointError, match=r"weight is torch.float32 \(3, 2\), not torch.float32 \(2, 2\)"):
        load_strictly(network, {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, "generator")
    with pytest.raises(CheckpointError, match=r"weight is torch\.float64"):
        load_strictly(network, {"weight": torch.zeros(2, 2, dtype=torch.float64), "bias": torch.zeros(2)}, "generator")


def test_F15_moments_of_an_unknown_parameter_are_refused(make_game):
    game = make_game()
    game.trainer.step(0.0)
    tensors = copies(game.state.tensors())
    tensors["optim"]["generator/nobody/exp_avg"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"generator/nobody/exp_avg"):
        game.state.restore(tensors, game.state.counters())


def test_a_meter_means_what_came_in():
    meter = Meter()
    for value in (1.0, 2.0, 6.0):
        meter.add({"loss": torch.tensor(value)})
    meter.add({"r1": torch.tensor(5.0)})
    assert meter.means() == {"loss": 3.0, "r1": 5.0}
    meter.reset()
    assert meter.means() == {}
