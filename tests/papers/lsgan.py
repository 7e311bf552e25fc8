"""LSGAN: least squares in place of cross-entropy, with batch normalisation in both networks.

Mao et al., 2017, "Least Squares Generative Adversarial Networks".
"""

from __future__ import annotations

from pydantic import Field
from torch import nn

from gancli.plugin import ArchConfig, Architecture, Networks


class LSGANConfig(ArchConfig):
    """Options of LSGAN."""

    channels: int = Field(16, ge=4, le=512, description="channels of every layer")


class LSGAN(Architecture[LSGANConfig]):
    """Its loss is the objective; the architecture says which, and keeps D's batches apart."""

    api = 2
    summary = "LSGAN (Mao et al., 2017)"
    Config = LSGANConfig
    defaults = {
        "objective.name": "least-squares",
        "objective.r1_gamma": 0,  # the gradient at one image depends on the others of its batch
        "train.learning_rate": 1e-3,
        "train.betas": [0.5, 0.999],
        "train.batch_size": 64,
        "train.real_fake_batch": "separate",
    }

    def supports(self, config, image):
        if image.classes:
            return "LSGAN is unconditional."
        fits = image.height % 4 == 0 and image.width % 4 == 0
        return None if fits else "Both sides have to be multiples of 4."

    def build(self, config, image, latent_dim):
        width, base = config.channels, (image.height // 4, image.width // 4)
        generator = nn.Sequential(
            nn.Linear(latent_dim, width * base[0] * base[1]),
            nn.Unflatten(1, (width, *base)),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, image.channels, 4, 2, 1),
            nn.Tanh(),
        )
        discriminator = nn.Sequential(
            nn.Conv2d(image.channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(width * base[0] * base[1], 1),
            nn.Flatten(0),
        )
        return Networks(generator, discriminator)
