"""``gancli interpolate``: an interpolation through a generator's latent space."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from gancli.cli.options import Force, NoMetadata, Source, Truncation, option, output_option, whole
from gancli.cli.output import Output, free_name, refuse_existing
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.models.interpolation import Frames, Interpolation
    from gancli.models.model import Model
    from gancli.sampling.animation import Request

DEFAULT_KEYFRAMES = 6
CROSS_FADED = "Between classes images are cross-faded: this generator does not only look labels up in an embedding."
LONGEST_LIST = 1000

_SEEDS = option("LIST", "Seeds of the keyframes, such as 0-5,99; with a grid, one per cell and keyframe.")
_LATENTS = option("FILE.npz", "Interpolate between the latents in this file; see `gancli project`.")
_LOOP = option(None, "Return to the first keyframe and repeat, or stop at the last.", "--loop/--no-loop")
_GRID = option("ROWSxCOLUMNS", "Several interpolations side by side, each with its own seeds.")
_CLASS = option(
    "K|LIST",
    "One class, or classes to interpolate through: 3,8 or 0-9, numbers or names (conditional models). "
    "By default each cell of a grid has the next class.",
    "--class",
)
_DIRECTION = whole("Move back and forth along direction N of `gancli directions`; 1 has the largest effect.")
_TARGET = output_option(
    "TARGET",
    "An animation (.gif, .webp, .apng; .mp4 with the extra 'video'), a strip of all frames (.png), "
    "or numbered frames (folder/). By default walk.gif, or the next free name.",
)
_FPS = option("X", "Frames per second, such as 20, 12.5 or 30000/1001. GIF counts in 1/100 s and takes at most 50.")
_RATE = re.compile(r"[-+]?\d{1,9}(\.\d{0,9}|/\d{1,9})?")
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


@dataclass(frozen=True)
class InterpolateOptions:
    """The options that say where an interpolation leads, and what its frames become."""

    frames: Annotated[int, whole("Number of frames.")] = 60
    keyframes: Annotated[int | None, whole("Number of keyframes; 6 by default, 1 with several classes.")] = None
    seeds: Annotated[str | None, _SEEDS] = None
    method: Annotated[Literal["slerp", "lerp"], option(None, "Spherical (slerp) or linear (lerp) interpolation.")] = "slerp"
    loop: Annotated[bool, _LOOP] = True
    grid: Annotated[str, _GRID] = "1x1"
    class_: Annotated[str | None, _CLASS] = None
    truncation: Truncation = None
    latents: Annotated[Path | None, _LATENTS] = None
    direction: Annotated[int | None, _DIRECTION] = None
    target: Annotated[str | None, _TARGET] = None
    fps: Annotated[str, _FPS] = "20"
    scale: Annotated[int | None, whole("Enlarge each frame N times; by default to about 256 pixels.")] = None
    no_metadata: NoMetadata = False
    force: Force = False

    def write(
        self, load: "Callable[[], Model]", progress: Callable[[int, int], None] = lambda _done, _total: None
    ) -> "tuple[Frames, Request, dict[str, Any]]":
        """Load the model and write; what can be refused before is refused before."""
        from gancli.models.interpolation import Frames
        from gancli.models.latents import ModelAtLatents, read_latents
        from gancli.sampling.animation import Request, frames_in, write

        cells, columns = self._cells()
        if self.latents is None:
            self._interpolation(cells, [0, 1] if self.class_ and self.direction is None else None)  # any two of the model's
        elif self.seeds is not None:
            raise UsageError(f"--latents {self.latents} excludes --seeds.", "The file says which keyframes.")
        request = Request(self.target or free_name("walk.gif"), columns, _rate(self.fps), self.scale, not self.no_metadata)
        for path in frames_in(Path(request.target)) if request.is_folder else [request.target]:
            refuse_existing(path, force=self.force)
        model, points = load(), None
        labels = None if self.class_ is None else _classes(self.class_, model)
        if self.latents:
            model = ModelAtLatents(model, read_latents(self.latents, model))
            points, own = range(cells if self.direction is not None else len(model.latents.points)), model.latents.labels
            if self.direction is None and labels is None and own and model.two_stage is None and cells == 1:
                labels = own if len(set(own)) > 1 else own[:1]
        movie = Frames(model, self._interpolation(cells, labels, points))
        return movie, request, write(movie, request, progress)

    def _cells(self) -> tuple[int, int]:
        """The number of cells, and of columns."""
        from gancli.models.interpolation import MAX_CELLS

        sides = re.fullmatch(r"(\d{1,4})[xX](\d{1,4})", self.grid)
        rows, columns = map(int, sides.groups()) if sides else (0, 0)
        if not rows or not columns:
            raise UsageError(f"--grid {self.grid} is not a grid.", "Write rows x columns, for instance 4x4.")
        if rows * columns > MAX_CELLS:
            raise UsageError(f"--grid {self.grid} has {rows * columns:,} cells.", f"Choose at most {MAX_CELLS:,}.")
        return rows * columns, columns

    def _interpolation(self, cells: int, labels: Sequence[int] | None, points: Sequence[int] | None = None) -> "Interpolation":
        """Between seeds, or between the rows of a file of latents."""
        from gancli.models.interpolation import MAX_KEYFRAMES, Interpolation
        from gancli.sampling.sample import parse_seeds

        several = len(labels or ()) > 1
        if points is not None:
            chosen = points
        elif self.seeds is None:
            default = 1 if several or self.direction is not None else DEFAULT_KEYFRAMES
            keyframes = default if self.keyframes is None else self.keyframes
            if not 1 <= keyframes * cells <= MAX_KEYFRAMES:
                raise UsageError(f"--keyframes {keyframes} is out of range.", f"Choose 1 to {MAX_KEYFRAMES // cells:,}.")
            chosen = range(keyframes * cells)
        else:
            chosen = parse_seeds(self.seeds)
            if self.keyframes is not None and self.keyframes * cells != len(chosen):
                given = f"--keyframes {self.keyframes}{f' of --grid {self.grid}' if cells > 1 else ''}"
                raise UsageError(f"{given} does not fit the {len(chosen)} seeds of --seeds.", "Leave --keyframes out.")
        common = (self.frames, cells, labels, self.method, self.loop, self.truncation)
        even = points is not None and several  # an image is shown whole with its own class
        return Interpolation(chosen, *common, direction=self.direction, even=even)


def interpolate(output: Output, *, options: InterpolateOptions, source: Source) -> None:
    """Make an animation that interpolates between latents, in steps that look equal."""
    source.check()
    with output.progress() as counter:
        movie, request, written = options.write(source.load, counter)
    from gancli.sampling.sample import format_seeds

    origin, path, latents = movie.model.origin, movie.interpolation, options.latents
    seconds, numbers = float(path.frames / request.fps), format_seeds(path.seeds)
    size = f"{written['width']}x{written['height']}"
    shown = f"of {size}, {seconds:.4g} s" if request.format else f"of {size}" if request.is_folder else f"in {size}"
    along = "; keyframes" if path.direction is None else f" along direction {path.direction}; around"
    where = f"latents {numbers} of {latents}" if latents else f"seeds {numbers}"
    faded = [CROSS_FADED] if movie.blend == "pixels" else []
    output.note(f"{written['frames']:,} frames {shown}{along}: {where}", f"generated by {origin}", *origin.notes, *faded)
    document = {
        **written,
        "fps": float(request.fps),
        "seconds": seconds,
        "loop": path.loop,
        "method": path.method,
        "latents" if latents else "seeds": str(latents) if latents else numbers,
        "direction": path.direction,
        "classes": path.labels,
        "between_classes": movie.blend,
        "truncation": path.truncation,
        "model": str(origin),
    }
    output.result(written["path"], document)


def _classes(text: str, model: "Model") -> list[int]:
    """``8``, ``eight``, ``3,8``, ``0-9`` or ``9-0``: a name is tried first, for it may hold a comma or a hyphen."""
    if text in model.class_names:
        return [model.class_number(text)]
    numbers: list[int] = []
    for item in map(str.strip, text.split(",")):
        ends = None if item in model.class_names else _RANGE.fullmatch(item)
        first, last = (model.class_number(end) for end in (ends.groups() if ends else (item, item)))
        numbers += range(first, last + 1) if first <= last else range(first, last - 1, -1)
        if len(numbers) > LONGEST_LIST:
            raise UsageError(f"--class {text} names more than {LONGEST_LIST:,} classes.", "Give fewer.")
    return numbers


def _rate(text: str) -> Fraction:
    with suppress(ValueError, ZeroDivisionError):
        if _RATE.fullmatch(text):  # not such as 1e999999999, which takes minutes to write out
            given = Fraction(text)
            return given.limit_denominator(100_000) or given  # which is not 0
    raise UsageError(f"--fps {text} is not a number.", "Write for instance 20, 12.5 or 30000/1001.")
