"""An architecture in one file: gancli train --arch ./examples/my_arch.py:Tiny -s arch.width=256"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from gancli.plugin import ArchConfig, Architecture, Defaults, ImageSpec, Networks

if TYPE_CHECKING:
    from torch import nn


class TinyConfig(ArchConfig):
    """What a user may choose."""

    width: int = Field(128, ge=1, le=8192, description="units of the hidden layer of each network")


class Tiny(Architecture[TinyConfig]):
    """One hidden layer each."""

    api = 2
    summary = "One hidden layer each"
    Config = TinyConfig
    defaults: ClassVar[Defaults] = {"train.learning_rate": 1e-3}

    def supports(self, config: TinyConfig, image: ImageSpec) -> str | None:  # noqa: ARG002  (the width does not matter)
        """Unconditional models only."""
        return "Tiny knows no classes: leave out --conditional." if image.classes else None

    def build(self, config: TinyConfig, image: ImageSpec, latent_dim: int) -> Networks:
        """Latent -> width -> pixels, and pixels -> width -> one logit."""
        from torch import nn

        pixels = image.channels * image.height * image.width

        def network(inputs: int, outputs: int, *end: nn.Module) -> nn.Sequential:
            return nn.Sequential(nn.Linear(inputs, config.width), nn.LeakyReLU(0.2), nn.Linear(config.width, outputs), *end)

        generator = network(latent_dim, pixels, nn.Tanh(), nn.Unflatten(1, image.shape))
        discriminator = nn.Sequential(nn.Flatten(), network(pixels, 1), nn.Flatten(0))
        return Networks(generator, discriminator)
