"""Paths through latent space at constant speed. NumPy only.

Latents of many dimensions lie close to a sphere of radius sqrt(latent_dim), and a straight line between two of them passes
through its inside, where the generator has never been trained (White, 2016, "Sampling Generative Networks"). So by default
a path turns from one direction to the next, as slerp does (Shoemake, 1985, "Animating Rotation with Quaternion Curves").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from gancli.errors import UsageError, did_you_mean
from gancli.models.sampler import check_truncation
from gancli.randomness.latents import MAX_SEED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

__all__ = [
    "MAX_CELLS",
    "MAX_FRAMES",
    "MAX_KEYFRAMES",
    "METHODS",
    "Line",
    "Method",
    "Path",
    "Spiral",
    "Sway",
    "Walk",
    "between",
    "progress",
    "turning",
]

Method = Literal["slerp", "lerp"]

MAX_FRAMES = 1_000_000
"""Frames of one walk."""

MAX_KEYFRAMES, MAX_CELLS = 100_000, 10_000
"""Keyframes of all cells together, which are kept in memory, and cells."""

REACH = 3.0
"""How far an interpolation along a direction goes to both sides, in standard deviations of the latent."""

_NO_DIRECTION = 1e-9
"""A unit vector's part off another one below which it is rounding, and says nothing about a plane."""


class Arc(Protocol):
    """A way from one point to another."""

    length: float

    def at(self, shares: Vector) -> Vector:
        """The points ``(m, d)`` at these shares ``(m,)`` of the length, 0 to 1."""


class Line:
    """lerp: ``(1 - s) a + s b``."""

    def __init__(self, a: Vector, b: Vector) -> None:
        self._a, self._step = a, b - a
        self.length = float(np.linalg.norm(self._step))

    def at(self, shares: Vector) -> Vector:
        """The points ``(m, d)`` at these shares of the length."""
        return self._a + shares[:, None] * self._step


class Spiral:
    """``r (a cos w + u sin w)``: the angle w turns from 0 to omega while the norm r goes from its first to its last value.

    ``a`` is the first direction and ``u`` the unit vector at a right angle to it on the side of the last one, which is
    Shoemake's formula without its division by sin(omega). The norm follows a logarithmic spiral, r = r0 (r1 / r0)^(w / omega):
    then it grows in proportion to the length of the way, and constant speed has a closed form. Between equal norms this is
    slerp itself.

    Args:
        first: unit vector.
        side: unit vector at a right angle to it.
        omega: the whole angle, radians.
        radii: the first and the last norm.
    """

    def __init__(self, first: Vector, side: Vector, omega: float, radii: tuple[float, float]) -> None:
        self._first, self._side, self._omega, self._radius = first, side, omega, radii[0]
        self._growth = (radii[1] - radii[0]) / radii[0]
        self._log_growth = math.log1p(self._growth)
        stretch = self._growth / self._log_growth if self._growth else 1.0
        self.length = radii[0] * math.hypot(omega, self._log_growth) * stretch

    def at(self, shares: Vector) -> Vector:
        """The points ``(m, d)`` at these shares of the length."""
        grown = self._growth * shares
        angles = self._omega * (np.log1p(grown) / self._log_growth if self._growth else shares)
        directions = np.cos(angles)[:, None] * self._first + np.sin(angles)[:, None] * self._side
        return self._radius * (1 + grown)[:, None] * directions


def turning(a: Vector, b: Vector) -> Arc:
    """slerp: from a's direction to b's by the shorter way, and from a's norm to b's.

    Parallel vectors are joined by the straight line. Antipodal ones have no plane of their own: the way leads past the
    coordinate axis that is furthest from the line through both. Where nothing can be turned (a vector of zeros, opposite
    numbers in one dimension) it is the straight line too.
    """
    radii = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not all(radii):
        return Line(a, b)
    first, last = a / radii[0], b / radii[1]
    cosine = float(first @ last)
    side, sine = _perpendicular(last, first)
    if side is None and cosine < 0:
        axis = np.zeros_like(first)
        axis[np.argmin(np.abs(first))] = 1
        side, _ = _perpendicular(axis, first)
    return Line(a, b) if side is None else Spiral(first, side, math.atan2(sine, cosine), radii)


def _perpendicular(vector: Vector, to: Vector) -> tuple[Vector | None, float]:
    """The unit vector at a right angle to the unit vector ``to`` on the side of ``vector``, and how far off that is."""
    off = vector - float(vector @ to) * to
    length = float(np.linalg.norm(off))
    return (off / length if length > _NO_DIRECTION else None), length


METHODS: dict[str, Callable[[Vector, Vector], Arc]] = {"slerp": turning, "lerp": Line}


class Path:
    """The way along all keyframes, and in a loop back to the first, at one speed.

    Args:
        keyframes: where it leads through, ``(k, d)``.
        method: ``slerp`` or ``lerp``.
        loop: whether it ends where it began.
        even: take equally long from each keyframe to the next, instead of one speed all the way.
    """

    def __init__(
        self, keyframes: NDArray[np.floating], method: Method = "slerp", *, loop: bool = True, even: bool = False
    ) -> None:
        points = np.asarray(keyframes, dtype=np.float64)
        stops = [*points, points[0]] if loop or len(points) == 1 else list(points)
        self._arcs = [METHODS[method](a, b) for a, b in pairwise(stops)]
        self._lengths = [1.0 if even else arc.length for arc in self._arcs]
        self._ends = np.cumsum(self._lengths)
        self._dimensions = points.shape[1]

    @property
    def length(self) -> float:
        """Of the whole way."""
        return float(self._ends[-1])

    def at(self, shares: Vector) -> NDArray[np.float32]:
        """The points at these shares ``(m,)`` of the whole length, each in [0, 1]: float32 ``(m, d)``."""
        distances = shares * self.length
        which = np.minimum(np.searchsorted(self._ends, distances, side="right"), len(self._arcs) - 1)
        points = np.empty((len(distances), self._dimensions), dtype=np.float32)
        for i in np.unique(which):
            here, length = which == i, self._lengths[i]
            gone = distances[here] - (self._ends[i] - length)
            points[here] = self._arcs[i].at(np.clip(gone / (length or 1.0), 0, 1))
        return points


class Sway:
    """To and fro along a direction: ``p + 3 sin(2 pi s) v``. Without a loop it leads once from -3 v to 3 v.

    Args:
        point: p, the middle, ``(d,)``.
        direction: v, ``(d,)``, as long as one standard deviation of the latent.
        loop: whether it ends where it began.
    """

    def __init__(self, point: NDArray[np.floating], direction: NDArray[np.floating], *, loop: bool = True) -> None:
        self._point, self._direction, self._loop = point, direction, loop

    def at(self, shares: Vector) -> NDArray[np.float32]:
        """The points at these shares ``(m,)`` of the whole way, each in [0, 1]: float32 ``(m, d)``."""
        amounts = REACH * (np.sin(2 * np.pi * shares) if self._loop else 2 * shares - 1)
        return np.asarray(self._point + amounts[:, None] * self._direction, dtype=np.float32)


def progress(frames: int, *, loop: bool) -> Vector:
    """How far along each frame is, 0 to 1.

    In a loop the first frame follows the last as any follows another, so that 1, which would show it twice, is left out.

    >>> progress(4, loop=True).tolist(), progress(3, loop=False).tolist()
    ([0.0, 0.25, 0.5, 0.75], [0.0, 0.5, 1.0])
    """
    return np.arange(frames) / (frames if loop else max(1, frames - 1))


def between(stops: Sequence[int], shares: Vector, *, loop: bool) -> tuple[NDArray[np.int64], NDArray[np.int64], Vector]:
    """Which two stops each point is between, and how far from the first to the second, [0, 1]; equally long ways.

    >>> [column.tolist() for column in between([3, 8], np.array([0, 0.25, 0.5]), loop=True)]
    [[3, 3, 8], [8, 8, 3], [0.0, 0.5, 0.0]]
    """
    ring = np.array([*stops, stops[0]] if loop or len(stops) == 1 else stops, dtype=np.int64)
    place = shares * (len(ring) - 1)
    index = np.minimum(place.astype(np.int64), len(ring) - 2)
    return ring[index], ring[index + 1], place - index


@dataclass(frozen=True, slots=True)
class Walk:
    """Where to walk.

    Attributes:
        seeds: keyframe k of cell c is the latent of seed ``seeds[k * cells + c]``: every keyframe is a grid of its own.
        frames: how many frames the whole walk has.
        cells: pictures per frame. Each walks its own way, and all arrive together.
        labels: the classes that are passed, at equal distances in time; one is kept all the way, and None gives cell c the
            class that :meth:`gancli.Model.sample` gives to picture c.
        method: how to go from one keyframe to the next.
        loop: whether the last frame leads back to the first.
        truncation: of the keyframes, see :meth:`gancli.Model.sample`.
        direction: go to and fro along the direction of this number, 1 the one with the largest effect, instead of from
            keyframe to keyframe; see :mod:`gancli.models.directions`.
        even: take equally long from each keyframe to the next, instead of one speed all the way.

    Raises:
        UsageError: there is no such walk.
    """

    seeds: Sequence[int]
    frames: int = 60
    cells: int = 1
    labels: Sequence[int] | None = None
    method: Method = "slerp"
    loop: bool = True
    truncation: float | None = None
    direction: int | None = None
    even: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.frames <= MAX_FRAMES:  # noqa: PLR2004  (one frame is a picture)
            raise UsageError(f"A walk cannot have {self.frames:,} frames.", f"Give 2 to {MAX_FRAMES:,}.")
        if self.method not in METHODS:
            raise UsageError(f"There is no method '{self.method}'.", did_you_mean(self.method, METHODS))
        if not 1 <= self.cells <= MAX_CELLS:
            raise UsageError(f"{self.cells:,} walks cannot go in step.", f"Give 1 to {MAX_CELLS:,}.")
        if not 1 <= len(self.seeds) <= MAX_KEYFRAMES or len(self.seeds) % self.cells:
            raise UsageError(
                f"{len(self.seeds):,} seeds cannot be the keyframes of {self.cells:,} walks in step.",
                f"Give as many for each of them, at most {MAX_KEYFRAMES:,} in all.",
            )
        if self.direction is not None and (self.direction < 1 or self.keyframes > 1 or len(self.labels or ()) > 1):
            several = f"{self.keyframes} keyframes and {len(self.labels or ())} classes"
            raise UsageError(
                f"Direction {self.direction} with {several} is not possible.",
                "Give a number from 1, one keyframe per image and at most one class.",
            )
        if self.direction is None and self._stands_still():
            raise UsageError("A walk from one seed to itself stands still.", "Give at least 2 keyframes, or 2 classes.")
        if min(self.seeds) < 0 or max(self.seeds) > MAX_SEED:
            out = f"The seeds {min(self.seeds)} to {max(self.seeds)} are out of range."
            raise UsageError(out, f"Seeds are 0 to {MAX_SEED}.")
        check_truncation(self.truncation)

    @property
    def keyframes(self) -> int:
        """Of each cell."""
        return len(self.seeds) // self.cells

    def _stands_still(self) -> bool:
        """Whether every cell keeps its first seed, and its class."""
        one_class = len(set(self.labels or ())) < 2  # noqa: PLR2004  (from one to another)
        return one_class and all(seed == self.seeds[i % self.cells] for i, seed in enumerate(self.seeds))

    def paths(self, points: NDArray[np.floating], method: Method | None = None) -> list[Path]:
        """The path of each cell through its keyframes.

        Args:
            points: the latents of the seeds, ``(len(seeds), d)``.
            method: instead of this one's.
        """
        keyframes = points.reshape(self.keyframes, self.cells, -1)
        method = method or self.method
        return [Path(keyframes[:, cell], method, loop=self.loop, even=self.even) for cell in range(self.cells)]
