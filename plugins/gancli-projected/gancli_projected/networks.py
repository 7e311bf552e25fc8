"""FastGAN's generator, the random projections of frozen features, and the heads on them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everywhere)
from torch.nn.utils.parametrizations import spectral_norm

from gancli_projected.efficientnet import WIDTHS, three_channels

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.plugin import ImageSpec
    from gancli_projected import ProjectedConfig
    from gancli_projected.efficientnet import EfficientNetLite

__all__ = ["FastGenerator", "Heads", "Pooled", "Projection"]

EXCITES = 3
"""A map scales the channels of the one that is so many doublings larger."""
SMALLEST_HALVED = 8
JUDGED_SIDES = 64, 128
"""Shortest and longest side of what the extractor looks at: smaller images are enlarged to it, larger ones reduced."""


class FastGenerator(nn.Module):
    """FastGAN's generator (Liu et al., 2021): upsampling with gated linear units, and skip-layer excitation.

    y_i = up(x_(i-1)),   x_i = y_i * e_i(y_(i-3))   with e a small network that ends in a sigmoid, per channel. The paper's
    noise inputs are left out, so that a latent always gives the same image.

    Args:
        config: the options.
        image: what is generated.
        latent_dim: dimensions of z.
        halvings: doublings from the base to the full size.
    """

    def __init__(self, config: ProjectedConfig, image: ImageSpec, latent_dim: int, halvings: int) -> None:
        super().__init__()
        widths = [min(config.max_channels, config.channels * 2**i) for i in range(halvings, -1, -1)]
        base = image.height >> halvings, image.width >> halvings
        self.classes = nn.Embedding(image.classes, config.class_dim) if image.classes else None
        inputs = latent_dim + (config.class_dim if image.classes else 0)
        self.first = nn.Sequential(
            nn.Linear(inputs, 2 * widths[0] * base[0] * base[1], bias=False),
            nn.Unflatten(1, (2 * widths[0], *base)),
            nn.BatchNorm2d(2 * widths[0]),
            nn.GLU(1),
        )
        self.ups = nn.ModuleList(_up(*pair) for pair in pairwise(widths))
        self.excitations = nn.ModuleList(_excitation(*pair) for pair in zip(widths, widths[EXCITES:], strict=False))
        self.output = nn.Conv2d(widths[-1], image.channels, 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``(n, latent_dim)`` [, labels ``(n,)``] -> images ``(n, c, h, w)`` in [-1, 1]."""
        z = F.normalize(z) * z.shape[1] ** 0.5
        if self.classes is not None:
            z = torch.cat([z, self.classes(labels)], 1)
        maps = [self.first(z)]
        for number, up in enumerate(self.ups, 1):
            x = up(maps[-1])
            if number >= EXCITES:
                x = x * self.excitations[number - EXCITES](maps[number - EXCITES])
            maps.append(x)
        return torch.tanh(self.output(maps[-1]))


def _up(inputs: int, outputs: int) -> nn.Sequential:
    """Twice the size: ``(n, inputs, h, w) -> (n, outputs, 2h, 2w)``."""
    conv = nn.Conv2d(inputs, 2 * outputs, 3, padding=1, bias=False)
    return nn.Sequential(nn.Upsample(scale_factor=2.0), conv, nn.BatchNorm2d(2 * outputs), nn.GLU(1))


def _excitation(inputs: int, outputs: int) -> nn.Sequential:
    """A factor in (0, 1) for each channel: ``(n, inputs, h, w) -> (n, outputs, 1, 1)``."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(4),
        nn.Conv2d(inputs, outputs, 4, bias=False),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 1, bias=False),
        nn.Sigmoid(),
    )


class Projection(nn.Module):
    """Random mixing of the four feature maps, across channels and then from coarse to fine (section 3.2); never trained.

    c_i = A_i f_i,   m_4 = B_4 * c_4,   m_i = B_i * (c_i + up(m_(i+1)))   with A 1x1 and B 3x3, Kaiming normal.
    """

    def __init__(self, config: ProjectedConfig) -> None:
        super().__init__()
        width = config.projected_channels
        self.channels = nn.ModuleList(nn.Conv2d(inputs, width, 1, bias=False) for inputs in WIDTHS)
        self.scales = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in WIDTHS)
        for layer in (*self.channels, *self.scales):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Four maps, fine ones first -> as many of ``projected_channels`` channels, each of its own size."""
        mixed: list[Tensor] = []
        for x, channels, scales in zip(maps[::-1], self.channels[::-1], self.scales[::-1], strict=True):
            y = channels(x)
            mixed.append(scales(y + F.interpolate(mixed[-1], size=y.shape[2:], mode="bilinear") if mixed else y))
        return mixed[::-1]


class Head(nn.Module):
    """Projected features of one resolution -> a map of logits; with labels by projection (Miyato and Koyama, 2018)."""

    def __init__(self, config: ProjectedConfig, classes: int) -> None:
        super().__init__()
        width = config.head_channels
        self.hidden = spectral_norm(nn.Conv2d(config.projected_channels, width, 4, 2, 1))
        self.logits = spectral_norm(nn.Conv2d(width, 1, 3, padding=1))
        self.classes = spectral_norm(nn.Embedding(classes, width)) if classes else None

    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        """``(n, projected_channels, h, w)`` [, labels ``(n,)``] -> ``(n, 1, h', w')``."""
        if min(x.shape[2:]) < SMALLEST_HALVED:
            x = F.interpolate(x, scale_factor=2.0)
        hidden = F.leaky_relu(self.hidden(x), 0.2)
        logits: Tensor = self.logits(hidden)
        if self.classes is None:
            return logits
        by_class: Tensor = (hidden * self.classes(labels[0])[:, :, None, None]).sum(1, keepdim=True)
        return logits + by_class


class Heads(nn.Module):
    """The discriminator: images -> logits ``(n, k)`` of all places at all four resolutions, each resolution of equal weight.

    Transparent images are passed twice, on black and on white, which tells colour and alpha apart.
    """

    def __init__(self, features: EfficientNetLite, projection: Projection, config: ProjectedConfig, image: ImageSpec) -> None:
        super().__init__()
        self._frozen = features, projection  # in a tuple they are not submodules
        self.heads = nn.ModuleList(Head(config, image.classes) for _ in WIDTHS)

    def forward(self, images: Tensor, *labels: Tensor) -> Tensor:
        """``(n, c, h, w)`` [, labels ``(n,)``] -> ``(n, k)``."""
        backgrounds = (-1.0, 1.0) if images.shape[1] in (2, 4) else (0.0,)
        return torch.cat([self._logits(three_channels(images, level), *labels) for level in backgrounds], 1)

    def _logits(self, images: Tensor, *labels: Tensor) -> Tensor:
        features, projection = self._frozen
        mixed = projection(features(images.contiguous(memory_format=torch.channels_last)))
        maps = [head(x, *labels) for head, x in zip(self.heads, mixed, strict=True)]
        return torch.cat([F.interpolate(logits, size=maps[0].shape[2:]).flatten(1) for logits in maps], 1)


class Pooled(nn.Module):
    """Means of the maps at strides of 16 and 32 over the image: ``(n, c, h, w)`` in [-1, 1] -> ``(n, 432)``."""

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Features, after images were enlarged or reduced to sides that the network knows objects at."""
        images = three_channels(images)
        shortest, longest = JUDGED_SIDES
        sides = images.shape[2:]
        factor = max(1.0, shortest / min(sides)) * min(1.0, longest / max(sides))
        if factor != 1:
            size = [max(1, round(side * factor)) for side in sides]
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
        maps = self.network(images.contiguous(memory_format=torch.channels_last))
        return torch.cat([x.mean((2, 3)) for x in maps[2:]], 1)
