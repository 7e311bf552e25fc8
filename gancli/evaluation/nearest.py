"""The training pictures that generated ones are nearest to, pixel by pixel, and a picture that shows them."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import interpolate

from gancli import images
from gancli.quality.extractor import batches
from gancli.quality.manifolds import nearest

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["picture", "pixel_neighbours"]

LARGEST = 32
"""Pixels of the longer side at which pictures are compared; larger ones are reduced to it by area."""

SHOWN = 16
CHUNK = 8192


def pixel_neighbours(pictures: Tensor, training: Tensor) -> tuple[Tensor, Tensor]:
    """Root mean square difference to the nearest training picture, in [0, 2], and its index: ``(n,)`` each.

    Args:
        pictures: float ``(n, c, h, w)`` in [-1, 1], on the CPU.
        training: uint8 ``(m, c, h, w)``.
    """
    queries = _flat(pictures)
    best, index = torch.full((len(queries),), torch.inf), torch.zeros(len(queries), dtype=torch.int64)
    for start in range(0, len(training), CHUNK):
        points = torch.cat([_flat(part) for part in batches(training[start : start + CHUNK])])
        distances, indices = (found[:, 0] for found in nearest(queries, points))
        nearer = distances < best
        best = torch.where(nearer, distances, best)
        index = torch.where(nearer, indices + start, index)
    return best / queries.shape[1] ** 0.5, index


def _flat(pictures: Tensor) -> Tensor:
    longest = max(pictures.shape[2:])
    if longest > LARGEST:
        size = [max(1, round(side * LARGEST / longest)) for side in pictures.shape[2:]]
        pictures = interpolate(pictures, size=size, mode="area")
    return pictures.flatten(1).float()


def picture(generated: Tensor, training: Tensor, distances: Tensor, by_pixels: Tensor, by_features: Tensor) -> bytes:
    """PNG of the 16 generated pictures that are most likely copies, in three rows.

    Generated; the nearest training picture in pixels; the nearest in features. Likely is a small distance in pixels, divided
    by that to the mean training picture: simple shapes, such as a 1, are always near something.

    Args:
        generated: float ``(n, c, h, w)`` in [-1, 1].
        training: uint8 ``(m, c, h, w)``.
        distances: to the nearest in pixels, ``(n,)``.
        by_pixels: indices into training, ``(n,)``.
        by_features: the same, ``(n,)``.
    """
    mean = training.sum(0) / (len(training) * 127.5) - 1
    chosen = (distances / (generated - mean).flatten(1).norm(dim=1)).argsort()[:SHOWN]
    real = [training[indices[chosen]].permute(0, 2, 3, 1).numpy() for indices in (by_pixels, by_features)]
    rows = [images.to_bytes(generated[chosen]), *real]
    canvas = images.grid(torch.cat([torch.from_numpy(row) for row in rows]).numpy(), len(chosen))
    buffer = BytesIO()
    images.save_png(canvas, buffer)
    return buffer.getvalue()
