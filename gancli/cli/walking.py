"""Which way to walk through latent space, and what the frames become."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gancli.cli.drawing import Truncation, class_number, named, refuse_existing, whole
from gancli.cli.farewell import free_name
from gancli.errors import StorageError, UsageError

if TYPE_CHECKING:
    from fractions import Fraction

    from gancli.models.interpolation import Walk
    from gancli.models.model import Model
    from gancli.sampling.animation import Request

__all__ = ["Route", "Screen"]

DEFAULT_KEYFRAMES = 6
LONGEST_LIST = 1000

_SEEDS = typer.Option(
    "--seeds", metavar="LIST", help="The seeds of the keyframes, such as 0-5,99; with a grid, those of each keyframe in turn."
)
_METHOD = typer.Option("--method", help="Turn from one latent to the next, or go straight.")
_LOOP = typer.Option("--loop/--no-loop", help="Come back to the first keyframe and play without end, or stop at the last.")
_GRID = typer.Option("--grid", metavar="ROWSxCOLUMNS", help="Walks side by side, in step, each with seeds of its own.")
_CLASS = typer.Option(
    "--class",
    metavar="K|LIST",
    help="A class to keep, or classes to pass: 3,8 or 0-9, numbers or names (conditional models). "
    "By default each walk of a grid has the next class.",
)
_TARGET = typer.Option(
    "-o",
    "--output",
    metavar="TARGET",
    help="A film (.gif, .webp, .apng; .mp4 with the extra 'video'), a strip of all frames (.png), or numbered frames "
    "(folder/). By default walk.gif, or the next free name.",
    parser=named,
)
_FPS = typer.Option(
    "--fps",
    metavar="X",
    help="Frames per second, such as 20, 12.5 or 30000/1001. GIF counts 1/100 s and takes at most 50; where X does not "
    "divide 100 its frames differ by 1/100 s, and X holds on average.",
)
_RATE = re.compile(r"[-+]?\d{1,9}(\.\d{0,9}|/\d{1,9})?")
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


@dataclass(frozen=True)
class Route:
    """The options that say which way."""

    frames: Annotated[int, whole("--frames", text="Frames of the whole film.")] = 60
    keyframes: Annotated[
        int | None, whole("--keyframes", text="Latents to pass; 6 by default, and 1 where several classes are passed.")
    ] = None
    seeds: Annotated[str | None, _SEEDS] = None
    method: Annotated[Literal["slerp", "lerp"], _METHOD] = "slerp"
    loop: Annotated[bool, _LOOP] = True
    grid: Annotated[str, _GRID] = "1x1"
    class_: Annotated[str | None, _CLASS] = None
    truncation: Truncation = None

    @property
    def columns(self) -> int:
        """Of the grid."""
        return self._shape()[1]

    def check(self) -> None:
        """Refuse what can be refused before torch is loaded.

        Raises:
            UsageError: the options exclude each other or ask for something impossible.
        """
        self._walk([0, 1] if self.class_ else None)

    def walk(self, model: "Model") -> "Walk":
        """The way, once the model's classes are known.

        Raises:
            UsageError: it has not these classes.
        """
        return self._walk(None if self.class_ is None else _classes(self.class_, model))

    def _walk(self, labels: list[int] | None) -> "Walk":
        from gancli.models.interpolation import Walk

        rows, columns = self._shape()
        cells = rows * columns
        seeds = self._seeds(cells, passes=len(labels or ()) > 1)
        return Walk(seeds, self.frames, cells, labels, self.method, self.loop, self.truncation)

    def _seeds(self, cells: int, *, passes: bool) -> Sequence[int]:
        from gancli.models.interpolation import MAX_CELLS, MAX_KEYFRAMES
        from gancli.sampling.sample import parse_seeds

        if cells > MAX_CELLS:
            raise UsageError(f"--grid {self.grid} has {cells:,} walks.", f"At most {MAX_CELLS:,} go in step.")
        if self.seeds is None:
            keyframes = (1 if passes else DEFAULT_KEYFRAMES) if self.keyframes is None else self.keyframes
            if not 1 <= keyframes * cells <= MAX_KEYFRAMES:
                raise UsageError(f"--keyframes {keyframes} is out of range.", f"Choose 1 to {MAX_KEYFRAMES // cells:,}.")
            return range(keyframes * cells)
        seeds = parse_seeds(self.seeds)
        if self.keyframes is not None and self.keyframes * cells != len(seeds):
            asked = f"--keyframes {self.keyframes}" + (f" of --grid {self.grid}" if cells > 1 else "")
            raise UsageError(f"{asked} does not fit the {len(seeds)} seeds of --seeds.", "Leave --keyframes out.")
        return seeds

    def _shape(self) -> tuple[int, int]:
        sides = re.fullmatch(r"(\d{1,4})[xX](\d{1,4})", self.grid)
        rows, columns = map(int, sides.groups()) if sides else (0, 0)
        if not rows or not columns:
            raise UsageError(f"--grid {self.grid} is no grid.", "Write rows x columns, for instance 4x4.")
        return rows, columns


def _classes(text: str, model: "Model") -> list[int]:
    """``8``, ``eight``, ``3,8``, ``0-9`` or ``9-0``: a name is tried first, for it may hold a comma or a hyphen."""
    if text in model.class_names:
        return [class_number(text, model)]
    numbers: list[int] = []
    for item in (item.strip() for item in text.split(",")):
        ends = None if item in model.class_names else _RANGE.fullmatch(item)
        first, last = (class_number(end, model) for end in (ends.groups() if ends else (item, item)))
        numbers += range(first, last + 1) if first <= last else range(first, last - 1, -1)
        if len(numbers) > LONGEST_LIST:
            raise UsageError(f"--class {text} names more than {LONGEST_LIST:,} classes.", "Pass fewer.")
    return numbers


@dataclass(frozen=True)
class Screen:
    """The options that say what the frames become."""

    target: Annotated[str | None, _TARGET] = None
    fps: Annotated[str, _FPS] = "20"
    scale: Annotated[
        int | None, whole("--scale", text="Pixels per pixel. By default films become about 256 pixels wide or high.")
    ] = None
    no_metadata: Annotated[bool, typer.Option("--no-metadata", help="Do not store how it was made.")] = False
    force: Annotated[bool, typer.Option("--force", help="Replace a file, or the frames in a folder.")] = False

    def request(self, columns: int) -> "Request":
        """What to write, if it can be.

        Raises:
            UsageError: it cannot.
            StorageError: there is something already.
            PluginError: a package is missing for it.
        """
        from gancli.sampling.animation import Request, frames_in

        request = Request(self.target or free_name("walk.gif"), columns, _fraction(self.fps), self.scale, not self.no_metadata)
        refuse_existing(request.target, force=self.force)
        if request.is_folder and not self.force and frames_in(Path(request.target)):
            raise StorageError(
                f"'{request.target}' holds the frames of a walk already.", "Choose another one, or replace them with --force."
            )
        return request


def _fraction(text: str) -> "Fraction":
    from fractions import Fraction

    try:
        if not _RATE.fullmatch(text):
            raise ValueError(text)  # noqa: TRY301  (such as 1e999999999, which takes minutes to write out)
        given = Fraction(text)
        return given.limit_denominator(100_000) or given  # which is not 0
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--fps {text} is not a number.", "Write for instance 20, 12.5 or 30000/1001.") from None
