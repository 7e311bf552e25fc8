"""pix2pix: paired images, a U-Net, a conditional patch discriminator, and L1 of weight 100.

Isola et al., 2017, "Image-to-Image Translation with Conditional Adversarial Networks".
"""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field
from torch import nn

from gancli.plugin import ArchConfig, Architecture, LossTerm, Networks


class Pix2PixConfig(ArchConfig):
    """Options of pix2pix."""

    channels: int = Field(16, ge=4, le=512, description="channels of every layer")
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout of the decoder, its only noise")


class Pix2Pix(Architecture[Pix2PixConfig]):
    """The noise is dropout while training; a trained generator is a function of its source."""

    api = 2
    summary = "pix2pix (Isola et al., 2017)"
    Config = Pix2PixConfig
    defaults = {
        "objective.name": "non-saturating",
        "objective.r1_gamma": 0,
        "model.latent_dim": 1,
        "train.batch_size": 1,
        "train.learning_rate": 2e-4,
        "train.betas": [0.5, 0.999],
        "train.real_fake_batch": "separate",
    }

    def supports(self, config, image):
        if image.source is None or not image.paired:
            return "pix2pix learns from pairs of a source image and an image."
        if image.source[1:] != image.shape[1:] or image.height % 4 or image.width % 4:
            return "Images and sources have to be of one size, with sides that are multiples of 4."
        return None

    def build(self, config, image, latent_dim):
        return Networks(UNet(config, image), PatchDiscriminator(config, image))

    def updates(self, config, objective, discriminator, generator):
        l1 = LossTerm("l1", lambda s: (s.fake - s.real).abs(), 100.0)
        return discriminator, replace(generator, losses=(*generator.losses, l1))


class UNet(nn.Module):
    """``(z, ..., source) -> images``; z is ignored."""

    def __init__(self, config, image):
        super().__init__()
        width = config.channels
        self.down1 = nn.Sequential(nn.Conv2d(image.source[0], width, 4, 2, 1), nn.LeakyReLU(0.2))
        self.down2 = nn.Sequential(nn.Conv2d(width, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.up1 = nn.Sequential(
            nn.ConvTranspose2d(width, width, 4, 2, 1),
            nn.BatchNorm2d(width),
            nn.Dropout(config.dropout),
            nn.ReLU(),
        )
        self.up2 = nn.Sequential(nn.ConvTranspose2d(2 * width, image.channels, 4, 2, 1), nn.Tanh())

    def forward(self, z, *conditions):
        large = self.down1(conditions[-1])
        return self.up2(torch.cat([large, self.up1(self.down2(large))], 1))


class PatchDiscriminator(nn.Module):
    """``(images, ..., source) -> logits (n, k)``, one for each patch of the pair."""

    def __init__(self, config, image):
        super().__init__()
        width = config.channels
        self.layers = nn.Sequential(
            nn.Conv2d(image.channels + image.source[0], width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 1, 3, 1, 1),
            nn.Flatten(),
        )

    def forward(self, images, *conditions):
        return self.layers(torch.cat([images, conditions[-1]], 1))
