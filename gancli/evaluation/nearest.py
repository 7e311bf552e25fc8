"""The training pictures that generated ones are nearest to, pixel by pixel, and a picture that shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import interpolate

from gancli import images
from gancli.metrics.extractor import batches
from gancli.metrics.manifolds import nearest
from gancli.version import __version__

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["picture", "pixel_neighbours"]

LARGEST = 32
"""Pixels of the longer side at which pictures are compared; larger ones are reduced to it by area."""

SHOWN = 16
NEIGHBOURS = 10
CHUNK = 8192


def pixel_neighbours(pictures: Tensor, training: Tensor) -> tuple[Tensor, Tensor]:
    """Root mean square differences, in [0, 2], to the 10 nearest training pictures, ascending, and their indices: ``(n, 10)``.

    Args:
        pictures: float ``(n, c, h, w)`` in [-1, 1], on the CPU.
        training: uint8 ``(m, c, h, w)``; of fewer than 10 all are neighbours.
    """
    queries = _flat(pictures)
    best, index = torch.empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.int64)
    for start in range(0, len(training), CHUNK):
        points = torch.cat([_flat(part) for part in batches(training[start : start + CHUNK])])
        distances, indices = nearest(queries, points, min(NEIGHBOURS, len(points)))
        candidates, owners = torch.cat([best, distances], dim=1), torch.cat([index, indices + start], dim=1)
        best, chosen = candidates.topk(min(NEIGHBOURS, candidates.shape[1]), dim=1, largest=False)
        index = owners.gather(1, chosen)
    return best / queries.shape[1] ** 0.5, index


def _flat(pictures: Tensor) -> Tensor:
    longest = max(pictures.shape[2:])
    if longest > LARGEST:
        size = [max(1, round(side * LARGEST / longest)) for side in pictures.shape[2:]]
        pictures = interpolate(pictures, size=size, mode="area")
    return pictures.flatten(1).float()


def picture(generated: Tensor, training: Tensor, distances: Tensor, by_pixels: Tensor, by_features: Tensor) -> bytes:
    """PNG of the 16 generated pictures that are most likely copies, in three rows.

    Generated; the nearest training picture in pixels; the nearest in features. Likely means that one training picture is much
    nearer than the next ones (Carlini et al., 2023): simple shapes, such as a 1, are near many.

    Args:
        generated: float ``(n, c, h, w)`` in [-1, 1].
        training: uint8 ``(m, c, h, w)``.
        distances: to the nearest ones in pixels, ``(n, k)``.
        by_pixels: index of the nearest, ``(n,)``.
        by_features: the same, ``(n,)``.
    """
    chosen = (distances[:, 0] / distances.mean(1)).nan_to_num(0.0).argsort(stable=True)[:SHOWN]
    real = [training[indices[chosen]].permute(0, 2, 3, 1).numpy() for indices in (by_pixels, by_features)]
    canvas = images.grid(np.concatenate([images.to_bytes(generated[chosen]), *real]), len(chosen))
    return images.to_png(canvas, {"gancli": __version__})
