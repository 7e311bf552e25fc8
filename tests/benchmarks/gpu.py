"""One prepared command for a machine with a GPU: `python tests/benchmarks/gpu.py`, at most eight minutes.

It checks first that a GPU computes what the CPU does (`tests/whole/test_cuda.py`), then measures, writing its table
as it goes: the original Keras article's recipe, eager and captured in CUDA graphs, against an idiomatic eager PyTorch program
of the same networks and against the matrix products of a step alone, and how long its 200 epochs take; images per second, TFLOP
per second and peak memory of every installed architecture, eager, captured, compiled, and both, in the precision that `auto`
chooses. After seven minutes no further row begins.

`--toy --device cpu` runs all of it but compiling at toy size, with recordings of CPU operations in place of graphs
(`tests/stand_in.py`): that is how it is tested without a GPU.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from gancli.config.resolve import resolve
from gancli.errors import GancliError
from gancli.runtime.graphs import GRAPHS
from gancli.training.run import train
from gancli.training.setup import Training, set_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).parents[2]
EPOCHS_OF_THE_ARTICLE, STEPS_PER_EPOCH = 200, 60_000 // 128
MINUTES = 7
MODES = {
    "eager": ("runtime.compile=false", "runtime.cuda_graph=off"),
    "captured": ("runtime.compile=false", "runtime.cuda_graph=on"),
    "compiled": ("runtime.compile=true", "runtime.cuda_graph=off"),
    "both": ("runtime.compile=true", "runtime.cuda_graph=on"),
}
CASES = (
    ("dense", 28, 1),
    ("dcgan", 28, 1),
    ("dcgan", 64, 3),
    ("dcgan", 128, 3),
    ("resnet", 64, 3),
    ("resnet", 128, 3),
    ("style", 64, 3),
    ("style", 128, 3),
)
"""Architecture, side in pixels, channels."""

WARM_UP = 8
"""Steps that have one of every kind in them; a captured step is fast from its third time on."""


def waited(device: torch.device) -> float:
    """The time, after everything that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def rate(game: Training, seconds: float) -> float:
    """Real images per second over about ``seconds``, after some steps to warm up."""
    for _ in range(3 * WARM_UP):
        game.step()
    return repeated(game.step, game.runtime.device, seconds) * game.config.train.batch_size * game.trainer.batches_per_step


def repeated(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """How often per second ``work`` is done."""
    begin, times = waited(device), 0
    while waited(device) - begin < seconds:
        for _ in range(WARM_UP):
            work()
        times += WARM_UP
    return times / (waited(device) - begin)


def made(side: int, channels: int, folder: Path) -> Path:
    """An archive of random images."""
    path = folder / f"{side}x{channels}.npz"
    if not path.exists():
        shape = (512, side, side, channels)
        np.savez(path, images=np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    return path


def prepared(mode: str, words: Iterable[str], files: Iterable[Path] = ()) -> Training:
    """A training in that mode; a GancliError says why it is not."""
    game = set_up(resolve(files=[*files], assignments=[*MODES[mode], *words], environment={}).config)
    wanted = {"captured": game.uncaptured, "compiled": game.uncompiled, "both": game.uncaptured or game.uncompiled}
    if wanted.get(mode):
        raise GancliError(f"not {mode}: {wanted[mode]}")
    return game


def measure(arch: str, data: str, device: str, *, mode: str, seconds: float, more: tuple[str, ...] = ()) -> str:
    """A row: images per second, TFLOP per second and peak memory, or why there are none."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    words = f"arch.name={arch}", f"data.dataset={data}", f"runtime.device={device}"
    try:
        game = prepared(mode, [*words, "augment.mode=off", *more])
        found = rate(game, seconds)
        memory = f"{torch.cuda.max_memory_allocated() / 2**20:8.0f} MiB" if device == "cuda" else ""
        if mode != "eager":
            return f"{found:10.0f} images/s  {game.runtime.precision}  {memory}"
        with FlopCounterMode(display=False) as counter:
            for _ in range(WARM_UP):
                game.step()
    except GancliError as error:
        return str(error)
    flop = counter.get_total_flops() / WARM_UP / (game.config.train.batch_size * game.trainer.batches_per_step)
    return f"{found:10.0f} images/s  {game.runtime.precision}  {memory}  {flop * found / 1e12:.3g} TFLOP/s"


def article(device: str, seconds: float, folder: Path, *, toy: bool) -> None:
    """The original recipe in gancli and in eager PyTorch, the products of its step alone, and its 200 epochs."""
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    import products
    from pytorch import Training

    recipe = [ROOT / "examples" / "article.toml"]
    here = f"runtime.device={device}"
    games = {mode: prepared(mode, [here], recipe) for mode in ("eager", "captured")}
    game = games["captured"]
    ours = {mode: rate(each, seconds) for mode, each in games.items()}
    peer, real = Training(game.runtime.device), game.trainer.batches[0][0].flatten(1)
    peer.step(real)
    theirs = repeated(lambda: peer.step(real), game.runtime.device, seconds) * len(real)
    dtype = torch.bfloat16 if game.runtime.bf16 else torch.float32
    works = [products.prepare(product, dtype, game.runtime.device) for product in products.products(len(real))]
    graphs = GRAPHS[device](game.runtime.device)
    graphs.warm_up(lambda: [work() for work in works])
    alone = repeated(graphs.record(lambda: [work() for work in works])[1], game.runtime.device, seconds) * len(real)
    print(f"the article's recipe, images/s: eager PyTorch {theirs:.0f}, products alone {alone:.0f}")
    for mode, found in ours.items():
        epochs = EPOCHS_OF_THE_ARTICLE * STEPS_PER_EPOCH * 128 / found
        shown = f"{found / theirs:.2f} times eager PyTorch, {found / alone:.0%} of the products, {EPOCHS_OF_THE_ARTICLE} epochs"
        print(f"  {mode:9} {found:.0f}: {shown} {epochs:.0f} s", flush=True)
    length = "train.images=512" if toy else "train.epochs=20"
    config = resolve(files=recipe, assignments=[*MODES["captured"], here, length], environment={}).config
    ended = train(config, runs_dir=folder, name="article")
    print(f"  gancli train, previews, evaluations and saving included: {ended.epochs:.3g} epochs {ended.elapsed_seconds:.1f} s")


def main(words: list[str]) -> int:
    """Everything, in order; the exit code of the correctness tests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--toy", action="store_true", help="a tenth of a second each, small networks, the first cases only")
    told = parser.parse_args(words)
    if told.device == "cuda" and not torch.cuda.is_available():
        print("There is no CUDA device. Try it with --toy --device cpu.", file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name() if told.device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}", flush=True)
    code, begin = 0, time.perf_counter()
    if not told.toy:
        tests = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests" / "whole" / "test_cuda.py")]
        code = subprocess.run(tests, check=False).returncode
    if told.device == "cpu":
        sys.path.insert(0, str(ROOT / "tests"))
        GRAPHS["cpu"] = importlib.import_module("stand_in").Recordings
    seconds, more = (0.1, ("train.batch_size=8",)) if told.toy else (4.0, ())
    cases, modes = (CASES[:2], ("eager", "captured")) if told.toy else (CASES, tuple(MODES))
    with tempfile.TemporaryDirectory() as folder:
        article(told.device, seconds, Path(folder), toy=told.toy)
        for mode, (arch, side, channels) in itertools.product(modes, cases):
            row = "left out, for want of time"
            if time.perf_counter() - begin < 60 * MINUTES:
                data = str(made(side, channels, Path(folder)))
                row = measure(arch, data, told.device, mode=mode, seconds=seconds, more=more)
            print(f"{arch:8} {channels}x{side}x{side:<4} {mode:9} {row}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
