"""Precision, recall, density and coverage; nearest neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from gancli.metrics.distances import BLOCK_NUMBERS, DENSITY_NEIGHBOURS, blocks, centred, radii
from gancli_evaluate.estimate import Estimate, mean, proportion

PRECISION_NEIGHBOURS = 3  # k of precision and recall, as published


def compare(fake: Tensor, real: Tensor) -> dict[str, Estimate]:
    """Metrics, by name, of generated features x ``(n, d)`` among real ones y ``(m, d)``; n, m > 5.

    B_k(z) is the ball around z up to the k-th nearest of its kind.

    precision  share of x in the B_3 of any y: how many look real (Kynkaanniemi et al., 2019)
    recall     share of y in the B_3 of any x: how much of the data could have been generated (the same)
    density    mean number of B_5(y) that an x is in, over 5: precision that outliers cannot inflate; may exceed 1
               (Naeem et al., 2020)
    coverage   share of y whose B_5 holds an x: how much of the data was generated (the same)

    All four depend on n and m. Take as many of both, and compare at equal n only. Precision and density have intervals over the
    generated images, recall and coverage over the real ones.
    """
    fake, real = centred(fake, real)
    real_radii, fake_radii = radii(real), radii(fake)[:, PRECISION_NEIGHBOURS - 1]
    precise, hits = [], []
    recalled, covered = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    for rows, distances in blocks(fake, real):
        precise.append((distances <= real_radii[:, PRECISION_NEIGHBOURS - 1]).any(1))
        inside = distances <= real_radii[:, DENSITY_NEIGHBOURS - 1]
        hits.append(inside.sum(1))
        covered |= inside.any(0)
        recalled |= (distances <= fake_radii[rows, None]).any(0)
    precision, recall, coverage = (proportion(int(x.sum()), len(x)) for x in (torch.cat(precise), recalled, covered))
    density = mean(torch.cat(hits) / DENSITY_NEIGHBOURS, lowest=0.0)
    return {"precision": precision, "recall": recall, "density": density, "coverage": coverage}


def nearest(queries: Tensor, points: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Distances of queries ``(n, d)`` to their k nearest points ``(m, d)``, ascending, and their indices: ``(n, k)`` each."""
    near, those = centred(queries, points)
    squares, size = those.square().sum(1), max(1, BLOCK_NUMBERS // len(points))
    parts = (near[start : start + size] for start in range(0, len(near), size))
    order = (torch.addmm(squares, part, those.T, alpha=-2) for part in parts)  # |p|^2 - 2 q.p orders as |q - p| does
    found = [one.argmin(1, keepdim=True) if k == 1 else one.topk(k, dim=1, largest=False).indices for one in order]
    indices = torch.cat(found)
    exact = torch.stack([(queries - points[column]).double().square().sum(1).sqrt() for column in indices.T], dim=1)
    ascending = exact.argsort(dim=1, stable=True)
    return exact.gather(1, ascending).float(), indices.gather(1, ascending)
