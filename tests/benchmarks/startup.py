"""What it costs to start: `python tests/benchmarks/startup.py`.

Targets: `gancli --help` at most 3 times a bare interpreter, `gancli sample -n 64` at most 1.35 times `import torch`,
and from an ONNX file at most 0.6 times.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from interleave import compare, gancli

from gancli.export.formats import FORMATS, Options, export
from gancli.generation.loading import load
from gancli.settings import resolve
from gancli.training.run import train


def help_and_listings() -> None:
    """Commands that need no torch."""
    bare = {"python -c pass": [sys.executable, "-c", "pass"]}
    commands = ("--help", "--version", "train -h", "runs list", "arch list")
    compare(bare | {f"gancli {c}": [gancli(), *c.split()] for c in commands}, rounds=20)


def sampling() -> None:
    """From the command to 64 pictures of the default model, against importing torch."""
    with TemporaryDirectory() as folder:
        config = resolve(flags={"train.images": 128, "train.epochs": None}, environment={}).config
        run = train(config, runs_dir=Path(folder) / "runs").run
        target = str(Path(folder) / "grid.png")
        exported = str(Path(folder) / "generator.onnx")
        export(load(run), Path(exported), FORMATS[".onnx"], Options())
        sample = [gancli(), "-q", "sample", "-n", "64", "--force", "-o", target]
        commands = {
            "python -c 'import torch'": [sys.executable, "-c", "import torch"],
            "gancli sample -n 64": [*sample, "--run", str(run)],
            "the same, --checkpoint *.onnx": [*sample, "--checkpoint", exported],
        }
        compare(commands, rounds=10)


if __name__ == "__main__":
    os.environ["COLUMNS"] = "80"
    help_and_listings()
    sampling()
