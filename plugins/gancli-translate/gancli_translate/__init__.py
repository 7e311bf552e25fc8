"""Image-to-image translation, unpaired and paired, as plugins of gancli.

=========  ==================================================================  ========
name       paper                                                               pairs
=========  ==================================================================  ========
cut        Park et al., 2020, "Contrastive Learning for Unpaired ..."          no
cyclegan   Zhu et al., 2017, "Unpaired Image-to-Image Translation ..."         no
pix2pix    Isola et al., 2017, "Image-to-Image Translation with ..."           needed
=========  ==================================================================  ========

This module is light; torch is imported by ``gancli_translate.networks`` and ``gancli_translate.losses``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from gancli.plugin import ArchConfig, Architecture, Defaults, LossTerm, Networks, Update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gancli.plugin import ImageSpec, Objective

__all__ = ["CUT", "CUTConfig", "CycleGAN", "CycleGANConfig", "Pix2Pix", "Pix2PixConfig"]

SMALLEST, LARGEST = 16, 512
"""Shortest and longest side, in pixels."""

LEAST_SQUARES: Defaults = {
    "model.latent_dim": 1,  # translators have no use for z
    "objective.name": "least-squares",
    "objective.r1_gamma": 0.0,
    "train.batch_size": 4,
    "train.learning_rate": 2e-4,
    "train.betas": [0.5, 0.999],
    "train.learning_rate_decay": 0.5,
    "train.ema_halflife_images": 2_000,
    "train.images": 200_000,
    "augment.mode": "off",
    "log.quality_every_images": 10_000,
    "checkpoint.every_steps": 500,
}

FAST_WHEN_SMALL: Defaults = {"arch.patch": None}
"""For new trainings; what an option's own default says holds for runs that were written before there was the option."""


class TranslatorConfig(ArchConfig):
    """Options that all three have."""

    channels: int | None = Field(
        None, ge=4, le=512, description="channels at full resolution; none: 16 below 64 pixels, 32 below 128, else 64"
    )
    blocks: int | None = Field(
        None, ge=1, le=32, description="residual blocks at a quarter of the size; none: 3 below 64 pixels, 6 below 256, 9"
    )
    discriminator_layers: int = Field(
        2, ge=1, le=6, description="halvings in the patch discriminator; 3, as published, sees 70x70 pixels, 2 sees 34x34"
    )


class ResidualConfig(TranslatorConfig):
    """Options of the two with a residual generator."""

    patch: int | None = Field(
        1, ge=1, le=2, description="2: squares of 2x2 pixels become channels, twice as fast; none: 2 below 128 pixels, else 1"
    )


class CUTConfig(ResidualConfig):
    """Options of CUT."""

    patches: int = Field(64, ge=4, le=4096, description="locations per image and layer that are compared; 256 as published")
    nce_dim: int = Field(64, ge=8, le=1024, description="dimensions of the compared features; 256 as published")
    nce_weight: float = Field(1.0, ge=0, le=1e3, description="weight of the contrastive term")
    temperature: float = Field(0.07, gt=0, le=10, description="temperature of the contrastive term")
    identity: bool = Field(True, description="the contrastive term of translated target images, too, which keeps colours")
    identity_weight: float = Field(0.0, ge=0, le=1e3, description="weight of |G(b) - b|, which keeps colours as well")
    reach: int = Field(
        0, ge=0, le=8, description="pixels within which G filters the source image; 0, as published: it does not"
    )
    curves: int = Field(
        0, ge=0, le=256, description="with reach: hinges of the curves by which G changes the colours of a whole image; 0: none"
    )
    filter_weight: float = Field(0.0, ge=0, le=1e3, description="cost of the variation of the filters' weights over the image")
    curve_weight: float = Field(0.0, ge=0, le=1e3, description="cost of the colours that the curves add, a mean in [-1, 1]")
    place_weight: float = Field(0.0, ge=0, le=1e3, description="cost of the colours that G adds at single places, likewise")
    discriminator_norm: Literal["instance", "layer"] = Field(
        "instance", description="normalisation in the discriminator: of each channel, as published, or of all of a layer"
    )


class CycleGANConfig(ResidualConfig):
    """Options of CycleGAN."""

    cycle_weight: float = Field(10.0, ge=0, le=1e3, description="weight of |F(G(a)) - a| and |G(F(b)) - b|")
    identity_weight: float = Field(5.0, ge=0, le=1e3, description="weight of |G(b) - b| and |F(a) - a|, which keeps colours")
    pool_size: int = Field(
        50, ge=0, le=1000, description="earlier translations that D is shown again; 0, or several processes: none"
    )


class Pix2PixConfig(TranslatorConfig):
    """Options of pix2pix. It has a U-Net instead of residual blocks: ``blocks`` is the number of its halvings."""

    l1_weight: float = Field(100.0, ge=0, le=1e4, description="weight of |G(a) - b|")
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout in the innermost layers of the decoder, while training")


class _Translator:
    """What the three have in common."""

    def supports(self, config: TranslatorConfig, image: ImageSpec) -> str | None:  # noqa: ARG002  (the size alone decides)
        """None if there are source images, of sides from 16 to 512 that are multiples of 4."""
        if image.source is None:
            return "It translates images: name those to translate by --dataset and those to become by --to."
        if image.classes:
            return "It takes no labels: leave out --conditional."
        if image.source[1:] != (image.height, image.width):
            return f"Source images of {image.source[2]}x{image.source[1]} cannot become {image.width}x{image.height} ones."
        sides = image.height, image.width
        if all(SMALLEST <= side <= LARGEST and side % 4 == 0 for side in sides):
            return None
        return f"The sides are {image.width}x{image.height}; multiples of 4 from {SMALLEST} to {LARGEST} work."


class CUT(_Translator, Architecture[CUTConfig]):
    """One generator, one discriminator, and a small head per layer whose features are contrasted."""

    api = 2
    translates = True
    summary = "Unpaired translation by contrast of patches (CUT, Park et al., 2020)"
    Config = CUTConfig
    defaults: ClassVar[Defaults] = {
        **LEAST_SQUARES,
        **FAST_WHEN_SMALL,
        "arch.reach": 3,
        "train.images": 24_000,
        "arch.curves": 16,
        "arch.filter_weight": 0.1,
        "arch.curve_weight": 0.3,
        "arch.place_weight": 3.0,
        "arch.discriminator_norm": "layer",
        "arch.identity": False,
        "arch.identity_weight": 1.0,
        "arch.nce_weight": 0.5,
        "objective.name": "hinge",
        "objective.r1_gamma": 0.003,
        "train.batch_size": 8,
        "train.learning_rate": 5e-4,
        "train.discriminator_learning_rate": 1e-3,
    }

    def supports(self, config: TranslatorConfig, image: ImageSpec) -> str | None:
        """As the others, if source and target images have as many channels: one encoder looks at both."""
        if image.source is not None and image.source[0] != image.channels:
            return f"Source images of {image.source[0]} channels cannot be contrasted with {image.channels}: --arch cyclegan."
        return super().supports(config, image)

    def build(self, config: CUTConfig, image: ImageSpec, latent_dim: int) -> Networks:  # noqa: ARG002  (z is not used)
        """Generator, patch discriminator and heads."""
        from gancli_translate.networks import Heads, PatchDiscriminator, ResidualGenerator, sized

        channels, blocks, patch = sized(image, config.channels, config.blocks, config.patch)
        source = image.source or image.shape
        generator = ResidualGenerator(source, image.channels, channels, blocks, patch, config.reach, config.curves)
        norm = config.discriminator_norm
        discriminator = PatchDiscriminator(image.channels, channels, config.discriminator_layers, norm=norm)
        return Networks(generator, discriminator, {"heads": Heads(generator.widths, config.nce_dim)})

    def updates(
        self,
        config: CUTConfig,
        objective: Objective,
        discriminator: Update,
        generator: Update,  # noqa: ARG002  (source and target images are translated in one pass)
    ) -> Sequence[Update]:
        """D's update; that of G and the heads together, with the contrastive term."""
        from gancli_translate import losses

        both = config.identity or config.identity_weight > 0
        translated = losses.translated_both if both else losses.translated_sources
        nce = losses.patch_nce(translated, config.patches, config.temperature, identity=config.identity)
        terms = [LossTerm("g_loss", losses.fools(objective, translated)), LossTerm("nce", nce, config.nce_weight)]
        if config.identity_weight:
            terms.append(LossTerm("identity", losses.kept, config.identity_weight))
        curve_weight = config.curve_weight if config.curves else 0
        costs = {"filters": config.filter_weight, "curves": curve_weight, "places": config.place_weight}
        terms += [LossTerm(name, losses.cost(name, translated), cost) for name, cost in costs.items() if cost and config.reach]
        return discriminator, Update(("generator", "heads"), tuple(terms))


class CycleGAN(_Translator, Architecture[CycleGANConfig]):
    """Two generators, there and back, and a discriminator of each kind of image."""

    api = 2
    translates = True
    summary = "Unpaired translation there and back (CycleGAN, Zhu et al., 2017)"
    Config = CycleGANConfig
    defaults: ClassVar[Defaults] = {**LEAST_SQUARES, **FAST_WHEN_SMALL}

    def build(self, config: CycleGANConfig, image: ImageSpec, latent_dim: int) -> Networks:  # noqa: ARG002  (z is not used)
        """``generator`` and ``back``, ``discriminator`` and ``discriminator_back``."""
        from gancli_translate.networks import PatchDiscriminator, ResidualGenerator, sized

        source = image.source or image.shape
        channels, blocks, patch = sized(image, config.channels, config.blocks, config.patch)

        def discriminator(shape: tuple[int, int, int]) -> PatchDiscriminator:
            pool = (config.pool_size, *shape) if config.pool_size else None
            return PatchDiscriminator(shape[0], channels, config.discriminator_layers, pool=pool)

        others = {
            "back": ResidualGenerator(image.shape, source[0], channels, blocks, patch),
            "discriminator_back": discriminator(source),
        }
        generator = ResidualGenerator(source, image.channels, channels, blocks, patch)
        return Networks(generator, discriminator(image.shape), others, ema=("back",))

    def updates(
        self,
        config: CycleGANConfig,
        objective: Objective,
        discriminator: Update,  # noqa: ARG002  (both are trained together, on pooled images)
        generator: Update,
    ) -> Sequence[Update]:
        """Both generators together, then both discriminators together, as published."""
        from gancli_translate import losses

        generators = [
            *generator.losses,
            LossTerm("g_loss_back", losses.fools_back(objective)),
            LossTerm("cycle", losses.cycle, config.cycle_weight),
        ]
        if config.identity_weight:
            generators.append(LossTerm("identity", losses.identity, config.identity_weight))
        discriminators = (
            LossTerm("d_loss", losses.discriminates_pooled(objective)),
            LossTerm("d_loss_back", losses.discriminates_back(objective)),
        )
        return (
            Update(("generator", "back"), tuple(generators)),
            Update(("discriminator", "discriminator_back"), discriminators),
        )


class Pix2Pix(_Translator, Architecture[Pix2PixConfig]):
    """A U-Net, and a patch discriminator that sees the source image beside the other one."""

    api = 2
    translates = True
    summary = "Paired translation (pix2pix, Isola et al., 2017)"
    Config = Pix2PixConfig
    defaults: ClassVar[Defaults] = {**LEAST_SQUARES, "objective.name": "non-saturating"}

    def supports(self, config: TranslatorConfig, image: ImageSpec) -> str | None:
        """As the others, for pairs."""
        if image.source is not None and not image.paired:
            return "It learns from pairs: say --paired if files of the same name belong together, or choose --arch cut."
        return super().supports(config, image)

    def build(self, config: Pix2PixConfig, image: ImageSpec, latent_dim: int) -> Networks:  # noqa: ARG002  (z is not used)
        """U-Net and conditional patch discriminator."""
        from gancli_translate.networks import PatchDiscriminator, UNet, sized

        channels, *_ = sized(image, config.channels)
        source = image.source or image.shape
        unet = UNet(source, image.channels, channels, config.blocks, config.dropout)
        return Networks(unet, PatchDiscriminator(image.channels, channels, config.discriminator_layers, beside=source[0]))

    def updates(
        self,
        config: Pix2PixConfig,
        objective: Objective,  # noqa: ARG002  (its losses are in the two updates)
        discriminator: Update,
        generator: Update,
    ) -> Sequence[Update]:
        """The objective's updates; L1 in G's."""
        from gancli_translate.losses import l1

        term = LossTerm("l1", l1, config.l1_weight)
        return discriminator, replace(generator, losses=(*generator.losses, term))
