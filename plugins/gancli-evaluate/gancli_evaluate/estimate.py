"""Numbers with the count of images that they stand on, and the bounds between which they lie with a confidence of 95 %.

The intervals are for the images that were generated: what another seed would have given, with the real images as they are.
They do not cover a bias that depends on N (see each metric), nor the choice of the extractor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Z = 1.959963984540054  # standard deviations to either side that hold 95 % of a normal distribution


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, the ends of its 95 % interval, and N, the number of images that the interval is about."""

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


@dataclass(frozen=True, slots=True)
class Histogram:
    """How N images are spread over K classes.

    Their distance to the real ones is KL(p || q) = sum of p log(p / q) in nats, p the images' shares and q the real ones'
    (Srivastava et al., 2017; Metz et al., 2017, for Stacked-MNIST); infinite if p has a class that q has not.
    """

    shares: tuple[Estimate, ...]  # of each class
    modes: int  # how many classes at least one image belongs to
    kl: Estimate
    floor: float  # what kl is on average if p = q, because N is finite: (K - 1) / (2 N)


def histogram(classes: Tensor, real: Tensor) -> Histogram:
    """The histogram of classes ``(n,)`` against real shares ``(K,)``, which sum to 1.

    The interval of KL is by the delta method, of second order: the variance is (sum of p log^2(p / q) - KL^2) / N, and
    (K - 1) / (2 N^2) where p = q makes that vanish.
    """
    n, k = len(classes), len(real)
    counts = classes.bincount(minlength=k)
    p, q = counts.double() / n, real.double()
    present = p > 0
    logs = torch.where(present, (p / q).log(), 0.0)
    kl = float((torch.where(present, p * logs, 0.0)).sum())
    variance = float((p * logs.square()).sum()) - kl * kl if math.isfinite(kl) else 0.0
    error = math.sqrt(max(0.0, variance) / n + (k - 1) / (2 * n * n))
    return Histogram(
        shares=tuple(proportion(int(count), n) for count in counts),
        modes=int(present.sum()),
        kl=symmetric(kl, error, n, lowest=0.0) if math.isfinite(kl) else Estimate(kl, 0.0, kl, n),
        floor=(k - 1) / (2 * n),
    )


def copying(fake: Tensor, fresh: Tensor) -> Estimate:
    """P(d_fake < d_fresh) + P(d_fake = d_fresh) / 2, of distances ``(n,)`` and ``(m,)`` to the nearest training image.

    1/2 if generated images keep as far from the training images as real ones that were not trained on, 1 if they are
    copies, below 1/2 if they are further away (a poor generator is). This is the statistic of Mann and Whitney (1947), as
    proposed for this by Meehan et al. (2020); the interval is DeLong's (1988).
    """

    def placements(values: Tensor, among: Tensor) -> Tensor:
        """For every value the share of ``among`` above it, equals counted by half."""
        ordered, values = among.double().sort().values, values.double()
        not_above, below = torch.searchsorted(ordered, values, right=True), torch.searchsorted(ordered, values)
        return 1 - (not_above + below).double() / (2 * len(ordered))

    nearer, further = placements(fake, fresh), 1 - placements(fresh, fake)
    variance = sum(float(each.var()) / len(each) for each in (nearer, further) if len(each) > 1)
    estimate = symmetric(float(nearer.mean()), math.sqrt(variance), len(fake), lowest=0.0)
    return replace(estimate, high=min(1.0, estimate.high))
