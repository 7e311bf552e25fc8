"""Projected GAN: four small discriminators on the features of a network that is never trained.

Sauer et al., 2021, "Projected GANs Converge Faster". The features here are random, where the paper
takes those of a pretrained EfficientNet.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everywhere)

from gancli.plugin import ArchConfig, Architecture, Networks

SCALES = 4


class ProjectedGANConfig(ArchConfig):
    """Options of Projected GAN."""

    channels: int = Field(16, ge=4, le=512, description="channels of the trained layers")
    feature_channels: int = Field(32, ge=4, le=2048, description="channels of the frozen features")


class ProjectedGAN(Architecture[ProjectedGANConfig]):
    """The features are a network of their own, so that checkpoints hold their SHA-256 only."""

    api = 2
    summary = "Projected GAN on random features (Sauer et al., 2021)"
    Config = ProjectedGANConfig
    defaults = {
        "objective.name": "hinge",
        "objective.r1_gamma": 0,
        "train.learning_rate": 2e-4,
        "train.betas": [0.0, 0.99],
    }

    def supports(self, config, image):
        if image.classes:
            return "Projected GAN is unconditional."
        fits = image.height % 16 == 0 and image.width % 16 == 0
        return None if fits else "Both sides have to be multiples of 16."

    def build(self, config, image, latent_dim):
        features = Features(image.channels, config.feature_channels)
        heads = Heads(features, config)
        return Networks(self.build_generator(config, image, latent_dim), heads, {"features": features})

    def build_generator(self, config, image, latent_dim):
        """Without the features, which may be large."""
        width, base = config.channels, (image.height // 4, image.width // 4)
        return nn.Sequential(
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


class Features(nn.Module):
    """images -> four feature maps, mixed across channels and scales by random projections (section 3)."""

    def __init__(self, channels, width):
        super().__init__()
        inputs = [channels, *[width] * (SCALES - 1)]
        self.backbone = nn.ModuleList(nn.Conv2d(n, width, 4, 2, 1) for n in inputs)
        self.across_channels = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in inputs)
        self.across_scales = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in inputs)

    def forward(self, images):
        maps, x = [], images
        for layer, project in zip(self.backbone, self.across_channels, strict=True):
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(project(x))
        mixed = [self.across_scales[-1](maps[-1])]
        for x, project in zip(maps[-2::-1], self.across_scales[-2::-1], strict=True):
            mixed.append(project(x + F.interpolate(mixed[-1], scale_factor=2.0)))
        return mixed


class Heads(nn.Module):
    """images -> logits ``(n, 16)``: four of each head, so that all heads weigh the same."""

    def __init__(self, features, config):
        super().__init__()
        self._features = (features,)  # in a tuple it is no part of this network
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(config.feature_channels, config.channels, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(config.channels, 1, 1, bias=False),
                nn.AdaptiveAvgPool2d(2),
                nn.Flatten(),
            )
            for _ in range(SCALES)
        )

    def forward(self, images):
        maps = self._features[0](images)
        return torch.cat([head(x) for head, x in zip(self.heads, maps, strict=True)], 1)
