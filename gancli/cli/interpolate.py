"""``gancli interpolate``: an interpolation through a generator's latent space."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gancli.cli.console.counter import Counter
from gancli.cli.farewell import free_name
from gancli.cli.model_options import Source, told
from gancli.cli.options import Force, Json, expand, named, whole
from gancli.cli.output import Output, refuse_existing
from gancli.cli.sample import Truncation
from gancli.cli.signals import interrupting
from gancli.errors import UsageError

if TYPE_CHECKING:
    from fractions import Fraction

    from gancli.models.interpolation import Interpolation
    from gancli.models.model import Model
    from gancli.sampling.animation import Request

__all__ = ["Route", "Screen", "interpolate"]

CROSS_FADED = "Between classes images are cross-faded: this generator does not only look labels up in an embedding."
DEFAULT_KEYFRAMES = 6
LONGEST_LIST = 1000

_SEEDS = typer.Option(
    "--seeds", metavar="LIST", help="The seeds of the keyframes, such as 0-5,99; with a grid, one per cell and keyframe."
)
_LATENTS = typer.Option("--latents", metavar="FILE.npz", help="The keyframes: the latents in this file; see `gancli project`.")
_METHOD = typer.Option("--method", help="Spherical (slerp) or linear (lerp) interpolation.")
_LOOP = typer.Option("--loop/--no-loop", help="Return to the first keyframe and repeat, or stop at the last.")
_GRID = typer.Option("--grid", metavar="ROWSxCOLUMNS", help="Several interpolations side by side, each with its own seeds.")
_CLASS = typer.Option(
    "--class",
    metavar="K|LIST",
    help="A class to keep, or classes to pass: 3,8 or 0-9, numbers or names (conditional models). "
    "By default each cell of a grid has the next class.",
)
_TARGET = typer.Option(
    "-o",
    "--output",
    metavar="TARGET",
    help="An animation (.gif, .webp, .apng; .mp4 with the extra 'video'), a strip of all frames (.png), "
    "or numbered frames (folder/). By default walk.gif, or the next free name.",
    parser=named,
)
_FPS = typer.Option(
    "--fps",
    metavar="X",
    help="Frames per second, such as 20, 12.5 or 30000/1001. GIF counts in 1/100 s and takes at most 50.",
)
_RATE = re.compile(r"[-+]?\d{1,9}(\.\d{0,9}|/\d{1,9})?")
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


@dataclass(frozen=True)
class Route:
    """The options that choose the keyframes and what lies between them."""

    frames: Annotated[int, whole("--frames", text="Number of frames in all.")] = 60
    keyframes: Annotated[
        int | None, whole("--keyframes", text="Number of keyframes; 6 by default, 1 with several classes.")
    ] = None
    seeds: Annotated[str | None, _SEEDS] = None
    method: Annotated[Literal["slerp", "lerp"], _METHOD] = "slerp"
    loop: Annotated[bool, _LOOP] = True
    grid: Annotated[str, _GRID] = "1x1"
    class_: Annotated[str | None, _CLASS] = None
    truncation: Truncation = None
    latents: Annotated[Path | None, _LATENTS] = None
    direction: Annotated[
        int | None,
        whole("--direction", text="To and fro along direction N of `gancli directions`; 1 has the largest effect."),
    ] = None

    @property
    def columns(self) -> int:
        """Columns of the grid."""
        return self._shape()[1]

    def check(self) -> None:
        """Refuse what can be refused before torch is loaded.

        Raises:
            UsageError: the options exclude each other or ask for something impossible.
        """
        if self.latents is not None and self.seeds is not None:
            raise UsageError(f"--latents {self.latents} excludes --seeds.", "The file says which keyframes.")
        if self.latents is None:
            self._walk([0, 1] if self.class_ and self.direction is None else None)

    def model_at(self, model: "Model") -> "Model":
        """The model, at the latents of a file if one is given."""
        if self.latents is None:
            return model
        from gancli.models.latents import ModelAtLatents, read_latents

        return ModelAtLatents(model, read_latents(self.latents, model))

    def walk(self, model: "Model") -> "Interpolation":
        """The interpolation, once the model's classes are known.

        Raises:
            UsageError: it does not have these classes.
        """
        from gancli.models.latents import ModelAtLatents

        labels = None if self.class_ is None else _classes(self.class_, model)
        if not isinstance(model, ModelAtLatents):
            return self._walk(labels)
        latents, (rows, columns) = model.latents, self._shape()
        if self.direction is not None:  # from the first latents on, as many as there are cells
            return self._walk(labels, range(rows * columns))
        if labels is None and latents.labels is not None and model.two_stage is None and rows * columns == 1:
            labels = latents.labels if len(set(latents.labels)) > 1 else latents.labels[:1]
        return self._walk(labels, range(len(latents.points)))

    def _walk(self, labels: list[int] | None, given: Sequence[int] | None = None) -> "Interpolation":
        from gancli.models.interpolation import Interpolation

        rows, columns = self._shape()
        cells = rows * columns
        seeds = self._seeds(cells, passes=len(labels or ()) > 1) if given is None else given
        even = given is not None and len(labels or ()) > 1  # an image is shown whole with its own class
        return Interpolation(
            seeds, self.frames, cells, labels, self.method, self.loop, self.truncation, direction=self.direction, even=even
        )

    def _seeds(self, cells: int, *, passes: bool) -> Sequence[int]:
        from gancli.models.interpolation import MAX_CELLS, MAX_KEYFRAMES
        from gancli.sampling.sample import parse_seeds

        if cells > MAX_CELLS:
            raise UsageError(f"--grid {self.grid} has {cells:,} cells.", f"Choose at most {MAX_CELLS:,}.")
        if self.seeds is None:
            default = 1 if passes or self.direction is not None else DEFAULT_KEYFRAMES
            keyframes = default if self.keyframes is None else self.keyframes
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
            raise UsageError(f"--grid {self.grid} is not a grid.", "Write rows x columns, for instance 4x4.")
        return rows, columns


def _classes(text: str, model: "Model") -> list[int]:
    """``8``, ``eight``, ``3,8``, ``0-9`` or ``9-0``: a name is tried first, for it may hold a comma or a hyphen."""
    if text in model.class_names:
        return [model.class_number(text)]
    numbers: list[int] = []
    for item in (item.strip() for item in text.split(",")):
        ends = None if item in model.class_names else _RANGE.fullmatch(item)
        first, last = (model.class_number(end) for end in (ends.groups() if ends else (item, item)))
        numbers += range(first, last + 1) if first <= last else range(first, last - 1, -1)
        if len(numbers) > LONGEST_LIST:
            raise UsageError(f"--class {text} names more than {LONGEST_LIST:,} classes.", "Give fewer.")
    return numbers


@dataclass(frozen=True)
class Screen:
    """The options that say what the frames become."""

    target: Annotated[str | None, _TARGET] = None
    fps: Annotated[str, _FPS] = "20"
    scale: Annotated[int | None, whole("--scale", text="Enlarge each frame N times; by default to about 256 pixels.")] = None
    no_metadata: Annotated[bool, typer.Option("--no-metadata", help="Do not store how it was made.")] = False
    force: Force = False

    def request(self, columns: int) -> "Request":
        """What to write, if it can be.

        Raises:
            UsageError: it cannot.
            StorageError: a file that gancli did not make is there, or its folder is missing.
            PluginError: a package is missing for it.
        """
        from gancli.sampling.animation import Request, frames_in

        request = Request(self.target or free_name("walk.gif"), columns, _fraction(self.fps), self.scale, not self.no_metadata)
        there = frames_in(Path(request.target)) if request.is_folder else [request.target]
        for path in there:
            refuse_existing(path, force=self.force)
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


@expand
def interpolate(context: typer.Context, *, route: Route, screen: Screen, source: Source, json: Json = False) -> None:
    """Make an animation that interpolates between latents, in steps that look equal."""
    output = Output.of(context)
    source.check()
    route.check()
    request = screen.request(route.columns)
    with interrupting(), Counter(sys.stderr, quiet=output.quiet) as counter:
        model = route.model_at(source.load())
        from gancli.models.interpolation import Frames
        from gancli.sampling.animation import write
        from gancli.sampling.sample import format_seeds

        walk = route.walk(model)
        tour = Frames(model, walk)
        written = write(tour, request, counter)
    seconds = float(walk.frames / request.fps)
    seeds = format_seeds(walk.seeds)
    size = f"{written.width}x{written.height}"
    shown = f"of {size}, {seconds:.4g} s" if request.format else f"in {size}" if not request.is_folder else f"of {size}"
    where = f"latents {seeds} of {route.latents}" if route.latents else f"seeds {seeds}"
    along = "" if walk.direction is None else f" along direction {walk.direction}"
    output.note(f"{written.frames:,} frames {shown}{along}; {'keyframes' if walk.direction is None else 'around'}: {where}")
    for note in (f"generated by {told(model)}", *model.origin.notes, *([CROSS_FADED] if tour.blend == "pixels" else [])):
        output.note(note)
    if not json:
        output.result(written.path)
        return
    output.document(
        {
            "path": written.path,
            "frames": written.frames,
            "width": written.width,
            "height": written.height,
            "scale": written.scale,
            "fps": float(request.fps),
            "seconds": seconds,
            "loop": walk.loop,
            "method": walk.method,
            "latents" if route.latents else "seeds": str(route.latents) if route.latents else seeds,
            "direction": walk.direction,
            "classes": walk.labels,
            "between_classes": tour.blend,
            "truncation": walk.truncation,
            "model": told(model),
        }
    )
