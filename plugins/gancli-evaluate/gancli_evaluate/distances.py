"""Distances between two sets of features with their intervals: of their Gaussians, and by a kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gancli.metrics.distances import TOTAL_VARIANCE, Moments, frechet_distance, root, symmetrised
from gancli_evaluate.estimate import Estimate, symmetric

BLOCK_ROWS = 1024
"""Rows of a kernel matrix that are in memory at a time."""


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


def _transport(source: Tensor, target: Tensor) -> Tensor:
    """T = S^-1/2 (S^1/2 S_t S^1/2)^1/2 S^-1/2; directions without any variance in the source are left alone."""
    values, vectors = torch.linalg.eigh(source)
    there = values > values.max() * 1e-10
    roots = torch.where(there, values, 0.0).sqrt()
    inverse = torch.where(there, values.clamp(min=1e-300).rsqrt(), 0.0)
    half, back = (vectors * roots) @ vectors.T, (vectors * inverse) @ vectors.T
    transport: Tensor = back @ root(symmetrised(half @ target @ half)) @ back
    return transport


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
