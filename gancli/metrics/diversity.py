"""How many different images a set holds, in features: what mode collapse takes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gancli.metrics.extractor import read

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.metrics.extractor import Extractor

__all__ = ["Diversity", "effective_number"]

BATCH_SIZE = 256


def effective_number(features: Tensor, scale: float, labels: Tensor | None = None) -> float:
    """1 / mean over i, j of k(x_i, x_j) with k(x, y) = exp(-2 |x - y|^2 / scale^2): from 1, all alike, to n, all different.

    The diversity of order 2 of Leinster & Cobbold (2012), "Measuring diversity: the importance of species similarity", of
    n images with equal weights; Friedman & Dieng (2023), "The Vendi score", use that of order 1.

    Args:
        features: ``(n, d)``, n > 0.
        scale: the distance at which two images count as different (k = 0.135).
        labels: classes ``(n,)``; the mean is then taken over pairs of one class.
    """
    similarity = torch.exp(-2 * (torch.cdist(features, features) / scale).square())
    if labels is not None:
        similarity = similarity[labels[:, None] == labels]
    return 1 / float(similarity.mean())


class Diversity:
    """The effective number of generated images, relative to that of as many real ones.

    About 1 for a good model, near 0 for one that generates a few images again and again. Noise does not count as diversity, as
    it does in pixels: the features of an image and of a noisy copy are closer than those of two different images. Two images
    are taken for different from the median distance between a real image and its nearest neighbour on.

    Args:
        extractor: on the device of the images.
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
        self._reference = effective_number(features, self._scale, labels) if self._scale else 0.0

    def measure(self, fake: Tensor, labels: Tensor | None = None) -> float:
        """effective_number(fake) / effective_number(real), for as many images; 1 if the real ones do not differ; 0 for NaN."""
        if not self._scale:
            return 1.0
        features = read(self._extractor, torch.split(fake, BATCH_SIZE)).features
        return effective_number(features, self._scale, labels) / self._reference if features.isfinite().all() else 0.0
