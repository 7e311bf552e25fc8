"""What is done once per epoch, against the epoch: steps and chores of the default run in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interleave import Spread, in_turn, show, taken

from gancli.config.resolve import resolve
from gancli.training.setup import set_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gancli.training.setup import Training

ROUNDS, STEPS = 9, 40


def default_game() -> Training:
    """That of `gancli train --dataset mnist`."""
    return set_up(resolve(environment={}).config)


def share(game: Training, chores: Mapping[str, Callable[[], object]]) -> Spread:
    """The part of an epoch, chores included, that they take; prints what each of them takes."""

    def steps() -> float:
        return taken(lambda: [game.step() for _ in range(STEPS)]) / STEPS

    steps()
    works = {"step": steps, **{name: lambda chore=chore: taken(chore) for name, chore in chores.items()}}
    times = in_turn(works, ROUNDS)
    show(times, "step")
    sums = [sum(one) for one in zip(*(times[name] for name in chores), strict=True)]
    epochs = [game.plan.steps_per_epoch * step for step in times["step"]]
    return Spread.of(extra / (extra + epoch) for extra, epoch in zip(sums, epochs, strict=True))
