"""Memorisation: are generated pictures nearer to the training pictures than fresh real ones are?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from gancli.metrics.estimate import Estimate, symmetric

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["copying"]


def copying(fake: Tensor, fresh: Tensor) -> Estimate:
    """P(d_fake < d_fresh) + P(d_fake = d_fresh) / 2, of distances ``(n,)`` and ``(m,)`` to the nearest training picture.

    1/2 if generated pictures keep as far from the training pictures as real ones that were not trained on, 1 if they are
    copies, below 1/2 if they are further away (a poor generator is). This is the statistic of Mann and Whitney (1947), as
    proposed for this by Meehan et al. (2020); the interval is DeLong's (1988).
    """
    nearer, further = _placements(fake, fresh), 1 - _placements(fresh, fake)
    variance = _variance_of_mean(nearer) + _variance_of_mean(further)
    estimate = symmetric(float(nearer.mean()), math.sqrt(variance), len(fake), lowest=0.0)
    return Estimate(estimate.value, estimate.low, min(1.0, estimate.high), estimate.count)


def _placements(values: Tensor, among: Tensor) -> Tensor:
    """For every value the share of ``among`` above it, equals counted by half."""
    ordered, values = among.double().sort().values, values.double()
    not_above = torch.searchsorted(ordered, values, right=True)
    below = torch.searchsorted(ordered, values)
    return 1 - (not_above + below).double() / (2 * len(ordered))


def _variance_of_mean(values: Tensor) -> float:
    return float(values.var()) / len(values) if len(values) > 1 else 0.0
