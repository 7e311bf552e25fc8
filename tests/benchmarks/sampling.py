"""Drawing in bulk: `python tests/benchmarks/sampling.py [--images 100000] [--threads 2]`.

- `gancli sample -n 100000 -o images.npz`, and -o into a folder of PNG files, from the moment that the model is loaded, against
  the generator alone: a loop over batches of the same size, of latents by `torch.randn`, whose images are thrown away. Same
  process, same threads, in turn. Target: 70 % of its rate for the archive.
- the cores that are busy while a folder is written: processor time by wall time.
- the peak memory of whole `gancli sample` processes, of 10,000 images and of 100,000. Target: the same.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from interleave import Spread, gancli, in_turn, ratio, show, taken
from report import Row, conclude

from gancli.config.resolve import resolve
from gancli.models.loading import load
from gancli.models.model import BATCH_SIZE, Model
from gancli.sampling.sample import Request, write
from gancli.training.run import train

ROUNDS = 5
PER_FILE = 20
"""Fewer PNG files than images in an archive, since each takes that much longer, and a round should be short."""
FLAT = 1.05


def read_arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


@torch.no_grad()
def bare(model: Model, n: int) -> None:
    """What cannot be left out."""
    for start in range(0, n, BATCH_SIZE):
        model.generator(torch.randn(min(BATCH_SIZE, n - start), model.latent_dim))


def rates(model: Model, n: int, place: Path) -> list[Row]:
    """Archive and folder against the generator alone."""
    files, cores = max(1, n // PER_FILE), []

    def archive() -> float:
        return taken(lambda: write(model, Request(range(n), str(place / "images.npz")))) / n

    def folder() -> float:
        target, busy, start = place / "images", time.process_time(), time.perf_counter()
        write(model, Request(range(files), f"{target}/"))
        seconds = time.perf_counter() - start
        cores.append((time.process_time() - busy) / seconds)
        shutil.rmtree(target)
        return seconds / files

    works = {"generator": lambda: taken(partial(bare, model, n)) / n, "archive": archive, "folder": folder}
    in_turn(works, 1)
    cores.clear()
    times = in_turn(works, ROUNDS)
    show(times, "generator")
    per_second = {name: Spread.of(1 / seconds for seconds in values) for name, values in times.items()}
    print("per second:", ", ".join(f"{name} {rate.median:,.0f}" for name, rate in per_second.items()))
    share = ratio(times, "generator", "archive")
    count = len(os.sched_getaffinity(0))
    return [
        Row.of(f"`gancli sample -n {n} -o images.npz`, against the generator in a loop: its rate", share, ".0%", at_least=0.7),
        Row.of("images per second into a folder of PNG files", per_second["folder"], ",.0f"),
        Row.of(f"cores at work meanwhile, of {count}", Spread.of(cores), ".2f", at_least=0.8 * count),
    ]


def memory(run: Path, n: int, place: Path) -> list[Row]:
    """Of few and of many images."""
    peaks = {}
    for count in (n // 10, n):
        for kind, target in (("archive", f"{place}/images.npz"), ("folder", f"{place}/images/")):
            number = count if kind == "archive" else count // PER_FILE
            command = [gancli(), "-q", "sample", "-n", str(number), "--run", str(run), "--force", "-o", target]
            peaks[kind, count] = peak(command) / 2**20
            print(f"{kind:8} of {number:7,}: peak of {peaks[kind, count]:,.0f} MiB")
    growth = max(peaks[kind, n] / peaks[kind, n // 10] for kind in ("archive", "folder"))
    what = f"peak memory of {n:,} images against {n // 10:,}"
    return [Row(what, f"{growth:.2f}", f"at most {FLAT}", growth <= FLAT)]


def peak(command: list[str]) -> int:
    """Most memory that a process held, in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}.")
    return usage.ru_maxrss * 1024


def main(asked: argparse.Namespace) -> list[Row]:
    """Of the default model with fresh weights: the time does not depend on what was learnt."""
    torch.set_num_threads(asked.threads)
    os.environ["OMP_NUM_THREADS"] = str(asked.threads)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        config = resolve(flags={"train.images": 128, "train.epochs": None}, environment={}).config
        run = train(config, runs_dir=place / "runs").run
        return [*rates(load(run), asked.images, place), *memory(run, asked.images, place)]


if __name__ == "__main__":
    conclude(main(read_arguments()))
