"""InfoGAN: a code in the latent that a third network Q reads from the image.

    min over G and Q, max over D:  V(D, G) - lambda L_I(G, Q),  L_I = E[log Q(c | G(z, c))] + H(c)

Chen et al., 2016, "InfoGAN: Interpretable Representation Learning by Information Maximizing
Generative Adversarial Nets".
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everywhere)

from gancli.plugin import ArchConfig, Architecture, LossTerm, Networks

CATEGORIES, ANGLES = 10, 2
"""Values of the categorical code; number of continuous codes."""


class InfoGANConfig(ArchConfig):
    """Options of InfoGAN."""

    width: int = Field(32, ge=4, le=1024, description="units of each hidden layer")


class InfoGAN(Architecture[InfoGANConfig]):
    """Q is a head on D's features and is trained with G."""

    api = 2
    summary = "InfoGAN (Chen et al., 2016)"
    Config = InfoGANConfig
    defaults = {
        "objective.name": "non-saturating",
        "objective.r1_gamma": 0,
        "train.learning_rate": 1e-3,
        "train.discriminator_learning_rate": 2e-4,
        "train.betas": [0.5, 0.999],
        "model.latent_dim": 74,
    }

    def supports(self, config, image):
        return "InfoGAN is unconditional." if image.classes else None

    def build(self, config, image, latent_dim):
        if latent_dim < CATEGORIES + ANGLES:
            raise ValueError(f"latent_dim is {latent_dim}, and the codes alone take {CATEGORIES + ANGLES}")
        q = nn.Linear(config.width, CATEGORIES + 2 * ANGLES)
        return Networks(Generator(config, image, latent_dim), Discriminator(config, image), {"q": q})

    def updates(self, config, objective, discriminator, generator):
        information = LossTerm("category", category), LossTerm("angles", angles, 0.1)
        return discriminator, replace(generator, networks=("generator", "q"), losses=(*generator.losses, *information))


def codes(z):
    """``z (n, d)`` -> the categorical code, one-hot ``(n, 10)``, and the continuous ones, U(-1, 1) ``(n, 2)``.

    The largest of ten independent normals is each of them with the same probability.
    """
    first = z[:, :CATEGORIES]
    one_hot = (first == first.amax(1, keepdim=True)).to(z.dtype)
    return one_hot, torch.erf(z[:, CATEGORIES : CATEGORIES + ANGLES] / math.sqrt(2))


def read_codes(s):
    """Q's answer about the generated images."""
    return s.network("q")(s.network("discriminator").features(s.fake)).float()


def category(s):
    """-log Q(c | G(z, c)) of the categorical code, ``(n,)``; log 10 if Q knows nothing."""
    one_hot, _ = codes(s.z)
    return F.cross_entropy(read_codes(s)[:, :CATEGORIES], one_hot, reduction="none")


def angles(s):
    """-log Q(c | G(z, c)) of the continuous codes under N(mean, deviation^2), ``(n, 2)``."""
    _, c = codes(s.z)
    mean, log_deviation = read_codes(s)[:, CATEGORIES:].chunk(2, 1)
    error = (c - mean) * torch.exp(-log_deviation)
    return 0.5 * error.square() + log_deviation + 0.5 * math.log(2 * math.pi)


class Generator(nn.Module):
    """``z (n, latent_dim) -> images (n, c, h, w)``."""

    def __init__(self, config, image, latent_dim):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, config.width),
            nn.ReLU(),
            nn.Linear(config.width, math.prod(image.shape)),
            nn.Tanh(),
            nn.Unflatten(1, image.shape),
        )

    def forward(self, z):
        return self.layers(torch.cat([*codes(z), z[:, CATEGORIES + ANGLES :]], 1))


class Discriminator(nn.Module):
    """images -> logits ``(n,)``; ``features`` is what Q reads."""

    def __init__(self, config, image):
        super().__init__()
        pixels = math.prod(image.shape)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(pixels, config.width), nn.LeakyReLU(0.1))
        self.logit = nn.Linear(config.width, 1)

    def features(self, images):
        return self.layers(images)

    def forward(self, images):
        return self.logit(self.features(images)).squeeze(1)
