"""VAE/GAN: an encoder is trained with G, and images are compared in D's features.

    L_prior = KL(q(z | x) || N(0, I)),   L_feature = 1/2 |f(x) - f(G(E(x)))|^2

Larsen et al., 2016, "Autoencoding beyond pixels using a learned similarity metric", algorithm 1.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everywhere)

from gancli.plugin import ArchConfig, Architecture, LossTerm, Networks


class VAEGANConfig(ArchConfig):
    """Options of VAE/GAN."""

    width: int = Field(32, ge=4, le=1024, description="units of each hidden layer")


class VAEGAN(Architecture[VAEGANConfig]):
    """Three networks: the third is trained together with the generator."""

    api = 2
    summary = "VAE/GAN (Larsen et al., 2016)"
    Config = VAEGANConfig
    defaults = {
        "objective.name": "non-saturating",
        "objective.r1_gamma": 0,
        "train.learning_rate": 3e-4,
        "train.optimizer": "rmsprop",
    }

    def supports(self, config, image):
        return "VAE/GAN is unconditional." if image.classes else None

    def build(self, config, image, latent_dim):
        pixels = math.prod(image.shape)
        encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, config.width), nn.ReLU(), nn.Linear(config.width, 2 * latent_dim)
        )
        generator = nn.Sequential(
            nn.Linear(latent_dim, config.width),
            nn.ReLU(),
            nn.Linear(config.width, pixels),
            nn.Tanh(),
            nn.Unflatten(1, image.shape),
        )
        return Networks(generator, Discriminator(config, pixels), {"encoder": encoder})

    def updates(self, config, objective, discriminator, generator):
        d = LossTerm("d_reconstructed", d_reconstructed)
        own = LossTerm("prior", prior), LossTerm("feature", feature)
        return (
            replace(discriminator, losses=(*discriminator.losses, d)),
            replace(generator, networks=("generator", "encoder"), losses=(*generator.losses, *own)),
        )


def encoded(s):
    """Mean and logarithm of the variance of q(z | x), each ``(n, latent_dim)``."""
    mean, log_variance = s.network("encoder")(s.real).float().chunk(2, 1)
    return mean, log_variance


def reconstructed(s):
    """G(E(x)), by the reparametrisation trick."""
    mean, log_variance = s.once(encoded)
    z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
    return s.network("generator")(z)


def prior(s):
    """KL(N(m, v) || N(0, I)) = 1/2 sum(m^2 + v - log v - 1), ``(n,)``."""
    mean, log_variance = s.once(encoded)
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)


def feature(s):
    """1/2 |f(x) - f(G(E(x)))|^2, per feature."""
    features = s.network("discriminator").features
    return 0.5 * (features(s.real) - features(s.once(reconstructed))).square()


def d_reconstructed(s):
    """-log(1 - s(D(G(E(x))))): D rejects reconstructions too."""
    return F.softplus(s.discriminate(s.once(reconstructed)))


class Discriminator(nn.Module):
    """images -> logits ``(n,)``; ``features`` is the metric."""

    def __init__(self, config, pixels):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(pixels, config.width), nn.LeakyReLU(0.2))
        self.logit = nn.Linear(config.width, 1)

    def features(self, images):
        return self.layers(images)

    def forward(self, images):
        return self.logit(self.features(images)).squeeze(1)
