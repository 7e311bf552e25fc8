"""Two sets of features: the Frechet distance between them, and coverage, by nearest neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


TOTAL_VARIANCE = 1000.0  # trace of the covariance of the features of the training data
BLOCK_NUMBERS = 2**23  # distances in memory at a time: 32 MiB
DENSITY_NEIGHBOURS = 5  # k of density and coverage, as published


@dataclass(frozen=True, slots=True)
class Moments:
    """What a Gaussian that is fitted to features is made of, float64, on the CPU."""

    count: int  # number of samples, at least 2
    mean: Tensor  # (d,)
    covariance: Tensor  # (d, d), unbiased: divided by count - 1

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

    With N samples it is too large by O(1/N), more for less regular features (Chong & Forsyth, 2020): compare at equal N only.
    """
    if not all(bool(part.isfinite().all()) for part in (a.mean, a.covariance, b.mean, b.covariance)):
        return math.inf
    half = root(a.covariance)
    overlap = torch.linalg.eigvalsh(symmetrised(half @ b.covariance @ half)).clamp_(min=0).sqrt_().sum()
    means = (a.mean - b.mean).square().sum()
    return max(0.0, float(means + a.covariance.trace() + b.covariance.trace() - 2 * overlap))


def root(matrix: Tensor) -> Tensor:
    """Of a symmetric matrix without negative eigenvalues but by rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    found: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return found


def symmetrised(matrix: Tensor) -> Tensor:
    """Free of what rounding did to its symmetry."""
    return (matrix + matrix.T) / 2


def coverage(fake: Tensor, real: Tensor, real_radii: Tensor) -> float:
    """Coverage alone, where the radii ``(m,)`` of the real images' balls are known."""
    covered = torch.zeros(len(real), dtype=torch.bool)
    for _, distances in blocks(fake, real):
        covered |= (distances <= real_radii).any(0)
    return float(covered.float().mean())


def radii(points: Tensor, k: int = DENSITY_NEIGHBOURS) -> Tensor:
    """Distances of every point ``(n, d)``, n > k, to its k nearest others, ascending: ``(n, k)``."""
    if len(points) <= k:
        raise ValueError(f"{len(points)} points have no {k} neighbours each.")
    found = []
    for rows, distances in blocks(points, points):
        distances[torch.arange(len(rows)), rows] = torch.inf
        found.append(distances.topk(k, dim=1, largest=False).values)
    return torch.cat(found)


def blocks(rows: Tensor, columns: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The matrix of distances, some rows at a time: (indices of these rows, distances to all columns)."""
    size = max(1, BLOCK_NUMBERS // len(columns))
    for start in range(0, len(rows), size):
        part = torch.arange(start, min(start + size, len(rows)))
        yield part, torch.cdist(rows[part], columns, compute_mode="use_mm_for_euclid_dist")


def centred(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both, moved by the mean of b: distances stay, and their computation by products loses fewer digits."""
    origin = b.mean(0)
    return a - origin, b - origin
