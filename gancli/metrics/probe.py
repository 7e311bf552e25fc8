"""Metrics that are cheap enough for every epoch of a training: distance and coverage, and diversity.

With 2,048 images the distance is larger than with the 10,000 of ``gancli evaluate`` (by a few units near the end of a good
training), but it always is, so that epochs can be compared. The same images give the same bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from gancli.metrics.distances import DENSITY_NEIGHBOURS, Moments, coverage, frechet_distance, radii
from gancli.metrics.extractors import BATCH_SIZE, Extractor, batches, extractor_for, known_moments, read, some_of

if TYPE_CHECKING:
    from collections.abc import Iterable


COUNT = 2048  # images that are generated for one measurement
MOST_REAL = 10_000  # real images that the distance is measured to


class Probe:
    """Distance and coverage of ``count`` generated images, in features: of real images their moments, and ``real (m, d)``.

    The columns are called ``fd_mnist`` (smaller is better) and ``coverage_mnist`` (0 to 1; larger is better), for instance.
    """

    def __init__(self, extractor: Extractor, moments: Moments, real: Tensor) -> None:
        name = extractor.name.replace("-", "_")
        self.column, self.coverage_column = f"fd_{name}", f"coverage_{name}"
        self.count = COUNT
        self._extractor = extractor
        self._moments = moments
        self._real = real
        self._radii = radii(real)[:, -1] if len(real) > DENSITY_NEIGHBOURS else None

    @classmethod
    def for_data(
        cls, name: str, images: Tensor, device: torch.device | str = "cpu", extractor: Extractor | None = None
    ) -> Self | None:
        """The probe for a data set of that name, by default with the extractor that suits it; None with fewer than 2 images.

        At most 10,000 of the training images, uint8 ``(n, c, h, w)``, are used; generated ones will be on the device.
        """
        if len(images) < 2:  # noqa: PLR2004  (one has no covariance)
            return None
        chosen = some_of(images, MOST_REAL)
        extractor = extractor or extractor_for(name, images)
        moments = known_moments(extractor, images)
        extractor = extractor.to(torch.device(device))
        real = read(extractor, batches(chosen if moments is None else some_of(images, COUNT), torch.device(device))).features
        return cls(extractor, moments or Moments.of([real]), some_of(real, COUNT))

    def measure(self, images: Iterable[Tensor]) -> dict[str, float]:
        """Distance and coverage of images, float batches ``(b, c, h, w)`` in [-1, 1] on the probe's device, at least 2 in all.

        Images that are not finite are infinitely far away, and cover nothing.
        """
        fake = read(self._extractor, images).features
        if not bool(fake.isfinite().all()):
            return {self.column: math.inf, self.coverage_column: 0.0}
        metrics = {self.column: frechet_distance(Moments.of([fake]), self._moments)}
        if self._radii is not None:
            metrics[self.coverage_column] = coverage(fake, self._real, self._radii)
        return metrics


def likeness(features: Tensor, scale: float, labels: Tensor | None = None) -> float:
    """Mean over pairs i != j of k(x_i, x_j) = exp(-2 |x_i - x_j|^2 / scale^2): 0 if no two are alike, 1 if all are.

    1 / likeness estimates the effective number of different images: the diversity of order 2 of Leinster & Cobbold (2012),
    "Measuring diversity: the importance of species similarity". Features are ``(n, d)``, n > 1; at the distance ``scale``
    two images count as different (k = 0.135). With classes ``(n,)`` the mean is taken over pairs of one class.
    """
    pairs = ~torch.eye(len(features), dtype=torch.bool)
    if labels is not None:
        pairs &= labels[:, None] == labels
    return float(torch.exp(-2 * (torch.cdist(features, features) / scale).square())[pairs].mean())


class Diversity:
    """likeness(real) / likeness(fake), at most 1: how much rarer it is among real images that two look alike.

    1 for a good model, near 0 for one that generates a few images again and again. Two images are taken for different from the
    median distance between a real image and its nearest neighbour on. Noise does not count as diversity: in features, an image
    and a noisy copy are closer than two different images, most so in those of :class:`.RandomExtractor` (tests/benchmarks/
    collapse.py). Real images are ``(n, c, h, w)`` in [-1, 1], with classes ``(n,)`` if diversity within classes is asked for.
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
