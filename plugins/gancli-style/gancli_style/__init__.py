"""StyleGAN2 (Karras et al., 2020, "Analyzing and Improving the Image Quality of StyleGAN") at small scale.

As published: a mapping network, modulated and demodulated convolutions, noise inputs, skip outputs in the generator, a
residual discriminator with minibatch standard deviation, equalised learning rates, style mixing, lazy R1 and lazy path
length regularisation. Smaller than published: channels and mapping depth, so that 28 and 32 pixels train on a CPU.

This module is light; torch is imported by ``gancli_style.networks``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from gancli.plugin import ArchConfig, Architecture, Defaults, LossTerm, Networks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gancli.plugin import ImageSpec, Objective, Update

__all__ = ["Style", "StyleConfig"]

SMALLEST, LARGEST = 16, 256
"""Shortest and longest side, in pixels."""


class StyleConfig(ArchConfig):
    """Options of the style-based architecture."""

    channels: int = Field(16, ge=4, le=512, description="channels at full resolution")
    growth: int = Field(2, ge=1, le=8, description="factor by which channels grow whenever the size is halved")
    max_channels: int = Field(128, ge=4, le=2048, description="no resolution has more channels than this")
    discriminator_channels: int | None = Field(
        None, ge=4, le=512, description="channels of the discriminator at full resolution; none: as channels"
    )
    upsampling: Literal["bilinear", "transposed"] = Field(
        "bilinear",
        description="doubling in the generator: interpolation before a convolution, or, as published, a transposed "
        "convolution and a filter, at a third of the cost",
    )
    w_dim: int = Field(64, ge=4, le=1024, description="dimensions of w")
    mapping_layers: int = Field(4, ge=1, le=16, description="layers of the mapping network; 8 as published")
    mapping_lr_scale: float = Field(0.01, gt=0, le=1, description="factor of the mapping network's learning rate")
    mixing: float = Field(0.9, ge=0, le=1, description="probability of style mixing while training")
    path_length_weight: float = Field(2.0, ge=0, le=1e3, description="weight of path length regularisation; 0: off")
    path_length_interval: int = Field(4, ge=1, le=1000, description="updates of G per evaluation of the path length")
    group_size: int = Field(4, ge=1, le=64, description="images per group of the minibatch standard deviation")
    class_dim: int = Field(32, ge=1, le=4096, description="dimensions of the class embedding (conditional models)")


class Style(Architecture[StyleConfig]):
    """A style-based generator against a residual discriminator."""

    api = 2
    summary = "Style-based generator (StyleGAN2, Karras et al., 2020)"
    Config = StyleConfig
    defaults: ClassVar[Defaults] = {
        "model.latent_dim": 64,
        "objective.name": "relativistic",
        "objective.r1_gamma": 2.0,
        "objective.r2_gamma": 2.0,
        "objective.penalty_interval_steps": 4,
        # The plain defaults of these are what runs of 0.1 did. A CPU wants few channels where there are many pixels.
        "arch.channels": 8,
        "arch.growth": 4,
        "arch.max_channels": 64,
        "arch.discriminator_channels": 4,
        "arch.upsampling": "transposed",
        "arch.mapping_lr_scale": 0.1,
        "arch.mixing": 0.5,
        "arch.path_length_weight": 0.0,
        "train.batch_size": 16,
        "train.learning_rate": 4e-3,
        "train.images": 300_000,
        "train.ema_halflife_images": 10_000,
    }

    def supports(self, config: StyleConfig, image: ImageSpec) -> str | None:  # noqa: ARG002  (the size alone decides)
        """None if both sides can be halved until the shorter one is 4 to 7 pixels."""
        if _halvings(image) is not None:
            return None
        return (
            f"A base whose shorter side is 4 to 7 pixels is doubled, up to sides of {SMALLEST} to {LARGEST}, which never gives "
            f"{image}."
        )

    def build(self, config: StyleConfig, image: ImageSpec, latent_dim: int) -> Networks:
        """Both networks, freshly initialised."""
        from torch import channels_last

        from gancli_style.networks import StyleDiscriminator, StyleGenerator

        halvings = _halvings(image)
        if halvings is None:
            raise ValueError(self.supports(config, image))
        networks = Networks(StyleGenerator(config, image, latent_dim, halvings), StyleDiscriminator(config, image, halvings))
        for network in (networks.generator, networks.discriminator):
            network.to(memory_format=channels_last)  # type: ignore[call-overload]  # torch's stubs do not know the argument
        return networks

    def updates(
        self,
        config: StyleConfig,
        objective: Objective,  # noqa: ARG002  (its losses are in the two updates)
        discriminator: Update,
        generator: Update,
    ) -> Sequence[Update]:
        """The objective's updates; path length regularisation in G's."""
        if not config.path_length_weight:
            return discriminator, generator
        from gancli_style.networks import path_length

        term = LossTerm("path_length", path_length, config.path_length_weight, config.path_length_interval, second_order=True)
        return discriminator, replace(generator, losses=(*generator.losses, term))


def _halvings(image: ImageSpec) -> int | None:
    """How often both sides are halved until the shorter one is 4 to 7 pixels, or None.

    >>> from gancli.plugin import ImageSpec
    >>> [_halvings(ImageSpec(1, side, side)) for side in (16, 28, 30, 32, 64, 256)]
    [2, 2, None, 3, 4, 6]
    """
    sides = image.height, image.width
    times = min(sides).bit_length() - 3
    fits = all(SMALLEST <= side <= LARGEST and side % 2**times == 0 for side in sides)
    return times if fits else None
