"""A model and a walk: the frames, drawn in batches when they are asked for, all of them or some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gancli.errors import UsageError
from gancli.models.blending import Blender
from gancli.models.directions import find_directions
from gancli.models.interpolation import Sway, between, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from gancli.models.interpolation import Path, Walk
    from gancli.models.model import Model

__all__ = ["Tour"]

BATCH_SIZE = 256


class Tour:
    """The frames of a walk, each float32 ``(cells, c, h, w)`` in [-1, 1]. Iterating draws all of them.

    Args:
        model: what draws.
        walk: where.

    Attributes:
        model: the same.
        walk: the same.
        blend: what lies between two classes: ``embeddings`` or ``pixels``; None if the class stays.

    Raises:
        UsageError: the model has not these classes.
    """

    def __init__(self, model: Model, walk: Walk) -> None:
        model.refuse_translator()
        self.model, self.walk = model, walk
        self._shares = progress(walk.frames, loop=walk.loop)
        model.refuse_truncation(walk.truncation)
        self._labels = self._checked_labels()
        self._blender = self._make_blender()
        one_class = model.classes(walk.cells) if self._labels is None else self._labels[:1] * walk.cells
        labels = None if one_class is None else list(one_class) * walk.keyframes
        self._render: Callable[..., Tensor] = model.render
        self._paths: Sequence[Path | Sway]
        if walk.direction is not None:
            points, vectors = model.points(walk.seeds, labels, walk.truncation), find_directions(model, walk.direction).vectors
            self._paths = [Sway(point.numpy(), vectors[-1].numpy(), loop=walk.loop) for point in points]
        elif model.two_stage and self._blender is None:  # in w straight lines are the convention (Karras et al., 2019)
            self._paths = walk.paths(model.points(walk.seeds, labels, walk.truncation).numpy(), "lerp")
        else:
            self._render = model.draw
            self._paths = walk.paths(model.chosen_latents(walk.seeds, labels, walk.truncation).numpy())
        self.blend = None if self._blender is None else "embeddings" if self._blender.blends_embeddings else "pixels"

    def __len__(self) -> int:
        return self.walk.frames

    def __iter__(self) -> Iterator[Tensor]:
        return self.at(np.arange(len(self)))

    def at(self, indices: NDArray[np.int64]) -> Iterator[Tensor]:
        """The frames with these numbers."""
        frames_per_batch = max(1, BATCH_SIZE // self.walk.cells)
        for start in range(0, len(indices), frames_per_batch):
            shares = self._shares[indices[start : start + frames_per_batch]]
            points = np.stack([path.at(shares) for path in self._paths], axis=1)
            z = points.reshape(-1, points.shape[2])
            drawn = self._draw(torch.from_numpy(z), np.repeat(shares, self.walk.cells))
            yield from torch.split(drawn, self.walk.cells)

    def _checked_labels(self) -> list[int] | None:
        """The classes to pass; None if the model has none, or if every cell keeps one of its own."""
        labels, classes = self.walk.labels, self.model.image.classes
        if labels is None or not classes:
            self.model.classes(0, labels)
            return None
        if not len(labels):
            raise UsageError("A walk through no classes is not possible.", f"Give some of 0 to {classes - 1}.")
        return list(self.model.classes(len(labels), labels) or ())

    def _make_blender(self) -> Blender | None:
        if self._labels is None or len(set(self._labels)) == 1:
            return None
        first, second, _ = between(self._labels, self._shares, loop=self.walk.loop)
        pairs = torch.from_numpy(np.stack([first, second]))
        return Blender(self.model.generator, self.model.draw, self.model.latent_dim, pairs)

    def _draw(self, z: Tensor, shares: NDArray[np.float64]) -> Tensor:
        """Pictures of latents ``(n, latent_dim)`` at these shares of the walk ``(n,)``, cell by cell."""
        if self._blender is None:
            return _in_batches(self._render, z, *self._constant(len(z)))
        first, second, weight = map(torch.from_numpy, between(self._labels or (), shares, loop=self.walk.loop))
        return _in_batches(self._blender.draw, z, first, second, weight)

    def _constant(self, n: int) -> tuple[Tensor, ...]:
        if not self.model.image.classes:
            return ()
        own = self._labels[:1] * self.walk.cells if self._labels else self.model.classes(self.walk.cells)
        return (torch.tensor(own).repeat(n // self.walk.cells),)


def _in_batches(draw: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Draw at most a batch at a time: a frame may have any number of cells."""
    return torch.cat([draw(*batch) for batch in zip(*(torch.split(values, BATCH_SIZE) for values in inputs), strict=True)])
