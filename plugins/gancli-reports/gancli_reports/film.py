"""The previews of a run as a film: how the images came to be, with step and distance below."""

from __future__ import annotations

from bisect import bisect_right
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gancli.errors import RunError, UsageError
from gancli.sampling.encoders import FORMATS, Film
from gancli.text import distance
from gancli.version import __version__

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from gancli.images import Pixels
    from gancli_reports.history import History

MOST_FRAMES = 400  # of more previews, that many are shown, from all over the run
WATCHABLE_PIXELS = 512  # what the longer side of a preview is brought close to
LAST_SECONDS = 2  # how long the last preview stays
MARGIN = 4


def write_film(history: History, target: Path, fps: Fraction, scale: int | None = None) -> int:
    """Write the previews of a run, ``fps`` a second, as ``.gif``, ``.webp``, ``.apng`` or ``.mp4``; how many there are.

    Each is enlarged ``scale`` times, by default to about 512 pixels.

    Raises:
        UsageError: there is no such kind of film, or it cannot be so fast or so large.
        RunError: the run has no previews.
        PluginError: a package is missing for that kind.
    """
    kind = FORMATS.get(target.suffix.lower())
    if kind is None:
        raise UsageError(f"'{target}' is not a film.", f"End it in {', '.join(FORMATS)}.")
    if not 0 < fps <= kind.fastest_fps:
        raise UsageError(f"{float(fps):g} previews per second are not possible.", f"Give up to {kind.fastest_fps} by --fps.")
    kind.check()
    previews = history.run.previews()
    if not previews:
        raise RunError(f"'{history.run.path}' has no previews.", "Choose another run; see `gancli runs list`.")
    chosen = [previews[i] for i in np.unique(np.linspace(0, len(previews) - 1, MOST_FRAMES).round().astype(int))]
    last = opened(chosen[-1])
    mode = last.mode if last.mode in {"L", "RGB"} else "RGB"
    scale = scale or max(1, WATCHABLE_PIXELS // max(last.size))
    width, height = last.width * scale, last.height * scale
    caption = max(14, height // 24)
    size = width, height + caption + 2 * MARGIN
    if max(size) > kind.largest_side:
        raise UsageError(f"A frame would be {size[0]}x{size[1]} pixels.", "Give a smaller --scale.")
    font, name = ImageFont.load_default(caption), history.distance.upper().replace("_", "-", 1)
    curve = history.curve(history.distance)

    def frame(path: Path) -> Pixels:
        canvas, step = Image.new(mode, size, "white"), int(path.stem)
        canvas.paste(opened(path).convert(mode).resize((width, height), Image.Resampling.NEAREST))
        measured = bisect_right([row["step"] for row in curve], step)
        text = f"step {step:,}" + (f"   {name} {distance(curve[measured - 1][history.distance])}" if measured else "")
        ImageDraw.Draw(canvas).text((MARGIN, height + MARGIN), text, fill="black", font=font)
        return np.atleast_3d(np.asarray(canvas))

    glimpse = partial(map, frame, chosen[:: max(1, len(chosen) // 32)])
    held, channels = max(1, round(LAST_SECONDS * fps)), 1 if mode == "L" else 3
    about = {"gancli": __version__, "run": history.run.name, "film": len(chosen)}
    film = Film(len(chosen) + held, size[1], size[0], channels, fps, loop=True, metadata=about, glimpse=glimpse)
    kind.write(target, chain(map(frame, chosen), repeat(frame(chosen[-1]), held)), film)
    return len(chosen)


def opened(path: Path) -> Image.Image:
    """A preview."""
    try:
        with Image.open(path, formats=["PNG"]) as preview:
            preview.load()
            return preview
    except (OSError, SyntaxError, ValueError) as error:
        raise RunError(f"The preview '{path}' cannot be read: {error}.", "Delete it, and try again.") from error
