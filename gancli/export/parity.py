"""Does an exported generator draw what the generator draws?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gancli.errors import ExportError, GancliError
from gancli.randomness.latents import latents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gancli.models.model import Model

    Draw = Callable[[NDArray[np.float32], NDArray[np.int64] | None], NDArray[np.float32]]
    """Latents ``(n, latent_dim)`` and, for a conditional model, classes ``(n,)`` -> images ``(n, c, h, w)`` in [-1, 1]."""

__all__ = ["largest_difference", "refuse_difference"]

_FIRST_SEED = 2**62
"""Far from the seeds that people use, and from whatever an exporter was shown."""

_BATCH_SIZES = (1, 2, 7)
_BATCH = 64


def largest_difference(model: Model, draw: Draw) -> float:
    """The largest |x - y| over all pixels x of the generator and y of ``draw``, both in [-1, 1]; NaN if there is any.

    Compared are at least 74 pictures of latents that nothing has seen before: batches of 1, 2, 7 and of 64, as many as it
    takes for every class to be drawn in them.

    Raises:
        ExportError: the exported generator cannot draw a batch of some size.
    """
    return float(np.max([_difference(model, draw, z, labels) for z, labels in _batches(model)]))


def refuse_difference(difference: float, tolerance: float) -> None:
    """Raise :class:`ExportError` unless ``difference`` is at most ``tolerance``."""
    if not difference <= tolerance:
        raise ExportError(
            f"What was exported differs from the generator by up to {difference:.1e} (in [-1, 1]); "
            f"at most {tolerance:.1e} is allowed, and nothing was written.",
            "A generator that draws random numbers of its own cannot be exported. If yours does not, export another format, "
            "and report this.",
        )


def _batches(model: Model) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64] | None]]:
    classes, start = model.image.classes, 0
    for size in (*_BATCH_SIZES, *[_BATCH] * max(1, -(-classes // _BATCH))):
        order = np.arange(start, start + size, dtype=np.int64)
        yield (
            latents(range(_FIRST_SEED + start, _FIRST_SEED + start + size), model.latent_dim),
            order % classes if classes else None,
        )
        start += size


def _difference(model: Model, draw: Draw, z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> float:
    import torch

    expected = model.draw(torch.from_numpy(z), None if labels is None else torch.from_numpy(labels)).cpu().numpy()
    try:
        drawn = draw(z, labels)
    except GancliError as error:
        raise ExportError(f"What was exported cannot draw {len(z)} pictures: {error.problem}", "Report this.") from error
    if drawn.shape != expected.shape:
        raise ExportError(f"What was exported draws {drawn.shape} instead of {expected.shape}.", "Report this.")
    return float(np.max(np.abs(drawn - expected)))
