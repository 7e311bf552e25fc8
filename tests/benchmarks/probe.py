"""What the probe costs: `python tests/benchmarks/probe.py`. Target: under 3 % of an epoch of the default run."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import torch

from gancli.quality.probe import Probe
from gancli.settings import resolve
from gancli.training.setup import set_up

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, STEPS = 7, 40


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Steps and measurements in turn."""
    game = set_up(resolve(environment={}).config)
    probe = Probe.for_data(game.data.name, game.data.images.images)
    assert probe is not None
    generator, latent_dim = game.state.players["generator"].network, game.config.model.latent_dim
    latents = torch.randn(probe.count, latent_dim, generator=torch.Generator().manual_seed(0))
    steps, draws, measurements = [], [], []

    @torch.no_grad()
    def draw() -> list[torch.Tensor]:
        return [generator(z) for z in latents.split(256)]

    for _ in range(ROUNDS):
        steps += [seconds(lambda: game.trainer.step(0.1)) for _ in range(STEPS)]
        draws.append(seconds(draw))
        pictures = draw()
        measurements.append(seconds(lambda: probe.measure(pictures)))  # noqa: B023  (called at once)
    step, drawn, measured = map(statistics.median, (steps, draws, measurements))
    epoch = game.plan.steps_per_epoch
    print(f"step     {step * 1e3:7.1f} ms  (median of {len(steps)})")
    print(f"draw     {drawn * 1e3:7.1f} ms  ({probe.count:,} pictures, median of {len(draws)})")
    print(f"measure  {measured * 1e3:7.1f} ms  (median of {len(measurements)})")
    print(f"share    {(drawn + measured) / (drawn + measured + epoch * step):7.2%}     of an epoch of {epoch} steps")


if __name__ == "__main__":
    main()
