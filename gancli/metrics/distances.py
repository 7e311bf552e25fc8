"""Distances between two sets of features, of their Gaussians or by a kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch

from gancli.metrics.estimate import Estimate, symmetric

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


TOTAL_VARIANCE = 1000.0
"""Trace of the covariance of the features of the training data."""

BLOCK_ROWS = 1024
"""Rows of a kernel matrix that are in memory at a time."""


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
        """The moments of features ``(b, d)``; memory does not grow with their number. Fewer than 2 samples are a ValueError.

        Sums are taken about the first batch's mean, so that nothing cancels where the mean is large (Chan et al., 1983).
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


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2), computed in float64; infinite if a moment is not finite.

    The squared 2-Wasserstein distance of the Gaussians that are fitted to both sets (Frechet, 1957; Dowson & Landau, 1982;
    for generative models Heusel et al., 2017). The product is kept symmetric, so that its eigenvalues are real and the root
    is that of numbers that are at least 0 up to rounding, whatever the rank of the covariances.

    With N samples it is too large by a term of the order of 1/N, more for less regular features (Chong & Forsyth, 2020):
    compare at equal N only.
    """
    if not all(bool(part.isfinite().all()) for part in (a.mean, a.covariance, b.mean, b.covariance)):
        return math.inf
    half = _root(a.covariance)
    overlap = torch.linalg.eigvalsh(_symmetric(half @ b.covariance @ half)).clamp_(min=0).sqrt_().sum()
    means = (a.mean - b.mean).square().sum()
    return max(0.0, float(means + a.covariance.trace() + b.covariance.trace() - 2 * overlap))


def frechet_estimate(features: Tensor, reference: Moments) -> Estimate:
    """The distance of features ``(n, d)`` to fixed moments, with an interval by the delta method.

    The influence of one sample x on the distance is 2 (mu - mu_r)(x - mu) + (x - mu)^T (I - T)(x - mu) - tr((I - T) S) with
    T = S^-1/2 (S^1/2 S_r S^1/2)^1/2 S^-1/2, the optimal transport between both Gaussians; the variance of that over n is the
    variance of the distance. (A bootstrap would not do: a resample has fewer distinct images and is further away.)
    """
    moments = Moments.of([features])
    value = frechet_distance(moments, reference)
    if not math.isfinite(value):
        return Estimate(math.inf, 0.0, math.inf, len(features))
    centred = features.double().cpu() - moments.mean
    transport = _transport(moments.covariance, reference.covariance)
    bend = torch.eye(len(moments.mean), dtype=torch.float64) - transport
    influence = 2 * centred @ (moments.mean - reference.mean) + (centred @ bend * centred).sum(1)
    return symmetric(value, float(influence.std()) / math.sqrt(len(features)), len(features), lowest=0.0)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


def _transport(source: Tensor, target: Tensor) -> Tensor:
    """T = S^-1/2 (S^1/2 S_t S^1/2)^1/2 S^-1/2; directions without any variance in the source are left alone."""
    values, vectors = torch.linalg.eigh(source)
    there = values > values.max() * 1e-10
    root = torch.where(there, values, 0.0).sqrt()
    inverse = torch.where(there, values.clamp(min=1e-300).rsqrt(), 0.0)
    half, back = (vectors * root) @ vectors.T, (vectors * inverse) @ vectors.T
    transport: Tensor = back @ _root(_symmetric(half @ target @ half)) @ back
    return transport


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.T) / 2


def kernel_distance(features: Tensor, reference: Tensor, gamma: float = 1 / TOTAL_VARIANCE) -> Estimate:
    """Unbiased squared maximum mean discrepancy with the kernel k(x, y) = (gamma x.y + 1)^3 (Binkowski et al., 2018, "KID").

    mean over i != j of k(x_i, x_j) + mean over i != j of k(y_i, y_j) - 2 mean of k(x_i, y_j), over all pairs. KID is commonly
    averaged over subsets of 1,000; this is the limit of that average, with no randomness. It is unbiased, so that different N
    can be compared, and may be negative. The interval is that of a U-statistic (Hoeffding, 1948), in the samples x.

    Args:
        features: x, ``(n, d)``, n > 1.
        reference: y, ``(m, d)``, m > 1.
        gamma: factor of the product; with the features' total variance of 1000 it corresponds to KID's 1/d.
    """
    x, y = features.double(), reference.double()
    n = len(x)
    within, across, among = _row_sums(x, x, gamma), _row_sums(x, y, gamma), _row_sums(y, y, gamma)
    within -= _kernel_of_itself(x, gamma)
    among -= _kernel_of_itself(y, gamma)
    own, cross, other = within / (n - 1), across / len(y), among / (len(y) - 1)
    value = float(own.mean() + other.mean() - 2 * cross.mean())
    return symmetric(value, 2 * float((own - cross).std()) / math.sqrt(n), n)


def _row_sums(x: Tensor, y: Tensor, gamma: float) -> Tensor:
    """Sum over j of k(x_i, y_j), ``(n,)``."""
    blocks = (x[start : start + BLOCK_ROWS] for start in range(0, len(x), BLOCK_ROWS))
    return torch.cat([(gamma * rows @ y.T).add_(1).pow_(3).sum(1) for rows in blocks])


def _kernel_of_itself(x: Tensor, gamma: float) -> Tensor:
    return (gamma * x.square().sum(1) + 1) ** 3
