"""Prove on this machine that a killed training goes on exactly: train, kill, resume, compare.

Real processes and real `kill -9`, on random pictures and a run of a few seconds, with whatever architecture, objective and
device is asked for. What is compared is the SHA-256 of the whole state and every row of metrics.
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
_RUN = (
    f"train.images={STEPS * BATCH_SIZE}",
    f"train.batch_size={BATCH_SIZE}",
    "checkpoint.every_steps=3",
    "log.every_steps=5",
    "log.previews=4",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check has found.

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


def _say_nothing(text: str) -> None:
    """Nobody watches."""


def selfcheck(
    assignments: Sequence[str] = (),
    *,
    kills: int = 3,
    shape: tuple[int, int, int] = (1, 28, 28),
    seed: int = 0,
    tell: Callable[[str], None] = _say_nothing,
) -> Verdict:
    """Train twice, kill one of the two ``kills`` times, and compare.

    Args:
        assignments: ``section.key=value`` of the configuration that is checked, for instance ``arch.name=dcgan``.
        kills: how often to kill.
        shape: channels, height and width of the random pictures.
        seed: of the moments at which it is killed.
        tell: is called with a line about each stage.

    Raises:
        CheckpointError: a training fails by itself.
    """
    start = time.monotonic()
    with TemporaryDirectory(prefix="gancli-selfcheck-") as folder:
        command = _command(Path(folder), assignments, shape)
        runs = [RunDirectory(Path(folder) / "runs" / name) for name in ("whole", "killed")]
        tell("training without interruption")
        _train(command, runs[0])
        longest = time.monotonic() - start
        steps = _train_with_kills(command, runs[1], kills, longest, random.Random(seed), tell)  # noqa: S311  (no secret)
        tell("training to the end, and comparing")
        _train(command, runs[1])
        differences = _differences(*runs)
        digest = CheckpointStore(runs[0].checkpoints).load(names=()).state_digest
    return Verdict(not differences, len(steps), tuple(steps), digest, tuple(differences), time.monotonic() - start)


def _command(folder: Path, assignments: Sequence[str], shape: tuple[int, int, int]) -> list[str]:
    channels, height, width = shape
    size = (IMAGES, height, width) + ((channels,) if channels > 1 else ())
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    pictures = folder / "train-images-idx3-ubyte"
    pictures.write_bytes(header(size) + pixels.tobytes())
    settings = [f"data.dataset={pictures}", "runtime.deterministic=true", *assignments, *_RUN]
    options = [option for setting in settings for option in ("-s", setting)]
    return [sys.executable, "-m", "gancli", "-q", "train", "--runs-dir", str(folder / "runs"), *options]


def _arguments(command: Sequence[str], run: RunDirectory) -> list[str]:
    """Begin the run, or go on with it if there is something to go on from."""
    if CheckpointStore(run.checkpoints).latest() is None:
        return [*command, "--name", run.name]
    return [*command[: command.index("-s")], "--resume", run.name]


def _train(command: Sequence[str], run: RunDirectory) -> None:
    done = subprocess.run(_arguments(command, run), capture_output=True, text=True, check=False)  # noqa: S603  (ourselves)
    if done.returncode:
        raise CheckpointError(f"The training that is checked fails: {done.stderr.strip()}", "Correct that first.")


def _train_with_kills(
    command: Sequence[str], run: RunDirectory, kills: int, longest: float, clock: random.Random, tell: Callable[[str], None]
) -> list[int]:
    """Kill ``kills`` times, each time after another checkpoint was saved and a random while."""
    steps: list[int] = []
    store = CheckpointStore(run.checkpoints)
    for k in range(kills):
        wanted = (k + 1) * STEPS // (kills + 1)
        with subprocess.Popen(_arguments(command, run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
            deadline = time.monotonic() + 10 * longest
            while process.poll() is None and (store.latest() or 0) < wanted and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(clock.uniform(0, 0.05))
            alive = process.poll() is None
            process.kill()
        if alive:
            steps.append(store.latest() or 0)
            tell(f"killed after step {steps[-1]} was saved")
    return steps


def _differences(whole: RunDirectory, killed: RunDirectory) -> list[str]:
    try:
        first, second = (CheckpointStore(run.checkpoints).load(names=()) for run in (whole, killed))
    except GancliError as error:
        return [str(error)]
    members, others = first.manifest.files, second.manifest.files
    found = [f"{name} differs" for name in members if members[name] != others.get(name)]
    if whole.metrics_path.read_bytes() != killed.metrics_path.read_bytes():
        found.append("metrics.jsonl differs")
    return found
