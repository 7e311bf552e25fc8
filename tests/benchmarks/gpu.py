"""One prepared command for a machine with a GPU: `python tests/benchmarks/gpu.py`, at most eight minutes.

It checks first that a GPU computes what the CPU does (`tests/whole/test_cuda.py`), then measures, writing its table
as it goes: images per second of every installed architecture, eager and compiled, in the precision that `auto` chooses;
peak memory; the original Keras article's recipe against an idiomatic eager PyTorch program of the same networks, and how long
its 200 epochs take at that rate. `--toy --device cpu` runs all of it at toy size, which is how it is tested without a GPU.

Not in it: a CUDA graph of the whole step, which gancli does not have.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from gancli.config.resolve import resolve
from gancli.errors import GancliError
from gancli.training.setup import Training, set_up

ROOT = Path(__file__).parents[2]
EPOCHS_OF_THE_ARTICLE, STEPS_PER_EPOCH = 200, 60_000 // 128
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


def waited(device: torch.device) -> float:
    """The time, after everything that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def rate(game: Training, seconds: float) -> float:
    """Real images per second over about ``seconds``, after some steps to warm up."""
    device = game.runtime.device
    for _ in range(8):  # every kind of step
        game.step()
    begin, images = waited(device), 0
    while waited(device) - begin < seconds:
        for _ in range(8):
            game.step()
        images += 8 * game.config.train.batch_size * game.trainer.batches_per_step
    return images / (waited(device) - begin)


def made(side: int, channels: int, folder: Path) -> Path:
    """An archive of random images."""
    path = folder / f"{side}x{channels}.npz"
    if not path.exists():
        shape = (512, side, side, channels)
        np.savez(path, images=np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    return path


def measure(arch: str, data: str, device: str, *, compiled: bool, seconds: float, more: tuple[str, ...] = ()) -> str:
    """A row: images per second and peak memory, or why there are none."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    words = f"arch.name={arch}", f"data.dataset={data}", f"runtime.device={device}", f"runtime.compile={str(compiled).lower()}"
    try:
        game = set_up(resolve(assignments=[*words, "augment.mode=off", *more], environment={}).config)
        if compiled and game.uncompiled:
            return f"not compiled: {game.uncompiled}"
        found = rate(game, seconds)
    except GancliError as error:
        return str(error)
    memory = f"{torch.cuda.max_memory_allocated() / 2**20:8.0f} MiB" if device == "cuda" else ""
    return f"{found:10.0f} images/s  {game.runtime.precision}  {memory}"


def article(device: str, seconds: float, more: tuple[str, ...]) -> None:
    """The original recipe in gancli and in eager PyTorch, and its 200 epochs at that rate."""
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    from pytorch import Training

    words = [f"runtime.device={device}", *more]
    recipe = resolve(files=[ROOT / "examples" / "article.toml"], assignments=words, environment={})
    game = set_up(recipe.config)
    ours = rate(game, seconds)
    peer, real = Training(game.runtime.device), game.trainer.batches[0][0].flatten(1)
    peer.step(real)
    begin, steps = waited(game.runtime.device), 0
    while waited(game.runtime.device) - begin < seconds:
        peer.step(real)
        steps += 1
    theirs = steps * len(real) / (waited(game.runtime.device) - begin)
    print(f"the article's recipe: {ours:.0f} images/s; eager PyTorch {theirs:.0f}: {ours / theirs:.2f} times as fast")
    print(f"its {EPOCHS_OF_THE_ARTICLE} epochs: {EPOCHS_OF_THE_ARTICLE * STEPS_PER_EPOCH * 128 / ours:.0f} s", flush=True)


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
    code = 0
    if not told.toy:
        tests = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests" / "whole" / "test_cuda.py")]
        code = subprocess.run(tests, check=False).returncode
    seconds, more = (0.1, ("train.batch_size=8",)) if told.toy else (8.0, ())
    article(told.device, seconds, () if not told.toy else ("train.batch_size=128",))
    with tempfile.TemporaryDirectory() as folder:
        for arch, side, channels in CASES[:3] if told.toy else CASES:
            for compiled in (False,) if told.toy else (False, True):
                data = str(made(side, channels, Path(folder)))
                row = measure(arch, data, told.device, compiled=compiled, seconds=seconds, more=more)
                print(f"{arch:8} {channels}x{side}x{side:<4} {'compiled' if compiled else 'eager':9} {row}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
