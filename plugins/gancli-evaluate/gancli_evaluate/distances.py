"""Distances between two sets of features with their intervals: of their Gaussians, and by a kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gancli.metrics.distances import TOTAL_VARIANCE, Moments, frechet_distance, root, symmetrised
from gancli_evaluate.estimate import Estimate, symmetric

BLOCK_ROWS = 1024  # of a kernel matrix, which are in memory at a time


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
    # of the transport, directions without any variance are left alone
    values, vectors = torch.linalg.eigh(moments.covariance)
    there = values > values.max() * 1e-10
    roots = torch.where(there, values, 0.0).sqrt()
    inverse = torch.where(there, values.clamp(min=1e-300).rsqrt(), 0.0)
    half, back = (vectors * roots) @ vectors.T, (vectors * inverse) @ vectors.T
    transport = back @ root(symmetrised(half @ reference.covariance @ half)) @ back
    bend = torch.eye(len(moments.mean), dtype=torch.float64) - transport
    influence = 2 * centred @ (moments.mean - reference.mean) + (centred @ bend * centred).sum(1)
    return symmetric(value, float(influence.std()) / math.sqrt(len(features)), len(features), lowest=0.0)


def kernel_distance(features: Tensor, reference: Tensor, gamma: float = 1 / TOTAL_VARIANCE) -> Estimate:
    """Unbiased squared maximum mean discrepancy with the kernel k(x, y) = (gamma x.y + 1)^3 (Binkowski et al., 2018, "KID").

    mean over i != j of k(x_i, x_j) + mean over i != j of k(y_i, y_j) - 2 mean of k(x_i, y_j), over all pairs. KID is commonly
    averaged over subsets of 1,000; this is the limit of that average, with no randomness. It is unbiased, so that different N
    can be compared, and may be negative. The interval is that of a U-statistic (Hoeffding, 1948), in the samples x.

    ``features`` are x, ``(n, d)``, n > 1, and ``reference`` is y, ``(m, d)``, m > 1. With the features' total variance of 1000
    ``gamma`` corresponds to KID's 1/d.
    """
    x, y = features.double(), reference.double()
    n = len(x)

    def sums(a: Tensor, b: Tensor) -> Tensor:
        """Sum over j of k(a_i, b_j), ``(n,)``."""
        return torch.cat([(gamma * rows @ b.T).add_(1).pow_(3).sum(1) for rows in torch.split(a, BLOCK_ROWS)])

    def mean_of_others(a: Tensor) -> Tensor:
        return (sums(a, a) - (gamma * a.square().sum(1) + 1) ** 3) / (len(a) - 1)

    own, cross, other = mean_of_others(x), sums(x, y) / len(y), mean_of_others(y)
    value = float(own.mean() + other.mean() - 2 * cross.mean())
    return symmetric(value, 2 * float((own - cross).std()) / math.sqrt(n), n)
