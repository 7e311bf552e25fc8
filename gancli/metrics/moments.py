"""Mean and covariance of features, added up batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

__all__ = ["Moments"]


@dataclass(frozen=True, slots=True)
class Moments:
    """What a Gaussian that is fitted to features is made of, float64, on the CPU.

    Attributes:
        count: number of samples, at least 2.
        mean: ``(d,)``.
        covariance: ``(d, d)``, unbiased: divided by count - 1.
    """

    count: int
    mean: Tensor
    covariance: Tensor

    @property
    def total_variance(self) -> float:
        """The trace of the covariance."""
        return float(self.covariance.trace())

    @classmethod
    def of(cls, batches: Iterable[Tensor]) -> Self:
        """The moments of features ``(b, d)``; memory does not grow with their number.

        Sums are taken about the first batch's mean, so that nothing cancels where the mean is large (Chan et al., 1983).

        Raises:
            ValueError: there are fewer than 2 samples.
        """
        count, origin, total, squares = 0, None, None, None
        for batch in batches:
            features = batch.detach().double()
            if origin is None or total is None or squares is None:
                origin = features.mean(0)
                total, squares = torch.zeros_like(origin), features.new_zeros(len(origin), len(origin))
            centred = features - origin
            count, total, squares = count + len(centred), total + centred.sum(0), squares + centred.T @ centred
        if origin is None or total is None or squares is None or count < 2:  # noqa: PLR2004  (one has no covariance)
            raise ValueError(f"{count} samples have no covariance.")
        shift = total / count
        covariance = (squares - count * torch.outer(shift, shift)) / (count - 1)
        return cls(count, (origin + shift).cpu(), covariance.cpu())
