"""Write the frames of an interpolation: an animation, a strip, or a folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import numpy as np

from gancli import images
from gancli.errors import UsageError
from gancli.models.latents import ModelAtLatents
from gancli.sampling.encoders import gif, mp4, pillow
from gancli.sampling.encoders.film import Film
from gancli.sampling.sample import about, format_seeds
from gancli.storage import disk, system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from gancli.models.interpolation import Frames
    from gancli.sampling.encoders.film import Pixels

    Progress = Callable[[int, int], None]

__all__ = ["FORMATS", "Format", "Request", "Written", "frames_in", "write"]

SLOWEST_FPS, FASTEST_FPS = Fraction(1, 60), Fraction(1000)
WATCHABLE_PIXELS = 256
"""What the longer side of a moving picture is brought close to, if nothing else is asked for."""

_GLIMPSES = 32
_FRAME_NAME = re.compile(r"frame\d{4,}\.png")


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of moving picture.

    Attributes:
        write: writes all frames to a file.
        largest_side: pixels of the longest side that it can have.
        fastest_fps: frames per second beyond which programs show it at another speed.
        alpha: whether it can be partly transparent.
        check: says what is missing to write it.
    """

    write: Callable[[BinaryIO, Iterator[Pixels], Film], None]
    largest_side: int
    fastest_fps: int
    alpha: bool = True
    check: Callable[[], None] = lambda: None


FORMATS = {
    ".gif": Format(gif.write, 2**16 - 1, gif.CENTISECONDS // 2, alpha=False),  # viewers slow down frames of 1/100 s
    ".webp": Format(pillow.write_webp, 2**14 - 1, 60),
    ".apng": Format(pillow.write_apng, 2**31 - 1, 60),
    ".avif": Format(pillow.write_avif, 2**16, 60),
    ".mp4": Format(mp4.write, 2**13, 240, alpha=False, check=mp4.check),
}


@dataclass(frozen=True, slots=True)
class Request:
    """Where to write to, and how.

    Attributes:
        target: ``walk.gif``, ``.webp``, ``.apng``, ``.avif`` or ``.mp4``; ``strip.png``, all frames side by side;
            ``folder/`` or an existing folder, numbered frames.
        columns: of the grid that a frame of several cells is; None makes it about square.
        fps: frames per second.
        scale: pixels per pixel and side; None brings moving pictures close to 256 pixels and leaves others as they are.
        metadata: whether to store how it was made.

    Raises:
        UsageError: such a thing cannot be written.
        PluginError: a package is missing for it.
    """

    target: str
    columns: int | None = None
    fps: Fraction = Fraction(20)
    scale: int | None = None
    metadata: bool = True

    def __post_init__(self) -> None:
        with disk.explained(Path(self.target)):
            unknown = not self.is_folder and self.suffix not in {*FORMATS, ".png"}
        if unknown:
            kinds = f"{', '.join(FORMATS)}, .png (a strip) or / (a folder)"
            raise UsageError(f"'{self.target}' is no kind of output that is known.", f"End it in {kinds}.")
        fastest = self.format.fastest_fps if self.format else FASTEST_FPS
        if not SLOWEST_FPS <= self.fps <= fastest:
            raise UsageError(
                f"{_decimal(self.fps)} frames per second are not possible in '{self.target}'.",
                f"Give 1/60 to {fastest}; .mp4 and a folder take the most.",
            )
        if self.scale is not None and self.scale < 1:
            raise UsageError(f"Pictures cannot be enlarged {self.scale} times.", "Give a whole number from 1.")
        if self.format:
            self.format.check()

    @property
    def suffix(self) -> str:
        """In lower case."""
        return Path(self.target).suffix.lower()

    @property
    def is_folder(self) -> bool:
        """Whether numbered frames are asked for."""
        return self.target.endswith(("/", os.sep)) or Path(self.target).is_dir()

    @property
    def format(self) -> Format | None:
        """The kind of moving picture; None for a strip or a folder."""
        return None if self.is_folder else FORMATS.get(self.suffix)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the path, how many frames of which size, enlarged how many times."""

    path: str
    frames: int
    width: int
    height: int
    scale: int


def frames_in(folder: Path) -> list[Path]:
    """The numbered frames of a walk that was written to a folder, in their order; none if there is no such folder."""
    with disk.explained(folder):
        return sorted(path for path in folder.iterdir() if _FRAME_NAME.fullmatch(path.name)) if folder.is_dir() else []


def write(tour: Frames, request: Request, progress: Progress = lambda _done, _total: None) -> Written:
    """Draw and write.

    Args:
        tour: what to draw.
        request: where to and how. What is there is replaced when all is complete.
        progress: called with (frames done, frames in all).

    Raises:
        UsageError: it would be too large for its kind, or cannot be transparent.
        StorageError: it cannot be written; nothing half-written is left.
    """
    size, scale = _size(tour, request)
    canvases = _Canvases(tour, request.columns, scale, progress)
    told = _metadata(tour, request)
    if request.format:
        film = Film(len(tour), *size, tour.model.image.channels, request.fps, tour.interpolation.loop, told, canvases.glimpse)
        _write_film(Path(request.target), request.format, film, iter(canvases))
    elif request.is_folder:
        _write_folder(Path(request.target), len(tour), iter(canvases), told)
    else:
        size = images.refuse_huge_grid(len(tour), *size, len(tour))
        _write_strip(Path(request.target), iter(canvases), told)
    return Written(request.target, len(tour), size[1], size[0], scale)


class _Canvases:
    """The frames as they are shown, uint8 ``(h, w, c)``: cells as a grid, enlarged."""

    def __init__(self, tour: Frames, columns: int | None, scale: int, progress: Progress) -> None:
        self._tour, self._columns, self._scale, self._progress = tour, columns, scale, progress

    def __iter__(self) -> Iterator[Pixels]:
        for done, canvas in enumerate(self._at(np.arange(len(self._tour))), 1):
            yield canvas
            self._progress(done, len(self._tour))

    def glimpse(self) -> Iterator[Pixels]:
        """Some, from all over the walk."""
        total = len(self._tour)
        return self._at(np.unique(np.linspace(0, total - 1, min(total, _GLIMPSES)).astype(np.int64)))

    def _at(self, indices: Any) -> Iterator[Pixels]:  # noqa: ANN401  (an array, whose type NumPy spells in a line)
        padding = _padding(self._tour)
        for cells in self._tour.at(indices):
            canvas = images.grid(images.to_bytes(cells), self._columns, padding)
            yield canvas.repeat(self._scale, 0).repeat(self._scale, 1)


def _padding(tour: Frames) -> int:
    return images.PADDING if tour.interpolation.cells > 1 else 0


def _size(tour: Frames, request: Request) -> tuple[tuple[int, int], int]:
    """Height and width of a frame, and how many times it is enlarged."""
    image, kind = tour.model.image, request.format
    height, width = images.refuse_huge_grid(
        tour.interpolation.cells, image.height, image.width, request.columns, _padding(tour)
    )
    scale = request.scale or (max(1, WATCHABLE_PIXELS // max(height, width)) if kind else 1)
    height, width = height * scale, width * scale
    if height * width > images.MAX_PIXELS or (kind and max(height, width) > kind.largest_side):
        most = f", and {kind.largest_side:,} a side in {request.suffix}" if kind else ""
        raise UsageError(
            f"A frame would be {width:,}x{height:,} pixels.",
            f"At most 64 megapixels are written{most}: give a smaller --scale.",
        )
    if kind and not kind.alpha and image.channels in {2, 4}:
        raise UsageError(f"{request.suffix} has no transparency, and these pictures have.", "Choose .webp, .apng or .avif.")
    return (height, width), scale


def _metadata(tour: Frames, request: Request) -> dict[str, Any]:
    if not request.metadata:
        return {}
    walk = tour.interpolation
    return {
        **about(tour.model.origin),
        "walk": {
            "rows" if isinstance(tour.model, ModelAtLatents) else "seeds": format_seeds(walk.seeds),
            "frames": walk.frames,
            "cells": walk.cells,
            "labels": None if walk.labels is None else list(walk.labels),
            "method": walk.method,
            "loop": walk.loop,
            "truncation": walk.truncation,
            "direction": walk.direction,
        },
    }


def _write_film(target: Path, kind: Format, film: Film, canvases: Iterator[Pixels]) -> None:
    disk.refuse_missing_parent(target)
    with disk.replacing(target) as scratch, scratch.open("wb") as file:
        kind.write(file, canvases, film)


def _write_strip(target: Path, canvases: Iterator[Pixels], told: dict[str, Any]) -> None:
    disk.refuse_missing_parent(target)
    pixels = np.stack(list(canvases))
    disk.write_atomically(target, _png(images.grid(pixels, len(pixels)), told))


def _write_folder(folder: Path, total: int, canvases: Iterator[Pixels], told: dict[str, Any]) -> None:
    """``frame0000.png``, ...: first all of them in a folder of their own, then in the place of an earlier walk's."""
    digits = max(4, len(str(total - 1)))
    made = not folder.exists()
    with disk.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / f"{disk.TEMPORARY}{token_hex(8)}"
        scratch.mkdir()
        try:
            for number, canvas in enumerate(canvases):
                (scratch / f"frame{number:0{digits}}.png").write_bytes(_png(canvas, told))
            for old in frames_in(folder):
                old.unlink()
            for new in frames_in(scratch):
                system.replace(new, folder / new.name)
        finally:
            disk.remove(scratch)
            if made and not any(folder.iterdir()):  # nothing came of it
                folder.rmdir()


def _png(pixels: Pixels, told: dict[str, Any]) -> bytes:
    buffer = BytesIO()
    images.save_png(pixels, buffer, told)
    return buffer.getvalue()


def _decimal(fps: Fraction) -> str:
    return f"{float(fps):.6g}"
