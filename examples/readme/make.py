"""Make the images of the README: `python examples/readme/make.py` trains with the defaults and writes beside this file.

grid.png     what `gancli sample -n 64 --scale 3` makes afterwards
walk.gif     what `gancli interpolate --grid 2x8 --keyframes 3 --scale 3` makes of it
losses.png   the plot of the run
table.svg    the live table as it stood at the end, exported by Rich
"""

from __future__ import annotations

import shutil
import sys
from contextlib import chdir
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from gancli.cli.live import LiveConsole
from gancli.config.resolve import resolve
from gancli.models.interpolation import Frames, Interpolation
from gancli.models.loading import load
from gancli.sampling.animation import Request as Film
from gancli.sampling.animation import write as write_film
from gancli.sampling.sample import Request, write
from gancli.training.run import train

HERE = Path(__file__).resolve().parent
ROWS, COLUMNS = 2, 8


def main() -> None:
    """Train, and keep the images."""
    settings = resolve(flags={"data.dataset": "mnist"}, assignments=sys.argv[1:])
    with TemporaryDirectory() as folder, chdir(folder):
        live = LiveConsole(Console(file=StringIO(), width=88))
        with live:
            ended = train(settings.config, runs_dir=Path("runs"), observe=live)
        recorder = Console(record=True, width=88, file=StringIO())
        recorder.print("$ gancli train --dataset mnist")
        recorder.print(live)
        recorder.save_svg(str(HERE / "table.svg"), title="gancli")
        model = load(ended.run)
        write(model, Request(range(64), str(HERE / "grid.png"), scale=3))
        walk = Interpolation(range(3 * ROWS * COLUMNS), cells=ROWS * COLUMNS)
        write_film(Frames(model, walk), Film(str(HERE / "walk.gif"), COLUMNS, scale=3))
        shutil.copy(ended.run / "losses.png", HERE / "losses.png")


if __name__ == "__main__":
    main()
