"""DCGAN as a plugin of gancli: strided convolutions in both networks (Radford et al., 2015); and `aided`, the same with a
second discriminator on frozen pretrained features (Kumari et al., 2022, "Ensembling off-the-shelf models for GAN training").

Sizes: a base of 4 to 7 pixels is doubled until it is as large as the image (7 -> 14 -> 28), so that every layer works
at a resolution of its own and no pixel is cropped. This module is light; torch is imported by ``gancli_dcgan.networks``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic import Field

from gancli.plugin import ArchConfig, Architecture, Asset, Networks, Purpose, Update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from gancli.plugin import Defaults, ImageSpec, Objective

__all__ = ["DCGAN", "Aided", "AidedConfig", "DCGANConfig", "halvings"]

SMALLEST, LARGEST = 16, 256
"""Shortest and longest side, in pixels."""


class DCGANConfig(ArchConfig):
    """Options of the DCGAN architecture."""

    channels: int = Field(32, ge=4, le=1024, description="channels of the narrowest layer; doubled whenever the size is halved")
    max_channels: int = Field(512, ge=4, le=4096, description="no layer has more channels than this")
    generator_norm: Literal["batch", "instance", "layer", "none"] = Field(
        "batch", description="normalisation in the generator, after all layers but the last"
    )
    discriminator_norm: Literal["none", "instance", "layer", "spectral", "batch"] = Field(
        "none",
        description="normalisation in the discriminator; batch, the paper's, mixes the samples of a batch: "
        "switch R1, R2 and the gradient penalty off, and set train.real_fake_batch=separate",
    )
    negative_slope: float = Field(0.2, ge=0, le=1, description="slope of the discriminator's LeakyReLU for negative inputs")
    modulation: bool = Field(
        default=False, description="the latent scales and shifts the channels of every hidden layer of the generator"
    )
    upsampling: Literal["transposed", "nearest"] = Field(
        "transposed", description="doubling in the generator: a transposed convolution, or copied pixels and a 3x3 convolution"
    )
    discriminator_channels: int | None = Field(
        None, ge=4, le=1024, description="channels of the discriminator's narrowest layer; none: as channels"
    )
    group_size: int = Field(
        1, ge=1, le=64, description="images per group of the discriminator's minibatch standard deviation; 1: off"
    )
    simultaneous: bool = Field(
        default=False, description="one update of both networks, on the same images, instead of one after the other"
    )
    hidden: int = Field(
        0, ge=0, le=4096, description="neurons of a dense layer behind the latent, and of one before D's logit; 0: none"
    )
    output_activation: Literal["tanh", "none"] = Field(
        "tanh", description="after the generator's last layer; none: pixels beyond [-1, 1] are clamped when an image is made"
    )
    class_dim: int = Field(32, ge=1, le=4096, description="dimensions of the generator's class embedding (conditional models)")


class DCGAN(Architecture[DCGANConfig]):
    """Convolutions with ReLU that double the image against strided convolutions with LeakyReLU."""

    api = 2
    summary = "Strided convolutions (DCGAN, Radford et al., 2015)"
    Config = DCGANConfig
    defaults: ClassVar[Defaults] = {
        "objective.name": "relativistic",
        "objective.r1_gamma": 0.1,
        "objective.r2_gamma": 0.1,
        "objective.penalty_interval_steps": 4,  # the paper's 1 doubles the cost of a step
        # The plain defaults of these five are what runs did that had no such options.
        "arch.hidden": 256,
        "arch.simultaneous": True,
        "arch.modulation": True,
        "arch.upsampling": "nearest",
        "arch.group_size": 4,
        # Relativistic logits have no zero that the mean sign could be held to: the adaptive strength rises to its end.
        "augment.strength": 0.3,
        "train.batch_size": 16,
        "train.learning_rate": 1.5e-3,
        "train.images": 300_000,
    }
    purpose: ClassVar[Purpose | None] = Purpose(
        "convolutions learn such images best", rank=10, resized_to=(128, 256), images=300_000
    )

    def supports(self, config: DCGANConfig, image: ImageSpec) -> str | None:  # noqa: ARG002  (the size alone decides)
        """None if both sides can be halved until the shorter one is 4 to 7 pixels, else the reason and the nearest sizes."""
        if _reachable(image):
            return None
        nearest = " and ".join(map(str, _nearest(image)))
        return (
            f"DCGAN doubles a base whose shorter side is 4 to 7 pixels, up to sides of {SMALLEST} to {LARGEST}, which never "
            f"gives {image}; nearest: {nearest}."
        )

    def updates(self, config: DCGANConfig, objective: Objective, discriminator: Update, generator: Update) -> Sequence[Update]:
        """One update of both, which computes G(z) and D once for both losses; the two one after the other if D has several."""
        if not config.simultaneous or discriminator.repeats > 1:
            return super().updates(config, objective, discriminator, generator)
        terms = (replace(term, networks=each.networks) for each in (discriminator, generator) for term in each.losses)
        return (Update((*discriminator.networks, *generator.networks), tuple(terms), after=discriminator.after),)

    def build(self, config: DCGANConfig, image: ImageSpec, latent_dim: int) -> Networks:
        """Both networks, freshly initialised.

        Raises:
            ValueError: the size is not supported.
        """
        if reason := self.supports(config, image):
            raise ValueError(reason)
        from torch import channels_last

        from gancli_dcgan.networks import DCGANDiscriminator, DCGANGenerator

        networks = Networks(DCGANGenerator(config, image, latent_dim), DCGANDiscriminator(config, image))
        for network in (networks.generator, networks.discriminator):
            network.to(memory_format=channels_last)  # type: ignore[call-overload]  # torch's stubs do not know the argument
        return networks


class AidedConfig(DCGANConfig):
    """Options of DCGAN with frozen features."""

    maps: int = Field(2, ge=1, le=4, description="how many maps of the frozen network are used: strides of 4, 8, 16, 32")
    head_channels: int = Field(64, ge=4, le=1024, description="channels of the discriminator on each of these maps")
    head_weight: float = Field(1.0, gt=0, le=100, description="weight of their losses together; that of the own one is 1")
    clusters: int = Field(
        0, ge=0, le=1000, description="clusters of similar images, found by these features and learnt like classes; 0: none"
    )
    head_group_size: int = Field(
        1, ge=1, le=64, description="images per group of their minibatch standard deviation, of each pixel; 1: off"
    )


class Aided(DCGAN):
    """DCGAN whose discriminator also looks at images through EfficientNet-Lite0, pretrained and frozen."""

    summary = "DCGAN aided by frozen pretrained features (Kumari et al., 2022)"
    Config = AidedConfig
    defaults: ClassVar[Defaults] = {
        **DCGAN.defaults,
        "arch.hidden": 0,  # the frozen features see the whole image
        "arch.clusters": 32,
        "arch.head_group_size": 4,
        "arch.discriminator_channels": 16,  # faster steps are worth more
        "arch.output_activation": "none",  # tanh has no gradient where it is saturated, and such blots stayed
        "objective.r1_gamma": 0.5,
        "objective.r2_gamma": 0.5,
    }
    purpose = Purpose(
        "frozen pretrained features help with images in colour", rank=15, channels=(3, 4), resized_to=(128, 256), images=300_000
    )

    def assets(self, config: DCGANConfig) -> Sequence[Asset]:  # noqa: ARG002  (always the same)
        """EfficientNet-Lite0, which gancli-projected brings."""
        try:
            from gancli_projected.weights import LITE0, asset
        except ImportError:
            return (Asset("EfficientNet-Lite0", Path("gancli_projected"), "", "Install it: pip install gancli-projected."),)
        return (asset(LITE0),)

    def updates(self, config: DCGANConfig, objective: Objective, discriminator: Update, generator: Update) -> Sequence[Update]:
        """Losses of the own discriminator and of those on the features; penalties of the own one alone."""
        from gancli_dcgan.aided import aided_term

        aided = (replace(each, losses=tuple(map(aided_term, each.losses))) for each in (discriminator, generator))
        return super().updates(config, objective, *aided)

    def build(self, config: DCGANConfig, image: ImageSpec, latent_dim: int) -> Networks:
        """Both networks, freshly initialised, and the frozen one."""
        from torch import channels_last

        from gancli_dcgan.aided import AidedDiscriminator, ClusteredGenerator, ClusteringDiscriminator
        from gancli_projected.efficientnet import pretrained
        from gancli_projected.weights import LITE0

        options, features = cast("AidedConfig", config), pretrained(LITE0)
        clustered = _clustered(options, image)
        networks = super().build(config, clustered or image, latent_dim)
        kind = ClusteringDiscriminator if clustered else AidedDiscriminator
        discriminator = kind(networks.discriminator, features, options)
        discriminator.to(memory_format=channels_last)  # type: ignore[call-overload]  # torch's stubs do not know the argument
        generator = ClusteredGenerator(networks.generator, options, latent_dim) if clustered else networks.generator
        return Networks(generator, discriminator, {"features": features})

    def build_generator(self, config: DCGANConfig, image: ImageSpec, latent_dim: int) -> nn.Module:
        """The generator alone, which needs no features."""
        from gancli_dcgan.aided import ClusteredGenerator

        options = cast("AidedConfig", config)
        clustered = _clustered(options, image)
        generator = super().build(config, clustered or image, latent_dim).generator
        return ClusteredGenerator(generator, options, latent_dim) if clustered else generator

    def migrate(self, config: dict[str, Any], from_version: str) -> dict[str, Any]:  # noqa: ARG002  (only 0.6 had it)
        """Without the mode-seeking loss of 0.6, whose runs go on without it."""
        return {key: value for key, value in config.items() if key != "mode_seeking"}

    def prepare(self, networks: Networks, images: Tensor) -> None:
        """Find the clusters, and how large they are."""
        from gancli_dcgan.aided import ClusteredGenerator, ClusteringDiscriminator

        generator, discriminator = networks.generator, networks.discriminator
        if isinstance(generator, ClusteredGenerator) and isinstance(discriminator, ClusteringDiscriminator):
            generator.set_shares(discriminator.find_clusters(images))


def _clustered(config: AidedConfig, image: ImageSpec) -> ImageSpec | None:
    """The images with clusters for classes; None if there are none, or classes already."""
    return replace(image, classes=config.clusters) if config.clusters > 1 and not image.classes else None


def halvings(height: int, width: int) -> int:
    """How often both sides are halved: until the shorter one is 4 to 7 pixels.

    >>> [halvings(side, side) for side in (16, 28, 32, 64, 96, 256)]
    [2, 2, 3, 4, 4, 6]
    """
    return min(height, width).bit_length() - 3


def _reachable(image: ImageSpec) -> bool:
    sides = image.height, image.width
    return all(SMALLEST <= side <= LARGEST and side % 2 ** halvings(*sides) == 0 for side in sides)


def _nearest(image: ImageSpec) -> list[ImageSpec]:
    """The next smaller and the next larger reachable size, where there is one."""
    height, width = (min(max(side, SMALLEST), LARGEST) for side in (image.height, image.width))
    step = 2 ** halvings(height, width)
    smaller = replace(image, height=height // step * step, width=width // step * step)
    larger = replace(image, height=-(-height // step) * step, width=-(-width // step) * step)
    return [spec for spec in dict.fromkeys((smaller, larger)) if _reachable(spec)]
