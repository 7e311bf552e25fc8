"""Checks of an optimiser: it moves weights at the learning rate of the step, and its state is stored exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from gancli.gan.state import Average, Trained, TrainingState
from gancli.plugin import Optimizer
from gancli.plugins.registry import OPTIMIZERS
from gancli.storage.tensors import decode, encode
from gancli_kit.checks import Check, Rules, fail
from gancli_kit.description import IDENTITY, LOADING, OPTIONS
from gancli_kit.subject import Subject, differing, states

if TYPE_CHECKING:
    from torch import Tensor

_RATE, _BETAS = 1e-2, (0.5, 0.99)


class OptimizerSubject(Subject[Optimizer]):
    """An optimiser, which is its own options model."""

    registry = OPTIMIZERS
    section = "train.optimizer"

    def training(self) -> TrainingState:
        """A network of a matrix, a vector and a convolution, to be trained by it."""
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(12, 2))
        optimizer = self.config.build(network.parameters(), _RATE, _BETAS)
        return TrainingState({"generator": Trained(network, optimizer)}, {"generator": Average(network)})


RULES = Rules()


def _steps(state: TrainingState, numbers: range, rate: float = _RATE) -> dict[str, Tensor]:
    """The state after steps that depend on nothing but their numbers."""
    trained = state.trained["generator"]
    for number in numbers:
        images = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(number))
        trained.optimizer.zero_grad()
        (trained.network(images) - 1).square().mean().backward()
        trained.set_rates(rate, _BETAS)
        trained.optimizer.step()
    return {**states({"generator": trained.network}), **state.tensors()["optim"]}


@RULES.check(needs="options-round-trip")
def builds_optimiser(subject: OptimizerSubject) -> None:
    """build() returns a torch optimiser, of parameters or of groups of them
    Why: Each network has its own; architectures may give groups with factors of the learning rate.
    Fix: Pass `parameters` on to the optimiser as they are.
    """
    one, other = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))
    for given in ([one, other], [{"params": [one]}, {"params": [other], "lr_scale": 0.1}]):
        optimizer = subject.config.build(given, _RATE, _BETAS)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise fail(f"build() returns {type(optimizer).__name__}, not a torch.optim.Optimizer.")
        found = [weight for group in optimizer.param_groups for weight in group["params"]]
        if {id(weight) for weight in found} != {id(one), id(other)}:
            raise fail(f"It optimises {len(found)} of 2 parameters.")
        if isinstance(given[-1], dict) and optimizer.param_groups[-1].get("lr_scale") != given[-1]["lr_scale"]:
            raise fail("A group's `lr_scale` is lost.")


@RULES.check(needs="builds-optimiser")
def learning_rate(subject: OptimizerSubject) -> None:
    """Weights move at the learning rate of the step, and stay at a rate of 0
    Why: Schedules set 'lr' in the parameter groups before each step; gancli's warm-up, decay and dry runs rely on it.
    Fix: Read group['lr'] in step(), and let every movement be a multiple of it, weight decay included.
    """
    before = states({"generator": subject.training().networks["generator"]})
    for rate in (0.0, _RATE):
        after = _steps(subject.training(), range(2), rate)
        moved = [name for name, value in before.items() if not torch.equal(value, after[name])]
        if rate == 0.0 and moved:
            raise fail(f"At a learning rate of 0 it moves {moved[0]}.")
        if rate and len(moved) < len(before):
            raise fail(f"At a learning rate of {rate} it moves {len(moved)} of {len(before)} parameters.")


@RULES.check(needs="builds-optimiser")
def exact_state(subject: OptimizerSubject) -> None:
    """Its state is stored and restored in the same bits
    Why: gancli promises that a resumed run ends in the same bits.
    Fix: Keep state per parameter in self.state, in tensors and numbers only; keep nothing else that changes.
    """
    whole, halved, fresh = (subject.training() for _ in range(3))
    _steps(halved, range(3))
    tensors = {name: decode(encode(group), name) for name, group in halved.tensors().items()}
    fresh.restore(tensors, halved.counters())
    if name := differing(_steps(whole, range(6)), _steps(fresh, range(3, 6))):
        raise fail(f"{name} ends in other bits when the training is stopped and resumed.")


OPTIMIZER_CHECKS: tuple[Check, ...] = (*LOADING, *IDENTITY, *OPTIONS, *RULES)
"""Every check of an optimiser; each comes after those that it needs."""
