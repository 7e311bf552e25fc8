"""``gancli interpolate``: an interpolation through a generator's latent space."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gancli.cli.options import Force, Json, NoMetadata, Source, Truncation, output, whole
from gancli.cli.output import Output, free_name, refuse_existing
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.models.model import Model

CROSS_FADED = "Between classes images are cross-faded: this generator does not only look labels up in an embedding."
LONGEST_LIST = 1000

_KEYFRAMES = whole("--keyframes", text="Number of keyframes; 6 by default, 1 with several classes.")
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
_DIRECTION = whole("--direction", text="To and fro along direction N of `gancli directions`; 1 has the largest effect.")
_TARGET = output(
    "TARGET",
    "An animation (.gif, .webp, .apng; .mp4 with the extra 'video'), a strip of all frames (.png), "
    "or numbered frames (folder/). By default walk.gif, or the next free name.",
)
_FPS = typer.Option(
    "--fps",
    metavar="X",
    help="Frames per second, such as 20, 12.5 or 30000/1001. GIF counts in 1/100 s and takes at most 50.",
)
_SCALE = whole("--scale", text="Enlarge each frame N times; by default to about 256 pixels.")
_RATE = re.compile(r"[-+]?\d{1,9}(\.\d{0,9}|/\d{1,9})?")
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


def interpolate(
    context: typer.Context,
    *,
    frames: Annotated[int, whole("--frames", text="Number of frames in all.")] = 60,
    keyframes: Annotated[int | None, _KEYFRAMES] = None,
    seeds: Annotated[str | None, _SEEDS] = None,
    method: Annotated[Literal["slerp", "lerp"], _METHOD] = "slerp",
    loop: Annotated[bool, _LOOP] = True,
    grid: Annotated[str, _GRID] = "1x1",
    class_: Annotated[str | None, _CLASS] = None,
    truncation: Truncation = None,
    latents: Annotated[Path | None, _LATENTS] = None,
    direction: Annotated[int | None, _DIRECTION] = None,
    target: Annotated[str | None, _TARGET] = None,
    fps: Annotated[str, _FPS] = "20",
    scale: Annotated[int | None, _SCALE] = None,
    no_metadata: NoMetadata = False,
    force: Force = False,
    source: Source,
    json: Json = False,
) -> None:
    """Make an animation that interpolates between latents, in steps that look equal."""
    from gancli.models.interpolation import Frames, Interpolation
    from gancli.sampling.animation import Request, frames_in, write
    from gancli.sampling.sample import format_seeds

    output = Output.of(context)
    source.check()
    cells, columns = _cells(grid)

    def walk(labels: Sequence[int] | None, points: Sequence[int] | None = None) -> Interpolation:
        several = len(labels or ()) > 1
        chosen = points or _seeds(seeds, keyframes, cells, grid, default=1 if several or direction is not None else 6)
        even = points is not None and several  # an image is shown whole with its own class
        return Interpolation(chosen, frames, cells, labels, method, loop, truncation, direction=direction, even=even)

    if latents is None:
        walk([0, 1] if class_ and direction is None else None)  # refused early; the classes are known later
    elif seeds is not None:
        raise UsageError(f"--latents {latents} excludes --seeds.", "The file says which keyframes.")
    request = Request(target or free_name("walk.gif"), columns, _rate(fps), scale, not no_metadata)
    for path in frames_in(Path(request.target)) if request.is_folder else [request.target]:
        refuse_existing(path, force=force)
    with output.progress() as counter:
        model, points = source.load(), None
        from gancli.models.latents import ModelAtLatents, read_latents

        labels = None if class_ is None else _classes(class_, model)
        if latents:
            model = ModelAtLatents(model, read_latents(latents, model))
            points, own = range(cells if direction is not None else len(model.latents.points)), model.latents.labels
            if direction is None and labels is None and own and model.two_stage is None and cells == 1:
                labels = own if len(set(own)) > 1 else own[:1]
        movie = Frames(model, walk(labels, points))
        written = write(movie, request, counter)
    seconds, numbers = float(frames / request.fps), format_seeds(movie.interpolation.seeds)
    size = f"{written.width}x{written.height}"
    shown = f"of {size}, {seconds:.4g} s" if request.format else f"of {size}" if request.is_folder else f"in {size}"
    along = "; keyframes" if direction is None else f" along direction {direction}; around"
    where = f"latents {numbers} of {latents}" if latents else f"seeds {numbers}"
    faded = [CROSS_FADED] if movie.blend == "pixels" else []
    output.note(
        f"{written.frames:,} frames {shown}{along}: {where}", f"generated by {model.origin}", *model.origin.notes, *faded
    )
    document = {
        **asdict(written),
        "fps": float(request.fps),
        "seconds": seconds,
        "loop": loop,
        "method": method,
        "latents" if latents else "seeds": str(latents) if latents else numbers,
        "direction": direction,
        "classes": labels,
        "between_classes": movie.blend,
        "truncation": truncation,
        "model": str(model.origin),
    }
    output.result(written.path, document if json else None)


def _cells(grid: str) -> tuple[int, int]:
    """The number of cells, and of columns."""
    from gancli.models.interpolation import MAX_CELLS

    sides = re.fullmatch(r"(\d{1,4})[xX](\d{1,4})", grid)
    rows, columns = map(int, sides.groups()) if sides else (0, 0)
    if not rows or not columns:
        raise UsageError(f"--grid {grid} is not a grid.", "Write rows x columns, for instance 4x4.")
    if rows * columns > MAX_CELLS:
        raise UsageError(f"--grid {grid} has {rows * columns:,} cells.", f"Choose at most {MAX_CELLS:,}.")
    return rows * columns, columns


def _seeds(seeds: str | None, keyframes: int | None, cells: int, grid: str, *, default: int) -> Sequence[int]:
    from gancli.models.interpolation import MAX_KEYFRAMES
    from gancli.sampling.sample import parse_seeds

    if seeds is None:
        keyframes = default if keyframes is None else keyframes
        if not 1 <= keyframes * cells <= MAX_KEYFRAMES:
            raise UsageError(f"--keyframes {keyframes} is out of range.", f"Choose 1 to {MAX_KEYFRAMES // cells:,}.")
        return range(keyframes * cells)
    found = parse_seeds(seeds)
    if keyframes is not None and keyframes * cells != len(found):
        of_grid = f" of --grid {grid}" if cells > 1 else ""
        problem = f"--keyframes {keyframes}{of_grid} does not fit the {len(found)} seeds of --seeds."
        raise UsageError(problem, "Leave --keyframes out.")
    return found


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
    try:
        if not _RATE.fullmatch(text):
            raise ValueError(text)  # noqa: TRY301  (such as 1e999999999, which takes minutes to write out)
        given = Fraction(text)
        return given.limit_denominator(100_000) or given  # which is not 0
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--fps {text} is not a number.", "Write for instance 20, 12.5 or 30000/1001.") from None
