"""A number, how many pictures it stands on, and between which bounds it lies with a confidence of 95 %.

The intervals are for the pictures that were drawn: what another seed would have given, with the real pictures as they are.
They do not cover a bias that depends on N (see each figure), nor the choice of the extractor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Estimate", "Z", "mean", "proportion", "symmetric"]

Z = 1.959963984540054
"""Standard deviations to either side that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure.

    Attributes:
        value: the estimate.
        low: lower end of its 95 % interval.
        high: upper end.
        count: N, the pictures that the interval is about.
    """

    value: float
    low: float
    high: float
    count: int


def symmetric(value: float, standard_error: float, count: int, lowest: float = -math.inf) -> Estimate:
    """``value +- 1.96 standard errors``, and not below ``lowest``."""
    return Estimate(value, max(lowest, value - Z * standard_error), value + Z * standard_error, count)


def mean(values: Tensor, lowest: float = -math.inf) -> Estimate:
    """The mean of independent values ``(n,)``, by the central limit theorem."""
    n = len(values)
    deviation = float(values.double().std()) if n > 1 else 0.0
    return symmetric(float(values.double().mean()), deviation / math.sqrt(n), n, lowest)


def proportion(hits: int, count: int) -> Estimate:
    """The share ``hits / count``, with the interval of Wilson (1927), which stays in [0, 1] and is right at the ends.

    >>> estimate = proportion(10, 10)
    >>> estimate.value, round(estimate.low, 3), estimate.high
    (1.0, 0.722, 1.0)
    """
    share, z2 = hits / count, Z * Z
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), count)
