"""Coverage: where images lie among each other's nearest neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


BLOCK_NUMBERS = 2**23
"""Distances in memory at a time: 32 MiB."""

DENSITY_NEIGHBOURS = 5
"""k of density and coverage, as published."""


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
