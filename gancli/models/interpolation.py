"""Interpolation: paths through latent space at constant speed, and the images on them.

Latents of many dimensions lie close to a sphere, and a straight line between two of them passes through its inside, where the
generator has never been trained (White, 2016, "Sampling Generative Networks"). So by default a path turns from one direction to
the next, as slerp does (Shoemake, 1985, "Animating Rotation with Quaternion Curves").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gancli.errors import UsageError, did_you_mean
from gancli.models.blending import Blender
from gancli.models.directions import find_directions
from gancli.models.latents import ModelAtLatents
from gancli.models.sampler import BATCH_SIZE, check_seeds, check_truncation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from gancli.models.model import Model

    Vector = NDArray[np.float64]

Method = Literal["slerp", "lerp"]

MAX_FRAMES = 1_000_000  # frames of one interpolation
MAX_KEYFRAMES, MAX_CELLS = 100_000, 10_000  # keyframes of all cells together, which are kept in memory, and cells
REACH = 3.0  # how far an interpolation along a direction goes to both sides, in standard deviations of the latent
_NO_DIRECTION = 1e-9  # a unit vector's part off another one below which it is rounding, and says nothing about a plane


class Arc(NamedTuple):
    """A curve from one point to another: its length, and its points ``(m, d)`` at fractions ``(m,)`` of the length."""

    length: float
    at: Callable[[Vector], Vector]


def lerp(a: Vector, b: Vector) -> Arc:
    """The straight line ``(1 - s) a + s b``."""
    return Arc(float(np.linalg.norm(b - a)), lambda fractions: a + fractions[:, None] * (b - a))


def slerp(a: Vector, b: Vector) -> Arc:
    """``r (a' cos w + u sin w)``: from a's direction a' to b's by the shorter way, and from a's norm to b's.

    u is the unit vector at a right angle to a' on the side of b, which is Shoemake's formula without its division by sin.
    The norm follows a logarithmic spiral, r = r0 (r1 / r0)^(w / omega), so that constant speed has a closed form. Parallel
    vectors are joined by the straight line; the way between antipodal ones leads past the coordinate axis furthest from both.
    """
    radii = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not all(radii):
        return lerp(a, b)
    first, last = a / radii[0], b / radii[1]
    cosine = float(first @ last)
    side = last - cosine * first
    omega = math.atan2(float(np.linalg.norm(side)), cosine)
    if np.linalg.norm(side) <= _NO_DIRECTION and cosine < 0:
        axis = np.zeros_like(first)
        axis[np.argmin(np.abs(first))] = 1
        side = axis - float(axis @ first) * first
    if np.linalg.norm(side) <= _NO_DIRECTION:
        return lerp(a, b)
    side = side / np.linalg.norm(side)
    growth = (radii[1] - radii[0]) / radii[0]
    log_growth = math.log1p(growth)

    def at(fractions: Vector) -> Vector:
        angles = omega * (np.log1p(growth * fractions) / log_growth if growth else fractions)
        directions = np.cos(angles)[:, None] * first + np.sin(angles)[:, None] * side
        return radii[0] * (1 + growth * fractions)[:, None] * directions

    return Arc(radii[0] * math.hypot(omega, log_growth) * (growth / log_growth if growth else 1.0), at)


METHODS: dict[str, Callable[[Vector, Vector], Arc]] = {"slerp": slerp, "lerp": lerp}


class Path:
    """The way along all keyframes ``(k, d)``, in a loop back to the first, at one speed; ``even``: as long between any two."""

    def __init__(
        self, keyframes: NDArray[np.floating], method: Method = "slerp", *, loop: bool = True, even: bool = False
    ) -> None:
        points = np.asarray(keyframes, dtype=np.float64)
        stops = [*points, points[0]] if loop or len(points) == 1 else list(points)
        self._arcs = [METHODS[method](a, b) for a, b in pairwise(stops)]
        self._lengths = [1.0 if even else arc.length for arc in self._arcs]
        self._ends = np.cumsum(self._lengths)
        self._dimensions = points.shape[1]

    def at(self, fractions: Vector) -> NDArray[np.float32]:
        """The points at these fractions ``(m,)`` of the whole length, each in [0, 1]: float32 ``(m, d)``."""
        distances = fractions * self._ends[-1]
        which = np.minimum(np.searchsorted(self._ends, distances, side="right"), len(self._arcs) - 1)
        points = np.empty((len(distances), self._dimensions), dtype=np.float32)
        for i in np.unique(which):
            here, length = which == i, self._lengths[i]
            gone = distances[here] - (self._ends[i] - length)
            points[here] = self._arcs[i].at(np.clip(gone / (length or 1.0), 0, 1))
        return points


def to_and_fro(
    point: NDArray[np.floating], direction: NDArray[np.floating], fractions: Vector, *, loop: bool = True
) -> NDArray[np.float32]:
    """Along a direction v ``(d,)`` through a point p: ``p + 3 sin(2 pi s) v``, or without a loop once from -3 v to 3 v."""
    amounts = REACH * (np.sin(2 * np.pi * fractions) if loop else 2 * fractions - 1)
    return np.asarray(point + amounts[:, None] * direction, dtype=np.float32)


def progress(frames: int, *, loop: bool) -> Vector:
    """How far along each frame is, 0 to 1.

    In a loop the first frame follows the last as any follows another, so that 1, which would show it twice, is left out.

    >>> progress(4, loop=True).tolist(), progress(3, loop=False).tolist()
    ([0.0, 0.25, 0.5, 0.75], [0.0, 0.5, 1.0])
    """
    return np.arange(frames) / (frames if loop else max(1, frames - 1))


def between(stops: Sequence[int], fractions: Vector, *, loop: bool) -> tuple[NDArray[np.int64], NDArray[np.int64], Vector]:
    """Which two stops each point is between, and how far from the first to the second, [0, 1]; equally long ways.

    >>> [column.tolist() for column in between([3, 8], np.array([0, 0.25, 0.5]), loop=True)]
    [[3, 3, 8], [8, 8, 3], [0.0, 0.5, 0.0]]
    """
    ring = np.array([*stops, stops[0]] if loop or len(stops) == 1 else stops, dtype=np.int64)
    place = fractions * (len(ring) - 1)
    index = np.minimum(place.astype(np.int64), len(ring) - 2)
    return ring[index], ring[index + 1], place - index


@dataclass(frozen=True, slots=True)
class Interpolation:
    """Which latents and classes an interpolation passes, and how; a UsageError if there is no such interpolation."""

    seeds: Sequence[int]  # keyframe k of cell c has the latent of seeds[k * cells + c]: every keyframe is a grid of its own
    frames: int = 60
    cells: int = 1  # images per frame. Each goes its own way, and all arrive together
    # the classes that are passed, at equal distances in time, or the one that is kept; None: as Model.sample gives them
    labels: Sequence[int] | None = None
    method: Method = "slerp"
    loop: bool = True
    truncation: float | None = None
    direction: int | None = None  # go to and fro along this one, 1 has the largest effect, instead of to the next keyframe
    even: bool = False  # take equally long from each keyframe to the next, instead of one speed all the way

    def __post_init__(self) -> None:
        if not 2 <= self.frames <= MAX_FRAMES:  # noqa: PLR2004  (one frame is an image)
            raise UsageError(f"An interpolation cannot have {self.frames:,} frames.", f"Give 2 to {MAX_FRAMES:,}.")
        if self.method not in METHODS:
            raise UsageError(f"There is no method '{self.method}'.", did_you_mean(self.method, METHODS))
        if not 1 <= self.cells <= MAX_CELLS:
            raise UsageError(f"A frame cannot have {self.cells:,} images.", f"Give 1 to {MAX_CELLS:,}.")
        if not 1 <= len(self.seeds) <= MAX_KEYFRAMES or len(self.seeds) % self.cells:
            problem = f"{len(self.seeds):,} seeds cannot be the keyframes of {self.cells:,} images per frame."
            raise UsageError(problem, f"Give as many for each image, at most {MAX_KEYFRAMES:,} in all.")
        several_classes = len(set(self.labels or ())) > 1
        if self.direction is not None:
            if self.direction < 1 or self.keyframes > 1 or len(self.labels or ()) > 1:
                several = f"{self.keyframes} keyframes and {len(self.labels or ())} classes"
                problem = f"Direction {self.direction} with {several} is not possible."
                raise UsageError(problem, "Give a number from 1, one keyframe per image and at most one class.")
        elif not several_classes and all(seed == self.seeds[i % self.cells] for i, seed in enumerate(self.seeds)):
            problem = "An interpolation from one seed to itself stands still."
            raise UsageError(problem, "Give at least 2 keyframes, 2 classes, or a direction.")
        check_seeds(self.seeds)
        check_truncation(self.truncation)

    @property
    def keyframes(self) -> int:
        """Of each cell."""
        return len(self.seeds) // self.cells


class Frames:
    """The frames of an interpolation, each float32 ``(cells, c, h, w)`` in [-1, 1]. Iterating generates all of them.

    ``blend``: what is interpolated between two classes, ``embeddings`` or ``pixels``; None if the class stays.
    """

    def __init__(self, model: Model, interpolation: Interpolation) -> None:
        model.refuse_translator()
        self.model, self.interpolation = model, interpolation
        asked = interpolation
        model.refuse_truncation(asked.truncation)
        self._progress = progress(asked.frames, loop=asked.loop)
        self._passed, self._blender = asked.labels, None
        own = model.classes(asked.cells if asked.labels is None else len(asked.labels), asked.labels)
        if asked.labels is not None:
            if not own:
                last = model.image.classes - 1
                raise UsageError("An interpolation through no classes is not possible.", f"Give some of 0 to {last}.")
            if len(set(own)) > 1:
                first, second, _ = between(own, self._progress, loop=asked.loop)
                pairs = torch.from_numpy(np.stack([first, second]))
                self._blender = Blender(model.generator, model.draw, model.latent_dim, pairs)
            own = [own[0]] * asked.cells
        self._own = None if own is None else torch.tensor(own)
        labels = None if own is None else list(own) * asked.keyframes
        in_w = model.two_stage is not None and self._blender is None
        self._generate: Callable[..., Tensor] = model.render if in_w or asked.direction is not None else model.draw
        given = model.points if self._generate == model.render else model.chosen_latents
        points = given(asked.seeds, labels, asked.truncation).numpy()
        self._paths: list[Callable[[Vector], NDArray[np.float32]]]
        if asked.direction is not None:
            of_seeds = model.model if isinstance(model, ModelAtLatents) else model
            vector = find_directions(of_seeds, asked.direction).vectors[-1].numpy()
            self._paths = [partial(to_and_fro, point, vector, loop=asked.loop) for point in points]
        else:
            method = "lerp" if in_w else asked.method  # in w straight lines are the convention (Karras et al., 2019)
            keyframes = points.reshape(asked.keyframes, asked.cells, -1)
            self._paths = [Path(keyframes[:, c], method, loop=asked.loop, even=asked.even).at for c in range(asked.cells)]
        self.blend = None if self._blender is None else "embeddings" if self._blender.blends_embeddings else "pixels"

    def __len__(self) -> int:
        return self.interpolation.frames

    def __iter__(self) -> Iterator[Tensor]:
        return self.at(np.arange(len(self)))

    def at(self, indices: NDArray[np.int64]) -> Iterator[Tensor]:
        """The frames with these numbers, generated in batches."""
        cells = self.interpolation.cells
        frames_per_batch = max(1, BATCH_SIZE // cells)
        for start in range(0, len(indices), frames_per_batch):
            fractions = self._progress[indices[start : start + frames_per_batch]]
            points = np.stack([path(fractions) for path in self._paths], axis=1)
            inputs = [torch.from_numpy(points.reshape(-1, points.shape[2]))]
            generate = self._generate
            if self._blender is not None:
                generate = self._blender.draw
                places = between(self._passed or (), np.repeat(fractions, cells), loop=self.interpolation.loop)
                inputs += map(torch.from_numpy, places)
            elif self._own is not None:
                inputs.append(self._own.repeat(len(fractions)))
            batches = zip(*(torch.split(values, BATCH_SIZE) for values in inputs), strict=True)  # one frame may be several
            yield from torch.split(torch.cat([generate(*batch) for batch in batches]), cells)
