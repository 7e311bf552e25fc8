"""What the probe costs: `python tests/benchmarks/probe.py`. Target: under 3 % of an epoch of the default run."""

from __future__ import annotations

import torch
from epoch import default_game, share
from report import Row, conclude

from gancli.metrics.probe import Probe


def main() -> list[Row]:
    """Steps, draws and measurements in turn."""
    game = default_game()
    probe = Probe.for_data(game.data.name, game.data.images.images)
    assert probe is not None
    generator, latent_dim = game.state.trained["generator"].network, game.config.model.latent_dim
    latents = torch.randn(probe.count, latent_dim, generator=torch.Generator().manual_seed(0))

    @torch.no_grad()
    def draw() -> list[torch.Tensor]:
        return [generator(z) for z in latents.split(256)]

    images = draw()
    taken = share(game, {f"draw {probe.count:,}": draw, "measure them": lambda: probe.measure(images)})
    return [Row.of("measuring the distance after an epoch, against the epoch", taken, ".1%", at_most=0.03)]


if __name__ == "__main__":
    conclude(main())
