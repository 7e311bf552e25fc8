"""How different generated images are from each other, in features: what mode collapse takes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gancli.metrics.extractor import read

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.metrics.extractor import Extractor

__all__ = ["Diversity", "likeness"]

BATCH_SIZE = 256


def likeness(features: Tensor, scale: float, labels: Tensor | None = None) -> float:
    """Mean over pairs i != j of k(x_i, x_j) = exp(-2 |x_i - x_j|^2 / scale^2): 0 if no two are alike, 1 if all are.

    1 / likeness estimates the effective number of different images: the diversity of order 2 of Leinster & Cobbold (2012),
    "Measuring diversity: the importance of species similarity".

    Args:
        features: ``(n, d)``, n > 1.
        scale: the distance at which two images count as different (k = 0.135).
        labels: classes ``(n,)``; the mean is then taken over pairs of one class.
    """
    pairs = ~torch.eye(len(features), dtype=torch.bool)
    if labels is not None:
        pairs &= labels[:, None] == labels
    return float(torch.exp(-2 * (torch.cdist(features, features) / scale).square())[pairs].mean())


class Diversity:
    """likeness(real) / likeness(fake), at most 1: how much rarer it is among real images that two look alike.

    1 for a good model, near 0 for one that generates a few images again and again. Noise does not count as diversity, as it
    does in pixels: in features, an image and a noisy copy are closer than two different images. Two images are taken for
    different from the median distance between a real image and its nearest neighbour on.

    Args:
        extractor: on the device of the images. :class:`.RandomExtractor` suits best: features that were trained on clean
            images are moved further by noise and blur (tests/benchmarks/collapse.py).
        real: images in [-1, 1], ``(n, c, h, w)``.
        labels: their classes, ``(n,)``, on the CPU, if diversity within classes is asked for.
    """

    def __init__(self, extractor: Extractor, real: Tensor, labels: Tensor | None = None) -> None:
        self._extractor = extractor
        features = read(extractor, torch.split(real, BATCH_SIZE)).features
        distances = torch.cdist(features, features).fill_diagonal_(torch.inf)
        if labels is not None:
            distances[labels[:, None] != labels] = torch.inf
        nearest = distances.amin(1)
        nearest = nearest[nearest.isfinite() & (nearest > 0)]  # copies say nothing about what is different
        self._scale = float(nearest.median()) if len(nearest) else 0.0
        self._real = likeness(features, self._scale, labels) if self._scale else 0.0

    def measure(self, fake: Tensor, labels: Tensor | None = None) -> float:
        """The diversity of images ``(n, c, h, w)``; 1 if the real ones do not differ; 0 for images that are not finite."""
        if not self._scale:
            return 1.0
        features = read(self._extractor, torch.split(fake, BATCH_SIZE)).features
        if not features.isfinite().all():
            return 0.0
        return min(1.0, self._real / max(likeness(features, self._scale, labels), 1e-12))
