"""Operations that only move numbers (slices, permutations, repetitions, padding with zeros), all as one kind of step.

The operation itself is asked where every number of its result comes from: it is run on positions instead of on values. Of
all these operations the position is a sum of one term per dimension, which makes a short list per dimension of the result.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gancli.export.program.builder import PICTURES, Builder, Untranslatable, Varying

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["gather"]


def gather(
    builder: Builder, operation: Callable[..., Tensor], args: Sequence[Any], keywords: dict[str, Any], made: Tensor
) -> Varying:
    """One step that moves the numbers of the first argument as ``operation`` does.

    Raises:
        Untranslatable: it does something else, or mixes the pictures of a batch.
    """
    x = args[0]
    if not isinstance(x, Varying) or any(isinstance(argument, Varying) for argument in args[1:]):
        raise Untranslatable("where it moves numbers depends on the latent")
    size = math.prod(x.shape)
    rows = torch.arange(PICTURES, dtype=torch.float64) * size
    positions = (rows[:, None] + torch.arange(1, size + 1, dtype=torch.float64)).reshape(x.traced.shape)
    moved = operation(positions, *args[1:], **keywords)
    if moved.shape != made.shape or moved.shape[0] != PICTURES:
        raise Untranslatable("it mixes the pictures of a batch")
    offsets = rows.reshape(-1, *[1] * (moved.ndim - 1))
    sources = torch.where(moved > 0, moved - offsets - 1, -1).long().numpy()
    if (sources != sources[:1]).any() or sources.max() >= size or sources.min() < -1:
        raise Untranslatable("it mixes the pictures of a batch, or pads with something else than zeros")
    axes = _separated(sources[0])
    return builder.step("gather", [x], made, axes=[axis.tolist() for axis in axes])


def _separated(sources: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """One array per dimension whose sum is ``sources``; -1 where a whole line comes from nowhere."""
    if not sources.ndim:
        return [np.asarray([sources.item()])]
    inside = sources >= 0
    corner = tuple(index[0] for index in np.nonzero(inside)) if inside.any() else (0,) * sources.ndim
    axes = []
    for dimension in range(sources.ndim):
        line = sources[tuple(slice(None) if d == dimension else corner[d] for d in range(sources.ndim))]
        valid = line >= 0
        least = line[valid].min() if valid.any() else 0
        axes.append(np.where(valid, line - least, -1))
    total = _sum(axes)
    rest = (sources - total)[inside]
    base = int(rest[0]) if rest.size else 0
    axes[0] = np.where(axes[0] >= 0, axes[0] + base, -1)
    if not np.array_equal(_sum(axes), sources):
        raise Untranslatable("it moves numbers in a way that is no sum over the dimensions")
    return axes


def _sum(axes: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    total, inside = np.zeros((), np.int64), np.ones((), np.bool_)
    for axis in axes:
        total, inside = total[..., None] + axis, inside[..., None] & (axis >= 0)
    return np.where(inside, total, -1)
