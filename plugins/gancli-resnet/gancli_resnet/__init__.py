"""Residual networks without normalisation as a plugin of gancli, in the manner of R3GAN (Huang et al., 2024).

Sizes: the image is halved, rounding up, until its shorter side is 4 to 7 pixels (30 -> 15 -> 8 -> 4). Resampling has no
weights of its own, so that no size needs a special case. This module is light; torch is imported by
``gancli_resnet.networks``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from gancli.plugin import ArchConfig, Architecture, Networks, Purpose

if TYPE_CHECKING:
    from gancli.plugin import Defaults, ImageSpec

__all__ = ["ResNet", "ResNetConfig", "resolutions"]

SMALLEST, LARGEST = 8, 256
"""Shortest and longest side, in pixels."""

LARGEST_BASE = 7
"""Images are halved until the shorter side is no longer than this."""


class ResNetConfig(ArchConfig):
    """Options of the residual architecture."""

    channels: int = Field(4, ge=2, le=1024, description="channels at full resolution")
    growth: int = Field(4, ge=1, le=8, description="factor by which channels grow whenever the size is halved")
    max_channels: int = Field(256, ge=4, le=4096, description="no resolution has more channels than this")
    blocks: int = Field(1, ge=1, le=16, description="residual blocks per resolution, in each network")
    expansion: int = Field(2, ge=1, le=8, description="hidden channels of a block, as a multiple of its outer ones")
    group_size: int = Field(
        16,
        ge=1,
        le=4096,
        description="channels per group of a block's 3x3 convolution; hidden channels are rounded up to whole groups",
    )
    negative_slope: float = Field(0.2, ge=0, le=1, description="slope of LeakyReLU for negative inputs")
    class_dim: int = Field(32, ge=1, le=4096, description="dimensions of the generator's class embedding (conditional models)")


class ResNet(Architecture[ResNetConfig]):
    """Residual blocks of grouped convolutions, bilinear resampling between them, and no normalisation anywhere."""

    api = 1
    summary = "Residual blocks without normalisation (R3GAN, Huang et al., 2024)"
    Config = ResNetConfig
    defaults: ClassVar[Defaults] = {
        "objective.name": "relativistic",
        "objective.penalty_interval_steps": 4,  # the paper's 1 doubles the cost of a step
        "train.batch_size": 64,
        "train.epochs": 10,
    }
    purpose = Purpose("residual networks take images of any size", rank=5, resized_to=(128, 256), images=300_000)

    def supports(self, config: ResNetConfig, image: ImageSpec) -> str | None:  # noqa: ARG002  (the size alone decides)
        """None if both sides are 8 to 256 pixels long, else the reason."""
        if all(SMALLEST <= side <= LARGEST for side in (image.height, image.width)):
            return None
        return f"It makes sides of {SMALLEST} to {LARGEST} pixels: scale the images to a size between."

    def build(self, config: ResNetConfig, image: ImageSpec, latent_dim: int) -> Networks:
        """Both networks, freshly initialised.

        Raises:
            ValueError: the size is not supported.
        """
        if reason := self.supports(config, image):
            raise ValueError(f"No images of {image}. {reason}")
        from gancli_resnet.networks import ResNetDiscriminator, ResNetGenerator

        return Networks(ResNetGenerator(config, image, latent_dim), ResNetDiscriminator(config, image))


def resolutions(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of the feature maps, the image's own first: halved, rounding up, until the shorter side is 4 to 7.

    >>> resolutions(28, 28)
    [(28, 28), (14, 14), (7, 7)]
    >>> resolutions(30, 50)
    [(30, 50), (15, 25), (8, 13), (4, 7)]
    """
    sizes = [(height, width)]
    while min(sizes[-1]) > LARGEST_BASE:
        height, width = -(-height // 2), -(-width // 2)
        sizes.append((height, width))
    return sizes
