"""What it costs to start: `python tests/benchmarks/startup.py`.

Targets: `gancli --help` at most 3 times a bare interpreter, `gancli sample -n 64` at most 1.35 times `import torch`,
and from an ONNX file at most 0.6 times; the first row of the live table within 5 seconds of `gancli train --dataset mnist`.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from interleave import Spread, compare, gancli, ratio
from report import Row, conclude

from gancli.config.resolve import resolve
from gancli.exporting.formats import choose, export
from gancli.models.loading import load
from gancli.training.run import train

BARE, IMPORT = "python -c pass", "python -c 'import torch'"
SAMPLE, ONNX = "sample -n 64", "the same from .onnx"
FIRST_ROW = re.compile(rb"\b1/\d+ +\d+ +\d")
"""Epoch, step and the first loss."""


def help_and_listings() -> list[Row]:
    """Commands that need no torch."""
    commands = ("--help", "--version", "train -h", "runs list", "arch list")
    times = compare({BARE: [sys.executable, "-c", "pass"], **{c: [gancli(), *c.split()] for c in commands}}, rounds=20)
    return [Row.of(f"`gancli --help` against `{BARE}`: times as long", ratio(times, "--help", BARE), ".2f", at_most=3)]


def sampling() -> list[Row]:
    """From the command to 64 images of the default model, against importing torch."""
    with TemporaryDirectory() as folder:
        config = resolve(flags={"train.images": 128, "train.epochs": None}, environment={}).config
        run = train(config, runs_dir=Path(folder) / "runs").run
        target = str(Path(folder) / "grid.png")
        exported = Path(folder) / "generator.onnx"
        export(load(run), exported, choose(exported))
        sample = [gancli(), "-q", "sample", "-n", "64", "--force", "-o", target]
        commands = {
            IMPORT: [sys.executable, "-c", "import torch"],
            SAMPLE: [*sample, "--run", str(run)],
            ONNX: [*sample, "--checkpoint", exported],
        }
        times = compare(commands, rounds=10)
    what = f"`gancli {SAMPLE}` against `{IMPORT}`: times as long"
    return [
        Row.of(what, ratio(times, SAMPLE, IMPORT), ".2f", at_most=1.35),
        Row.of("the same from an `.onnx` file", ratio(times, ONNX, IMPORT), ".2f", at_most=0.6),
    ]


def training() -> list[Row]:
    """From the command to the first row of the live table, which is drawn on a terminal of 100 columns."""
    with TemporaryDirectory() as folder:
        command = [gancli(), "train", "--dataset", "mnist", "--runs-dir", folder]
        seconds = Spread.of([until_first_row(command) for _ in range(6)][1:])  # the first warms the caches
    print(f"first row of the table: {seconds:.2f} seconds")
    return [Row.of("`gancli train --dataset mnist` to the first row of the table, seconds", seconds, ".1f", at_most=5)]


def until_first_row(command: list[str]) -> float:
    """Seconds; the training is then killed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while not FIRST_ROW.search(shown):
            shown += os.read(ours, 4096)  # raises OSError if the training ends without a row
        return time.perf_counter() - start
    finally:
        process.kill()
        process.wait()
        os.close(ours)


if __name__ == "__main__":
    os.environ["COLUMNS"] = "80"
    conclude([*help_and_listings(), *sampling(), *training()])
