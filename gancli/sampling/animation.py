"""Write the frames of an interpolation: an animation, a strip, or a folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import numpy as np

from gancli import images
from gancli.errors import UsageError
from gancli.sampling.encoders import FORMATS, Film, Format
from gancli.sampling.sample import about, format_seeds
from gancli.storage import disk, system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gancli.images import Pixels
    from gancli.models.interpolation import Frames

SLOWEST_FPS, FASTEST_FPS = Fraction(1, 60), Fraction(1000)
WATCHABLE_PIXELS = 256  # what the longer side of an animation is brought close to by default
_GLIMPSES = 32
_FRAME_NAME = re.compile(r"frame\d{4,}\.png")


@dataclass(frozen=True, slots=True)
class Request:
    """Where to write to, and how; refused at once if that cannot be written."""

    target: str  # walk.gif, .webp, .apng, .avif or .mp4; strip.png, all frames side by side; or a folder of frames
    columns: int | None = None  # of the grid that a frame of several cells is; None makes it about square
    fps: Fraction = Fraction(20)
    scale: int | None = None  # None brings animations close to 256 pixels and leaves others as they are
    metadata: bool = True  # whether to store how it was made

    def __post_init__(self) -> None:
        with disk.explained(Path(self.target)):
            kind = self.format
        if kind is None and not self.is_folder and self.suffix != ".png":
            kinds = f"{', '.join(FORMATS)}, .png (a strip) or / (a folder)"
            raise UsageError(f"'{self.target}' is not a kind of output.", f"End it in {kinds}.")
        fastest = kind.fastest_fps if kind else FASTEST_FPS
        if not SLOWEST_FPS <= self.fps <= fastest:
            problem = f"{float(self.fps):.6g} frames per second are not possible in '{self.target}'."
            raise UsageError(problem, f"Give 1/60 to {fastest}; .mp4 and a folder take the most.")
        if self.scale is not None and self.scale < 1:
            raise UsageError(f"Images cannot be enlarged {self.scale} times.", "Give a whole number from 1.")
        if kind:
            kind.check()

    @property
    def suffix(self) -> str:
        """In lower case."""
        return Path(self.target).suffix.lower()

    @property
    def is_folder(self) -> bool:
        """Whether numbered frames are requested."""
        return self.target.endswith(("/", os.sep)) or Path(self.target).is_dir()

    @property
    def format(self) -> Format | None:
        """The kind of animation; None for a strip or a folder."""
        return None if self.is_folder else FORMATS.get(self.suffix)


def frames_in(folder: Path) -> list[Path]:
    """The numbered frames of an interpolation in a folder, in their order; none if there is no such folder."""
    with disk.explained(folder):
        return sorted(path for path in folder.iterdir() if _FRAME_NAME.fullmatch(path.name)) if folder.is_dir() else []


def write(movie: Frames, request: Request, progress: Callable[[int, int], None] = lambda _done, _total: None) -> dict[str, Any]:
    """Generate and write: the path, how many frames of which width and height, enlarged ``scale`` times.

    ``progress`` is called with (frames done, frames in all).

    Raises:
        UsageError: it would be too large for its kind, or cannot be transparent.
        StorageError: it cannot be written; what was there before is still there, and nothing half-written is.
    """
    total, target, walk = len(movie), Path(request.target), movie.interpolation
    padding = images.PADDING if walk.cells > 1 else 0
    height, width, scale = _size(movie, request, padding)
    path = {name: getattr(walk, name) for name in ("frames", "cells", "method", "loop", "truncation", "direction")}
    path |= {"rows" if movie.model.made_from else "seeds": format_seeds(walk.seeds)}
    path |= {"labels": None if walk.labels is None else list(walk.labels)}
    metadata = about(movie.model.origin) | {"walk": path} if request.metadata else {}

    def canvases(numbers: NDArray[np.int64]) -> Iterator[Pixels]:
        """The frames as they are shown, uint8 ``(h, w, c)``: cells as a grid, enlarged."""
        for cells in movie.at(numbers):
            yield images.grid(images.to_bytes(cells), request.columns, padding, scale)

    def counted() -> Iterator[Pixels]:
        for done, canvas in enumerate(canvases(np.arange(total)), 1):
            yield canvas
            progress(done, total)

    def glimpse() -> Iterator[Pixels]:
        return canvases(np.unique(np.linspace(0, total - 1, min(total, _GLIMPSES)).astype(np.int64)))

    if request.format:
        film = Film(total, height, width, movie.model.image.channels, request.fps, walk.loop, metadata, glimpse)
        request.format.write(target, counted(), film)
    elif request.is_folder:
        _write_folder(target, total, counted(), metadata)
    else:
        height, width = images.refuse_huge_grid(total, height, width, total)
        disk.refuse_missing_parent(target)
        disk.write_atomically(target, images.to_png(images.grid(np.stack(list(counted())), total), metadata))
    return {"path": request.target, "frames": total, "width": width, "height": height, "scale": scale}


def _size(movie: Frames, request: Request, padding: int) -> tuple[int, int, int]:
    """Height and width of a frame, and how many times it is enlarged."""
    image, kind = movie.model.image, request.format
    height, width = images.refuse_huge_grid(movie.interpolation.cells, image.height, image.width, request.columns, padding)
    scale = request.scale or (max(1, WATCHABLE_PIXELS // max(height, width)) if kind else 1)
    height, width = height * scale, width * scale
    if height * width > images.MAX_PIXELS or (kind and max(height, width) > kind.largest_side):
        most = f", and {kind.largest_side:,} a side in {request.suffix}" if kind else ""
        problem = f"A frame would be {width:,}x{height:,} pixels."
        raise UsageError(problem, f"At most 64 megapixels are written{most}: give a smaller --scale.")
    if kind and not kind.alpha and image.channels in {2, 4}:
        raise UsageError(f"{request.suffix} has no transparency, and these images have.", "Choose .webp, .apng or .avif.")
    return height, width, scale


def _write_folder(folder: Path, total: int, canvases: Iterator[Pixels], metadata: dict[str, Any]) -> None:
    """``frame0000.png``, ...: first all of them in a folder of their own, then in the place of earlier ones."""
    digits = max(4, len(str(total - 1)))
    made = not folder.exists()
    with disk.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / f"{disk.TEMPORARY}{token_hex(8)}"
        scratch.mkdir()
        try:
            for number, canvas in enumerate(canvases):
                (scratch / f"frame{number:0{digits}}.png").write_bytes(images.to_png(canvas, metadata))
            for old in frames_in(folder):
                old.unlink()
            for new in frames_in(scratch):
                system.replace(new, folder / new.name)
        finally:
            disk.remove(scratch)
            if made and not any(folder.iterdir()):  # nothing came of it
                folder.rmdir()
