"""CycleGAN: two generators and two discriminators on unpaired images.

``generator`` translates sources to images, ``back`` images to sources; ``discriminator`` judges
images, ``discriminator_source`` sources, both on a pool of generated ones.

Zhu et al., 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks".
"""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field
from torch import nn

from gancli.plugin import ArchConfig, Architecture, LossTerm, Networks


class CycleGANConfig(ArchConfig):
    """Options of CycleGAN."""

    channels: int = Field(16, ge=4, le=512, description="channels of every layer")
    pool: int = Field(50, ge=1, le=1000, description="generated images that D is shown again")
    cycle: float = Field(10.0, ge=0, le=1000, description="weight of the cycle consistency")
    identity: float = Field(5.0, ge=0, le=1000, description="weight of the identity term")


class CycleGAN(Architecture[CycleGANConfig]):
    """Least squares, cycle consistency, identity, and a pool of images per discriminator."""

    api = 2
    summary = "CycleGAN (Zhu et al., 2017)"
    Config = CycleGANConfig
    defaults = {
        "objective.name": "least-squares",
        "objective.r1_gamma": 0,
        "model.latent_dim": 1,
        "train.batch_size": 1,
        "train.learning_rate": 2e-4,
        "train.betas": [0.5, 0.999],
    }

    def supports(self, config, image):
        if image.source is None:
            return "CycleGAN translates images, and these have no source images."
        if image.source != image.shape or image.height % 4 or image.width % 4:
            return "Images and sources have to be of one shape, with sides that are multiples of 4."
        return None

    def build(self, config, image, latent_dim):
        others = {"back": Translator(config, image), "discriminator_source": Judge(config, image)}
        return Networks(Translator(config, image), Judge(config, image), others, ema=("back",))

    def updates(self, config, objective, discriminator, generator):
        def d_loss(s):
            fake = s.network("discriminator").pool(s.fake)
            return objective.discriminator_loss(s.discriminate(s.real), s.discriminate(fake))

        def d_source(s):
            judge = s.network("discriminator_source")
            fake = judge.pool(s.once(translated_back).detach())
            return objective.discriminator_loss(judge(s.conditions[-1]), judge(fake))

        def g_source(s):
            logits = s.network("discriminator_source")(s.once(translated_back))
            return objective.generator_loss(logits, torch.zeros_like(logits))

        return (
            replace(
                generator,
                networks=("generator", "back"),
                losses=(
                    *generator.losses,
                    LossTerm("g_source", g_source),
                    LossTerm("cycle", cycle, config.cycle),
                    LossTerm("identity", identity, config.identity),
                ),
            ),
            replace(
                discriminator,
                networks=("discriminator", "discriminator_source"),
                losses=(LossTerm("d_loss", d_loss), LossTerm("d_source", d_source)),
            ),
        )


def translated_back(s):
    """F(y): the real images as sources."""
    return s.network("back")(s.z, s.real)


def cycle(s):
    """|F(G(x)) - x| + |G(F(y)) - y|, per pixel."""
    there = (s.network("back")(s.z, s.fake) - s.conditions[-1]).abs()
    return there + (s.network("generator")(s.z, s.once(translated_back)) - s.real).abs()


def identity(s):
    """|G(y) - y| + |F(x) - x|, per pixel."""
    source = s.conditions[-1]
    images = s.network("generator")(s.z, s.real)
    return (images - s.real).abs() + (s.network("back")(s.z, source) - source).abs()


class Translator(nn.Module):
    """``(z, ..., source) -> images``; z is ignored."""

    def __init__(self, config, image):
        super().__init__()
        width = config.channels
        self.first = nn.Sequential(nn.Conv2d(image.channels, width, 4, 2, 1), *normalised(width))
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), *normalised(width), nn.Conv2d(width, width, 3, padding=1)
        )
        self.last = nn.Sequential(nn.ConvTranspose2d(width, image.channels, 4, 2, 1), nn.Tanh())

    def forward(self, z, *conditions):
        x = self.first(conditions[-1])
        return self.last(x + self.block(x))


def normalised(width):
    return nn.InstanceNorm2d(width), nn.ReLU()


class Judge(nn.Module):
    """``images -> logits (n, k)``, one per patch, whatever the conditions; and a pool of images."""

    def __init__(self, config, image):
        super().__init__()
        width = config.channels
        self.layers = nn.Sequential(
            nn.Conv2d(image.channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 4, 2, 1),
            nn.InstanceNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 1, 3, 1, 1),
            nn.Flatten(),
        )
        self.pool = ImagePool(config.pool, image.shape)

    def forward(self, images, *conditions):
        return self.layers(images)


class ImagePool(nn.Module):
    """The last generated images; half of the time one of them is returned and replaced (section 4).

    It is in buffers of a trained network, so that a checkpoint holds it.
    """

    def __init__(self, size, shape):
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, images):
        shown = []
        for image in images:
            if self.count < len(self.images):
                self.images[self.count] = image
                self.count += 1
                shown.append(image)
            elif torch.rand(()) < 0.5:
                place = torch.randint(len(self.images), ())
                shown.append(self.images[place].clone())
                self.images[place] = image
            else:
                shown.append(image)
        return torch.stack(shown)
