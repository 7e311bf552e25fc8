"""Updates that are recorded once and then replayed (CUDA graphs), where that computes the same.

A GPU has computed a small step before Python has asked for it. So what an update asks of the device is recorded once for each
kind of update, by the loss terms that are due, and from then on launched as a whole. A recording repeats places and numbers,
and runs no Python. Whatever changes from step to step therefore has a place of its own on the device, which is filled before
each replay: latents, images and conditions, the numbers of the augmentation, the factor of penalties, learning rates, the
weight of the EMA. Dropout and the like take their numbers from the device's generator, whose seed belongs to the update: that
is why not the step is recorded but each of its updates, and the EMA.

Whether that computes the same is tried before the training begins, in a rehearsal from which no trace is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from torch import Tensor

from gancli.gan.compilation import kinds_of_steps, reason_of
from gancli.runtime.graphs import GRAPHS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from gancli.data import Watch
    from gancli.gan.trainer import Trainer

    Report = dict[str, Tensor]
    Compute = Callable[..., Report]
    Run = Callable[[Hashable, Compute, Sequence["Tensor | float"], "Noise"], Report]

SAME = 0.05
"""Largest difference of the weights after the rehearsal, as a fraction of how far they moved: rounding, but no other noise."""


@dataclass(frozen=True, slots=True)
class Noise:
    """The randomness of an update: ``seed(k)`` seeds that of the networks for micro-batch k, ``uniform()`` begins all other."""

    seed: Callable[[int], object]
    uniform: Callable[[], Callable[..., Tensor]]
    NONE: ClassVar[Self]


Noise.NONE = Noise(lambda _: None, lambda: torch.rand)


def as_written(kind: Hashable, compute: Compute, inputs: Sequence[Tensor | float], noise: Noise) -> Report:  # noqa: ARG001  (the same kind is computed anew)
    """Computes what it is given, step by step."""
    return compute(noise, *inputs)


class Captured:
    """Replays what it is given: the first of each kind is computed as written, the second recorded, and from then on replayed.

    Recordings hold addresses of weights and moments, so that restoring a state discards them.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._state, self._device = trainer.state, trainer.runtime.device
        self._restored = -1

    def __call__(self, kind: Hashable, compute: Compute, inputs: Sequence[Tensor | float], noise: Noise) -> Report:
        """What ``compute(noise, *inputs)`` returns, which may depend on nothing else that changes but the state's tensors."""
        if self._restored != self._state.restored:
            self._restored, self._graphs = self._state.restored, GRAPHS[self._device.type](self._device)
            self._shapes: dict[Hashable, list[tuple[int, ...]]] = {}
            self._recorded: dict[Hashable, tuple[list[Tensor], Report, Callable[[], object]]] = {}
        noise.seed(0)
        if kind not in self._shapes:
            shapes = self._shapes[kind] = []
            placed = [self._place(value) for value in inputs]
            return self._graphs.warm_up(lambda: compute(_observed(noise, shapes), *placed))
        shapes = self._shapes[kind]
        numbers = noise.uniform() if shapes else torch.rand
        values = [*inputs, *(numbers(*shape) for shape in shapes)]
        if kind not in self._recorded:
            places = [self._place(value) for value in values]
            rest = iter(places[len(inputs) :])
            given = Noise(lambda _: None, lambda: lambda *_: next(rest))
            result, replay = self._graphs.record(lambda: compute(given, *places[: len(inputs)]))
            self._recorded[kind] = places, result, replay
        places, result, replay = self._recorded[kind]
        for place, value in zip(places, values, strict=True):
            place.copy_(value) if isinstance(value, torch.Tensor) else place.fill_(value)
        replay()
        return {name: value.clone() for name, value in result.items()}

    def _place(self, value: Tensor | float) -> Tensor:
        """A tensor of its own for a value that changes."""
        return value.clone() if isinstance(value, Tensor) else torch.full((), value, device=self._device)


def _observed(noise: Noise, shapes: list[tuple[int, ...]]) -> Noise:
    """The same noise, whose shapes are noted."""

    def uniform() -> Callable[..., Tensor]:
        numbers = noise.uniform()

        def noted(*shape: int) -> Tensor:
            shapes.append(shape)
            return numbers(*shape)

        return noted

    return Noise(noise.seed, uniform)


def capture_updates(trainer: Trainer, watch: Watch) -> str:
    """Let the trainer replay its updates, if that computes the same; returns why it does not, else nothing.

    The same steps, three of each kind, are taken as they are written and then captured, both from the state as it is now.
    """
    rules, state, device = trainer.rules, trainer.state, trainer.runtime.device
    if device.type not in GRAPHS:
        return f"the device is {device.type}, and graphs are recorded on {' or '.join(GRAPHS)}"
    if trainer.micro_batches.count > 1:
        return "the batch is divided, and each part of it has a seed of its own"
    if rules.burn_in and rules.beta2_start is not None:
        return "train.beta2_start moves a number that optimisers take from the host"
    reason, start = "", _weights(trainer)
    try:
        written = _rehearsed(trainer, watch)
        for trained in state.trained.values():
            trained.set_capturable(device)
        trainer.run = Captured(trainer)
        for name, captured in _rehearsed(trainer, watch).items():
            apart, moved = (torch.linalg.vector_norm(written[name] - other) for other in (captured, start[name]))
            if not apart <= SAME * moved:
                reason = reason or f"after replayed steps the weights of {name} are {float(apart / moved):.0%} of their way off"
    except Exception as error:  # noqa: BLE001  (whatever a device, or its driver, fails with)
        reason = reason_of(error)
    if reason:
        trainer.run = as_written
        for trained in state.trained.values():
            trained.set_capturable(None)
    return reason


def _rehearsed(trainer: Trainer, watch: Watch) -> dict[str, Tensor]:
    """The weights after three steps of each kind at different learning rates, which are undone."""
    period = math.lcm(*(term.every for update in trainer.updates for term in update.losses))
    steps = [first + k * period for k in range(3) for first in kinds_of_steps(trainer.updates)]
    with trainer.state.undone():
        for done, trainer.state.step in enumerate(steps):
            watch("rehearsing steps", done, len(steps))
            trainer.step(0.3 + 0.3 * done / len(steps))
        return _weights(trainer)


def _weights(trainer: Trainer) -> dict[str, Tensor]:
    """All numbers of each network, one after the other."""
    networks = trainer.state.stored_networks().items()
    return {name: torch.cat([value.flatten().float() for value in each.state_dict().values()]) for name, each in networks}
