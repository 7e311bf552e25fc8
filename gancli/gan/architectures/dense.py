"""The dense networks: multi-layer perceptrons, the architecture of the original experiments on digits.

Of 1x28x28 images a new run's generator is 64-256-256-512-1024, then for each of 16 patches 64-128-49, with the same weights
(754,704 parameters); its discriminator is 64-64-64 for each of 16 patches, then 1024-512-256-128-1 (697,473). With
``patch_size = 0`` they are plain perceptrons. This module is light; the networks are in ``dense_networks``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gancli.plugin import ArchConfig, Architecture, Defaults, ImageSpec, Networks, Purpose

if TYPE_CHECKING:
    from torch import Tensor


Width = Annotated[int, Field(ge=1, le=65536)]
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=32)]


class DenseConfig(ArchConfig):
    """Options of the dense architecture."""

    generator_widths: Widths = Field((256, 512, 1024), description="units of the generator's hidden layers, latent side first")
    discriminator_widths: Widths = Field(
        (1024, 512, 256), description="units of the discriminator's hidden layers, image side first"
    )
    patch_size: int = Field(
        0, ge=0, le=1024, description="side of the patches that share D's first and G's last layer, in pixels; 0: none"
    )
    patch_units: int = Field(64, ge=1, le=65536, description="units per patch, with patch_size")
    patch_layers: int = Field(
        1, ge=1, le=2, description="layers within a patch; 2: a hidden one as well, of patch_units in D, twice as many in G"
    )
    negative_slope: float = Field(0.2, ge=0, le=1, description="slope of LeakyReLU for negative inputs")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="probability that a hidden unit of the discriminator is dropped, in training"
    )
    initialisation: Literal["he", "article"] = Field(
        "he", description="initial weights: He normal, or N(0, 0.02) in the first layers and Glorot uniform in the others"
    )
    centre: bool = Field(True, description="start the generator at the mean image, and subtract it in the discriminator")
    class_dim: int = Field(
        32, ge=1, le=4096, description="dimensions of a class embedding in the generator (conditional models)"
    )


class Dense(Architecture[DenseConfig]):
    """Fully connected layers with LeakyReLU; tanh at the end of the generator."""

    api = 1
    summary = "Multi-layer perceptrons (Goodfellow et al., 2014)"
    Config = DenseConfig
    defaults: ClassVar[Defaults] = {
        # The plain defaults of these four are what runs did before there were patches.
        "arch.patch_size": 7,
        "arch.patch_layers": 2,
        "arch.generator_widths": [256, 256, 512],
        "arch.discriminator_widths": [512, 256, 128],
        "model.latent_dim": 64,
        "train.learning_rate": 2.5e-3,
        "train.learning_rate_decay": 0.4,  # the distance stops falling at a constant rate after half of the run
    }
    purpose = Purpose(
        "dense networks learn many small grey images fastest", rank=30, sides=(4, 32), channels=(1,), fewest=10_000
    )

    def build(self, config: DenseConfig, image: ImageSpec, latent_dim: int) -> Networks:
        """Both perceptrons, freshly initialised."""
        from gancli.gan.architectures.dense_networks import DenseDiscriminator, DenseGenerator

        return Networks(DenseGenerator(config, image, latent_dim), DenseDiscriminator(config, image))

    def calibrate(self, networks: Networks, mean: Tensor) -> None:
        """Centre both networks on the mean image, if they were built for that."""
        for network in (networks.generator, networks.discriminator):
            network.centre(mean)  # type: ignore[operator]
