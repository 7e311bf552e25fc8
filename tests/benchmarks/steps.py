"""What a training step costs, architecture against architecture: `python tests/benchmarks/steps.py dense dcgan resnet`.

Each argument is an architecture, with settings behind it if need be: "resnet objective.penalty_interval_steps=1". The steps
are taken in turn, with one thread, and counted in the processor's time, which other programs change little. A round is 8
steps, so that penalties that are due at every 2nd, 4th or 8th step have their share.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from gancli.settings import resolve
from gancli.training.setup import Game, set_up

ROUNDS, STEPS = 4, 8


def game(case: str) -> Game:
    """MNIST with that architecture."""
    arch, *settings = case.split()
    return set_up(resolve(assignments=[f"arch.name={arch}", "runtime.device=cpu", *settings], environment={}).config)


def milliseconds(game: Game) -> float:
    """CPU time of a step, on average over a round."""
    start = time.process_time()
    for _ in range(STEPS):
        game.trainer.step(0.1)
    return (time.process_time() - start) / STEPS * 1e3


def main(cases: list[str]) -> None:
    """A round each, in turn; medians, per step and per real image, relative to the first case."""
    torch.set_num_threads(1)
    games = {case: game(case) for case in cases}
    times: dict[str, list[float]] = {case: [] for case in cases}
    for one in games.values():
        one.trainer.step(0.1)  # warm up
    for _ in range(ROUNDS):
        for case, one in games.items():
            times[case].append(milliseconds(one))
    per_image = {case: statistics.median(times[case]) / one.config.train.batch_size for case, one in games.items()}
    width = max(map(len, cases))
    print(f"{'':{width}} {'batch':>6} {'ms/step':>8} {'ms/image':>9} {'ratio':>6}   ({ROUNDS} rounds of {STEPS} steps)")
    for case, one in games.items():
        batch, ratio = one.config.train.batch_size, per_image[case] / per_image[cases[0]]
        print(f"{case:{width}} {batch:6} {statistics.median(times[case]):8.1f} {per_image[case]:9.3f} {ratio:6.2f}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["dense", "dcgan"])
