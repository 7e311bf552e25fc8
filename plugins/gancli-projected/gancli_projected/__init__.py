"""Projected GAN (Sauer et al., 2021, "Projected GANs Converge Faster") as a plugin of gancli, and the extractor ``lite``.

The discriminator looks at images through EfficientNet-Lite0, pretrained and frozen; the generator is FastGAN's (Liu et al.,
2021), without its noise. The extractor's network is EfficientNet-Lite1, so that no model is measured by the features that it
was trained against. This module is light; torch is imported by the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from gancli.plugin import ArchConfig, Architecture, FeatureExtractor, Networks, Purpose
from gancli_projected.weights import LITE0, LITE1, asset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from gancli.plugin import Asset, Defaults, ImageSpec

__all__ = ["Lite", "Projected", "ProjectedConfig"]

SMALLEST, LARGEST = 32, 256
"""Shortest and longest side, in pixels."""


class ProjectedConfig(ArchConfig):
    """Options of Projected GAN."""

    channels: int = Field(32, ge=4, le=512, description="channels of G at full resolution; doubled whenever the size is halved")
    max_channels: int = Field(512, ge=4, le=2048, description="no layer of G has more channels than this")
    projected_channels: int = Field(
        64, ge=4, le=1024, description="channels of the randomly mixed features, at each resolution"
    )
    head_channels: int = Field(64, ge=4, le=1024, description="channels of D's four heads")
    class_dim: int = Field(32, ge=1, le=4096, description="dimensions of the generator's class embedding (conditional models)")


class Projected(Architecture[ProjectedConfig]):
    """Frozen pretrained features, mixed by fixed random projections; one small trained head at each of four resolutions."""

    api = 2
    summary = "Frozen pretrained features as discriminator (Projected GAN, Sauer et al., 2021)"
    Config = ProjectedConfig
    defaults: ClassVar[Defaults] = {
        "objective.name": "hinge",
        "objective.r1_gamma": 0,
        "objective.r2_gamma": 0,
        "train.batch_size": 32,
        "train.learning_rate": 2e-4,
        "train.learning_rate_decay": 0.2,
        "train.ema_halflife_images": 10_000,
        "train.images": 300_000,
    }
    purpose = Purpose(
        "pretrained features learn from few images, on a GPU",
        rank=20,
        sides=(64, 2**31),
        gpu=True,
        resized_to=(64, 256),
        images=300_000,
    )

    def supports(self, config: ProjectedConfig, image: ImageSpec) -> str | None:  # noqa: ARG002  (the size alone decides)
        """None if both sides can be halved until the shorter one is 4 to 7 pixels."""
        if halvings(image) is not None:
            return None
        return (
            f"A base whose shorter side is 4 to 7 pixels is doubled, up to sides of {SMALLEST} to {LARGEST}, which never gives "
            f"{image}."
        )

    def assets(self, config: ProjectedConfig) -> Sequence[Asset]:  # noqa: ARG002  (always the same)
        """EfficientNet-Lite0."""
        return (asset(LITE0),)

    def build(self, config: ProjectedConfig, image: ImageSpec, latent_dim: int) -> Networks:
        """Generator and heads, freshly initialised; the frozen features and their random projections."""
        from gancli_projected.efficientnet import pretrained
        from gancli_projected.networks import Heads, Projection

        generator = self.build_generator(config, image, latent_dim)
        features, projection = pretrained(LITE0), Projection(config)
        return Networks(generator, Heads(features, projection, config, image), {"features": features, "projection": projection})

    def build_generator(self, config: ProjectedConfig, image: ImageSpec, latent_dim: int) -> nn.Module:
        """The generator alone, which needs no features."""
        from gancli_projected.networks import FastGenerator

        if (times := halvings(image)) is None:
            raise ValueError(self.supports(config, image))
        return FastGenerator(config, image, latent_dim, times)


class Lite(FeatureExtractor):
    """EfficientNet-Lite1's last two feature maps, each averaged over the image."""

    api = 2
    summary = "EfficientNet-Lite1, trained on ImageNet: sees objects and textures in colour"
    for_colour = True

    def assets(self) -> Sequence[Asset]:
        """EfficientNet-Lite1."""
        return (asset(LITE1),)

    def build(self, tell: Callable[[str], None]) -> nn.Module:  # noqa: ARG002  (nothing is downloaded)
        """Images ``(n, c, h, w)`` in [-1, 1] -> features ``(n, 432)``."""
        from gancli_projected.efficientnet import pretrained
        from gancli_projected.networks import Pooled

        return Pooled(pretrained(LITE1))


def halvings(image: ImageSpec) -> int | None:
    """How often both sides are halved until the shorter one is 4 to 7 pixels, or None.

    >>> from gancli.plugin import ImageSpec
    >>> [halvings(ImageSpec(3, side, side)) for side in (28, 30, 32, 64, 96, 256)]
    [None, None, 3, 4, 4, 6]
    """
    sides = image.height, image.width
    times = min(sides).bit_length() - 3
    fits = all(SMALLEST <= side <= LARGEST and side % 2**times == 0 for side in sides)
    return times if fits else None
