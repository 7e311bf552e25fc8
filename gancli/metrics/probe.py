"""The cheap figure that a training asks for after every epoch: how far, and how much of the data is covered.

    probe = Probe.for_data("mnist", images, device)
    figures = probe.measure(draw(probe.count))        # {"fd_mnist": 7.31, "coverage_mnist": 0.87}

With 2,048 pictures the distance is larger than with the 10,000 of ``gancli evaluate`` (by a few units near the end of a good
training), but it always is, so that epochs can be compared. The same pictures give the same bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import torch

from gancli.metrics.choice import extractor_for, known_moments
from gancli.metrics.distances import frechet_distance
from gancli.metrics.extractor import batches, read, some_of
from gancli.metrics.manifolds import DENSITY_NEIGHBOURS, coverage, radii
from gancli.metrics.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from gancli.metrics.extractor import Extractor

__all__ = ["Probe"]

COUNT = 2048
"""Pictures that are drawn for one measurement."""

MOST_REAL = 10_000
"""Real pictures that the distance is measured to."""


class Probe:
    """Distance and coverage of generated pictures, in features.

    Args:
        extractor: reads the pictures, on the device where they are drawn.
        moments: of the real pictures' features.
        real: features of real pictures ``(m, d)``, for coverage.

    Attributes:
        column: name of the distance: ``fd_mnist``, ``fd_random``. Smaller is better.
        coverage_column: name of the diversity: ``coverage_mnist``. From 0 to 1; larger is better.
        count: how many pictures to draw.
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
        """The probe for a data set; None if it has fewer than 2 pictures, which have no covariance.

        Args:
            name: of the data set.
            images: the training pictures, uint8 ``(n, c, h, w)``, on any device; at most 10,000 are looked at.
            device: where pictures will be drawn.
            extractor: by default the one that suits the data.
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
        """Distance and coverage of pictures, float batches ``(b, c, h, w)`` in [-1, 1] on the probe's device.

        Pictures that are not finite are infinitely far away, and cover nothing.

        Raises:
            ValueError: there are fewer than 2.
        """
        fake = read(self._extractor, images).features
        if not bool(fake.isfinite().all()):
            return {self.column: math.inf, self.coverage_column: 0.0}
        figures = {self.column: frechet_distance(Moments.of([fake]), self._moments)}
        if self._radii is not None:
            figures[self.coverage_column] = coverage(fake, self._real, self._radii)
        return figures
