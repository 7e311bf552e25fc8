"""Prove on this machine that a killed training resumes bit-exact: train, kill, resume, compare.

Real processes and real `kill -9`, on random images and a run of a few seconds, with any architecture, objective and device.
What is compared is the SHA-256 of the whole state and every row of metrics.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from gancli.checkpoint.store import CheckpointStore
from gancli.data.arrays import header
from gancli.errors import CheckpointError, GancliError
from gancli.runs import RunDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Verdict", "selfcheck"]

IMAGES, BATCH_SIZE, STEPS = 256, 16, 48
_SETTINGS = (
    f"train.images={STEPS * BATCH_SIZE}",
    f"train.batch_size={BATCH_SIZE}",
    "checkpoint.every_steps=3",
    "log.every_steps=5",
    "log.previews=4",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of the check.

    Attributes:
        exact: whether the killed run ended in the same bits as the one that never stopped.
        kills: how often it was killed while it ran.
        steps: the step of the newest checkpoint after each kill.
        digest: SHA-256 of the state of the run that never stopped.
        differences: what differs; empty if nothing does.
        seconds: how long the check took.
    """

    exact: bool
    kills: int
    steps: tuple[int, ...]
    digest: str
    differences: tuple[str, ...]
    seconds: float


def selfcheck(
    assignments: Sequence[str] = (),
    *,
    kills: int = 3,
    shape: tuple[int, int, int] = (1, 28, 28),
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Train twice, kill one of the two ``kills`` times, and compare.

    Args:
        assignments: ``section.key=value`` of the configuration that is checked, for instance ``arch.name=dcgan``.
        kills: how often to kill.
        shape: channels, height and width of the random images.
        seed: of the moments at which it is killed.
        report: called with a line about each stage.

    Raises:
        CheckpointError: a training fails by itself.
    """
    start = time.monotonic()
    with TemporaryDirectory(prefix="gancli-selfcheck-") as folder:
        command = _command(Path(folder), assignments, shape)
        whole, killed = (RunDirectory(Path(folder) / "runs" / name) for name in ("whole", "killed"))
        report("training without interruption")
        _train(command, whole)
        longest = time.monotonic() - start
        steps, clock = [], random.Random(seed)  # noqa: S311  (no secret)
        for k in range(kills):
            wanted, deadline = (k + 1) * STEPS // (kills + 1), time.monotonic() + 10 * longest
            step = _train_and_kill(command, killed, wanted, deadline=deadline, pause=clock.uniform(0, 0.05))
            if step is not None:
                steps.append(step)
                report(f"killed after step {step} was saved")
        report("training to the end, and comparing")
        _train(command, killed)
        differences = _differences(whole, killed)
        digest = CheckpointStore(whole.checkpoints).load(names=()).state_digest
    return Verdict(not differences, len(steps), tuple(steps), digest, tuple(differences), time.monotonic() - start)


def _command(folder: Path, assignments: Sequence[str], shape: tuple[int, int, int]) -> list[str]:
    channels, height, width = shape
    size = (IMAGES, height, width) + ((channels,) if channels > 1 else ())
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    images = folder / "train-images-idx3-ubyte"
    images.write_bytes(header(size) + pixels.tobytes())
    settings = [f"data.dataset={images}", "runtime.deterministic=true", *assignments, *_SETTINGS]
    options = [option for setting in settings for option in ("-s", setting)]
    return [sys.executable, "-m", "gancli", "-q", "train", "--runs-dir", str(folder / "runs"), *options]


def _arguments(command: Sequence[str], run: RunDirectory) -> list[str]:
    """Start the run, or resume it from its newest checkpoint."""
    if CheckpointStore(run.checkpoints).latest() is None:
        return [*command, "--name", run.name]
    return [*command[: command.index("-s")], "--resume", run.name]


def _train(command: Sequence[str], run: RunDirectory) -> None:
    done = subprocess.run(_arguments(command, run), capture_output=True, text=True, check=False)  # noqa: S603  (ourselves)
    if done.returncode:
        raise CheckpointError(f"The training that is checked fails: {done.stderr.strip()}", "Correct that first.")


def _train_and_kill(command: Sequence[str], run: RunDirectory, wanted: int, *, deadline: float, pause: float) -> int | None:
    """Kill it ``pause`` seconds after step ``wanted`` was saved. Returns the newest step, or None if it had ended before."""
    store = CheckpointStore(run.checkpoints)
    with subprocess.Popen(_arguments(command, run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603  (ourselves)
        while process.poll() is None and (store.latest() or 0) < wanted and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(pause)
        alive = process.poll() is None
        process.kill()
    return store.latest() or 0 if alive else None


def _differences(whole: RunDirectory, killed: RunDirectory) -> list[str]:
    try:
        first, second = (CheckpointStore(run.checkpoints).load(names=()).manifest.files for run in (whole, killed))
    except GancliError as error:
        return [str(error)]
    found = [f"{name} differs" for name in first if first[name] != second.get(name)]
    if whole.metrics_path.read_bytes() != killed.metrics_path.read_bytes():
        found.append("metrics.jsonl differs")
    return found
