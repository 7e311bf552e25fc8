"""FastGAN: D reconstructs the real images from its features, which regularises it.

Liu et al., 2021, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image
Synthesis". The distance is the mean absolute difference, where the paper takes LPIPS.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gancli.plugin import ArchConfig, Architecture, LossTerm, Networks


class FastGANConfig(ArchConfig):
    """Options of FastGAN."""

    channels: int = Field(16, ge=4, le=512, description="channels of every layer")


class FastGAN(Architecture[FastGANConfig]):
    """Skip-layer excitation in G, a self-supervised D with a logit per patch."""

    api = 2
    summary = "FastGAN (Liu et al., 2021)"
    Config = FastGANConfig
    defaults = {
        "objective.name": "hinge",
        "objective.r1_gamma": 0,
        "train.learning_rate": 2e-4,
        "train.betas": [0.5, 0.999],
        "train.batch_size": 8,
    }

    def supports(self, config, image):
        if image.classes:
            return "FastGAN is unconditional."
        fits = image.height % 8 == 0 and image.width % 8 == 0
        return None if fits else "Both sides have to be multiples of 8."

    def build(self, config, image, latent_dim):
        return Networks(Generator(config, image, latent_dim), Discriminator(config, image))

    def updates(self, config, objective, discriminator, generator):
        extra = LossTerm("whole", whole), LossTerm("part", part)
        return replace(discriminator, losses=(*discriminator.losses, *extra)), generator


def whole(s):
    """|decode(f(x)) - x| of the whole real image, per pixel."""
    d = s.network("discriminator")
    return (d.decode_whole(d.features(s.real)) - s.real).abs()


def part(s):
    """|decode(crop f(x)) - crop x| of a quarter, the same random one for the batch."""
    d = s.network("discriminator")
    row, column = torch.randint(0, 2, (2,)).tolist()
    features = quarter(d.features(s.real), row, column)
    return (d.decode_part(features) - quarter(s.real, row, column)).abs()


def quarter(x, row, column):
    return x.chunk(2, 2)[row].chunk(2, 3)[column]


class Generator(nn.Module):
    """``z (n, latent_dim) -> images (n, c, h, w)``."""

    def __init__(self, config, image, latent_dim):
        super().__init__()
        width, base = config.channels, (image.height // 4, image.width // 4)
        self.first = nn.Sequential(
            nn.Linear(latent_dim, 2 * width * base[0] * base[1]), nn.Unflatten(1, (2 * width, *base)), nn.GLU(1)
        )
        self.ups = nn.ModuleList(up(width, width) for _ in range(2))
        self.excite = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1), nn.LeakyReLU(0.1), nn.Conv2d(width, width, 1)
        )
        self.output = nn.Conv2d(width, image.channels, 3, padding=1)

    def forward(self, z):
        small = self.first(z)
        large = self.ups[1](self.ups[0](small))
        return self.output(large * self.excite(small).sigmoid()).tanh()


def up(inputs, outputs):
    """Twice the size: convolution, batch normalisation, GLU."""
    conv = nn.Conv2d(inputs, 2 * outputs, 3, padding=1, bias=False)
    return nn.Sequential(nn.Upsample(scale_factor=2.0), conv, nn.BatchNorm2d(2 * outputs), nn.GLU(1))


class Discriminator(nn.Module):
    """images -> logits ``(n, k)``, one per patch; ``features`` and two decoders besides."""

    def __init__(self, config, image):
        super().__init__()
        width = config.channels
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(image.channels, width, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(width, width, 4, 2, 1)),
            nn.LeakyReLU(0.2),
        )
        self.logits = nn.Sequential(nn.Conv2d(width, 1, 1, bias=False), nn.Flatten())
        self.decode_whole = decoder(width, image.channels)
        self.decode_part = decoder(width, image.channels)

    def features(self, images):
        return self.layers(images)

    def forward(self, images):
        return self.logits(self.features(images))


def decoder(width, channels):
    output = nn.Conv2d(width, channels, 3, padding=1)
    return nn.Sequential(up(width, width), up(width, width), output, nn.Tanh())
