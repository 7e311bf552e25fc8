"""Which classes the pictures belong to, in the eyes of the extractor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gancli.metrics.estimate import Estimate, proportion, symmetric

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Histogram", "histogram"]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How N pictures are spread over K classes.

    Attributes:
        shares: share of each class.
        modes: how many classes at least one picture belongs to.
        kl: KL(p || q) = sum of p log(p / q) in nats, p the pictures' shares and q the real ones' (Srivastava et al., 2017;
            Metz et al., 2017, for Stacked-MNIST); infinite if p has a class that q has not.
        floor: what ``kl`` is on average if p = q, because N is finite: (K - 1) / (2 N).
    """

    shares: tuple[Estimate, ...]
    modes: int
    kl: Estimate
    floor: float


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
