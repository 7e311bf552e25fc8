"""What a training step costs, architecture against architecture: `python tests/benchmarks/steps.py dense dcgan resnet`.

Each argument is an architecture, with settings behind it if need be: "resnet objective.penalty_interval_steps=1". The steps
are taken in turn, with one thread, and counted in the processor's time, which other programs change little. A round is 8
steps, so that penalties that are due at every 2nd, 4th or 8th step have their share.
"""

from __future__ import annotations

import sys
import time

import torch
from interleave import in_turn, ratio, show
from report import Row, conclude

from gancli.config.resolve import resolve
from gancli.training.setup import Training, set_up

ROUNDS, STEPS = 4, 8


def game(case: str) -> Training:
    """MNIST with that architecture."""
    arch, *settings = case.split()
    return set_up(resolve(assignments=[f"arch.name={arch}", "runtime.device=cpu", *settings], environment={}).config)


def seconds(game: Training) -> float:
    """CPU time of a step, on average over a round."""
    start = time.process_time()
    for _ in range(STEPS):
        game.trainer.step(0.1)
    return (time.process_time() - start) / STEPS


def main(cases: list[str]) -> list[Row]:
    """A round each, in turn; per real image, relative to the first case."""
    torch.set_num_threads(1)
    games = {case: game(case) for case in cases}
    works = {case: lambda one=one: seconds(one) / one.config.train.batch_size for case, one in games.items()}
    for one in games.values():
        one.trainer.step(0.1)  # warm up
    times = in_turn(works, ROUNDS)
    show(times, cases[0])
    return [
        Row.of(f"a image's share of a step of {case} against {cases[0]}: times as long", ratio(times, case, cases[0]), ".1f")
        for case in cases[1:]
    ]


if __name__ == "__main__":
    conclude(main(sys.argv[1:] or ["dense", "dcgan"]))
