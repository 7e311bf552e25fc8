"""Prove on this machine that a killed training resumes bit-exact: train, kill, resume, compare.

Real processes and real `kill -9`, on random images and a run of a few seconds, with any architecture, objective and device.
What is compared is the SHA-256 of the whole state and every row of metrics.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from gancli.checkpoint.store import CheckpointStore
from gancli.data.arrays import header
from gancli.errors import CheckpointError
from gancli.runs import RunDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IMAGES, BATCH_SIZE, STEPS = 256, 16, 48
_SETTINGS = (
    f"train.images={STEPS * BATCH_SIZE}",
    f"train.batch_size={BATCH_SIZE}",
    "checkpoint.every_steps=3",
    "log.every_steps=5",
    "log.previews=4",
)


def selfcheck(assignments: Sequence[str], *, kills: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Train twice, kill one of the two ``kills`` times, and compare. ``report`` is called with a line about each stage.

    What is checked is a configuration by ``assignments`` of the form ``section.key=value``, such as ``arch.name=dcgan``.

    Returns:
        ``exact``, whether the killed run ended in the same bits, and if not, the ``differences``; ``kills`` while it ran, and
        the ``steps`` of the newest checkpoint after each; ``digest``, SHA-256 of the state; ``seconds`` that it took.

    Raises:
        CheckpointError: a training fails by itself.
    """
    start, steps = time.monotonic(), []
    with TemporaryDirectory(prefix="gancli-selfcheck-") as folder:
        images, runs = Path(folder) / "train-images-idx3-ubyte", Path(folder) / "runs"
        images.write_bytes(header((IMAGES, 28, 28)) + np.random.default_rng(0).bytes(IMAGES * 28 * 28))
        settings = [f"data.dataset={images}", "runtime.deterministic=true", *assignments, *_SETTINGS]
        whole, killed = RunDirectory(runs / "whole"), RunDirectory(runs / "killed")
        report("training without interruption")
        _train(whole, settings)
        for k in range(kills):
            step = _train(killed, settings, (k + 1) * STEPS // (kills + 1))
            if step is not None:
                steps.append(step)
                report(f"killed after step {step} was saved")
        report("training to the end, and comparing")
        _train(killed, settings)
        first, second = (CheckpointStore(run.checkpoints).load(names=()) for run in (whole, killed))
        files, others = first.manifest.files, second.manifest.files
        differences = [f"{name} differs" for name in files if files[name] != others.get(name)]
        if whole.metrics_path.read_bytes() != killed.metrics_path.read_bytes():
            differences.append("metrics.jsonl differs")
    return {
        "exact": not differences,
        "kills": len(steps),
        "steps": steps,
        "digest": first.state_digest,
        "differences": differences,
        "seconds": time.monotonic() - start,
    }


def _train(run: RunDirectory, settings: Sequence[str], wanted: int = 0) -> int | None:
    """Start or resume the run, and kill it soon after step ``wanted`` was saved; the newest step if it was killed."""
    store, options = CheckpointStore(run.checkpoints), ["--resume", run.name]
    if not store.steps():
        options = ["--name", run.name, *(option for setting in settings for option in ("-s", setting))]
    command = [sys.executable, "-m", "gancli", "-q", "train", "--runs-dir", str(run.path.parent), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603  (ourselves)
        while wanted and process.poll() is None and (store.latest() or 0) < wanted:
            time.sleep(0.002)
        if wanted:
            time.sleep(0.05 * wanted / STEPS)  # at other moments of a step
            alive = process.poll() is None
            process.kill()
            return store.latest() or 0 if alive else None
        _, errors = process.communicate()
    if process.returncode:
        raise CheckpointError(f"The training that is checked fails: {errors.strip()}", "Correct that first.")
    return None
