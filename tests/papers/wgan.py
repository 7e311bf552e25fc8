"""WGAN and WGAN-GP, as published, by configuration alone.

Arjovsky et al., 2017, "Wasserstein GAN"; Gulrajani et al., 2017, "Improved Training of Wasserstein
GANs".
"""

from __future__ import annotations

import math

from pydantic import Field
from torch import nn

from gancli.plugin import ArchConfig, Architecture, Networks


class WGANConfig(ArchConfig):
    """Options of both."""

    width: int = Field(32, ge=4, le=1024, description="units of each hidden layer")


class WGAN(Architecture[WGANConfig]):
    """Algorithm 1 of Arjovsky et al.: RMSprop, five critic updates, weights clipped to 0.01."""

    api = 2
    summary = "WGAN with weight clipping (Arjovsky et al., 2017)"
    Config = WGANConfig
    defaults = {
        "objective.name": "wasserstein",
        "objective.clip": 0.01,
        "objective.gradient_penalty": 0,
        "train.optimizer": "rmsprop",
        "train.discriminator_updates": 5,
        "train.learning_rate": 5e-5,
        "train.learning_rate_decay": 0,
        "train.batch_size": 64,
    }

    def supports(self, config, image):
        return "WGAN is unconditional." if image.classes else None

    def build(self, config, image, latent_dim):
        pixels = math.prod(image.shape)
        generator = nn.Sequential(*hidden(latent_dim, config.width), nn.Linear(config.width, pixels))
        critic = nn.Sequential(
            nn.Flatten(), *hidden(pixels, config.width), nn.Linear(config.width, 1, bias=False), nn.Flatten(0)
        )
        return Networks(nn.Sequential(generator, nn.Tanh(), nn.Unflatten(1, image.shape)), critic)


class WGANGP(WGAN):
    """Algorithm 1 of Gulrajani et al.: lambda = 10, five critic updates, Adam with 1e-4 and (0, 0.9)."""

    summary = "WGAN with gradient penalty (Gulrajani et al., 2017)"
    defaults = {
        "objective.name": "wasserstein",
        "objective.gradient_penalty": 10,
        "train.optimizer": "adam",
        "train.betas": [0.0, 0.9],
        "train.discriminator_updates": 5,
        "train.learning_rate": 1e-4,
        "train.learning_rate_decay": 0,
        "train.batch_size": 64,
    }


def hidden(inputs, width):
    return nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
