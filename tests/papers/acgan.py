"""AC-GAN: D names the class as well, and G is rewarded for images of the class it was given.

Odena et al., 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs".
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everywhere)

from gancli.plugin import ArchConfig, Architecture, LossTerm, Networks


class ACGANConfig(ArchConfig):
    """Options of AC-GAN."""

    width: int = Field(32, ge=4, le=1024, description="units of each hidden layer")


class ACGAN(Architecture[ACGANConfig]):
    """Dense networks; the class is an embedding in G and a second output of D."""

    api = 2
    summary = "AC-GAN (Odena et al., 2017)"
    Config = ACGANConfig
    defaults = {
        "model.conditional": True,
        "objective.name": "non-saturating",
        "objective.r1_gamma": 0,
        "train.learning_rate": 2e-4,
        "train.betas": [0.5, 0.999],
    }

    def supports(self, config, image):
        return None if image.classes else "AC-GAN needs classes (--conditional)."

    def build(self, config, image, latent_dim):
        return Networks(Generator(config, image, latent_dim), Discriminator(config, image))

    def updates(self, config, objective, discriminator, generator):
        d = LossTerm("class_real", class_real), LossTerm("class_fake", class_fake)
        g = LossTerm("g_class", class_fake)
        return (
            replace(discriminator, losses=(*discriminator.losses, *d)),
            replace(generator, losses=(*generator.losses, g)),
        )


def class_real(s):
    """-log P(C = c | x), ``(n,)``."""
    return class_loss(s, s.real)


def class_fake(s):
    """-log P(C = c | G(z, c)), ``(n,)``."""
    return class_loss(s, s.fake)


def class_loss(s, images):
    logits = s.network("discriminator").classify(images)
    return F.cross_entropy(logits.float(), s.conditions[0], reduction="none")


class Generator(nn.Module):
    """``(z, labels) -> images (n, c, h, w)``."""

    def __init__(self, config, image, latent_dim):
        super().__init__()
        self.embedding = nn.Embedding(image.classes, latent_dim)
        self.layers = nn.Sequential(
            nn.Linear(2 * latent_dim, config.width),
            nn.ReLU(),
            nn.Linear(config.width, math.prod(image.shape)),
            nn.Tanh(),
            nn.Unflatten(1, image.shape),
        )

    def forward(self, z, labels):
        return self.layers(torch.cat([z, self.embedding(labels)], 1))


class Discriminator(nn.Module):
    """``(images, labels) -> logits (n,)``, without a look at the labels; ``classify`` besides."""

    def __init__(self, config, image):
        super().__init__()
        pixels = math.prod(image.shape)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(pixels, config.width), nn.LeakyReLU(0.2))
        self.source = nn.Linear(config.width, 1)
        self.classes = nn.Linear(config.width, image.classes)

    def forward(self, images, labels):
        return self.source(self.layers(images)).squeeze(1)

    def classify(self, images):
        """Logits of the classes, ``(n, classes)``."""
        return self.classes(self.layers(images))
