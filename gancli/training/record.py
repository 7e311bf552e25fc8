"""What a run is and how it ended: as the first and the last event, and as ``run.json`` for other commands."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import torch

from gancli.config.resolve import flatten
from gancli.events import RunEnded, RunStarted
from gancli.text import distance
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gancli.runs import RunDirectory
    from gancli.training.setup import Training


def run_started(training: Training, run: RunDirectory, notes: tuple[str, ...] = ()) -> RunStarted:
    """What is about to be trained."""
    images, runtime, state = training.data.images, training.runtime, training.state
    number, world = f"{len(images.images):,}", runtime.processes.world
    if images.sources is not None and len(images.sources) != len(images.images):
        number = f"{len(images.sources):,} to {number}"
    return RunStarted(
        run=run.path,
        dataset=f"{number} images {training.image}, {training.data.source}",
        arch=training.arch.name,
        parameters=training.parameters(),
        device=f"{world} x {runtime.device.type}" if world > 1 else str(runtime.device),
        precision=runtime.precision,
        step=state.step,
        epochs=training.plan.epochs,
        total_steps=training.plan.total_steps,
        notes=(*notes, *training.notes),
        elapsed_seconds=state.elapsed_seconds,
        settings=flatten(training.config),
        probabilities=training.objective.probabilities,
    )


def run_ended(
    training: Training, run: RunDirectory, signal: int, preview: Path | None = None, *, from_step: int = 0, warning: str = ""
) -> RunEnded:
    """How it ended: at the end of its plan, or by a signal."""
    state = training.state
    return RunEnded(
        run=run.path,
        status="stopped" if signal else "done",
        step=state.step,
        epochs=state.step / training.plan.steps_per_epoch,
        elapsed_seconds=state.elapsed_seconds,
        checkpoint=run.checkpoints / f"step-{state.step:09d}",
        preview=preview,
        arch=training.config.arch.name,
        best="" if state.best is None else f"step {state.best.step:,}, {state.best.figure} {distance(state.best.value)}",
        signal=signal,
        from_step=from_step,
        warning=warning,
        translates=training.config.data.dataset if training.image.source else "",
    )


def run_info(training: Training, run: RunDirectory, argv: Sequence[str], now: str) -> dict[str, Any]:
    """What stays the same in ``run.json`` during the session that ``argv`` started now."""
    facts = training.facts().model_dump(mode="json")
    before = run.info() if run.info_path.exists() else {}
    this = {"started": now, "argv": list(argv), "from_step": training.state.step}
    return {
        "name": run.name,
        "status": "running",
        "started": before.get("started", this["started"]),
        "ended": None,
        "argv": before.get("argv", this["argv"]),
        "sessions": [*before.get("sessions", []), this],
        "gancli": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "objective": training.config.objective.name,
        **{key: facts[key] for key in ("arch", "dataset", "parent", "changes")},
        "parameters": training.parameters(),
        "device": str(training.runtime.device),
        "precision": training.runtime.precision,
        "compiled": not training.uncompiled,
        "uncompiled": training.uncompiled or None,
        "captured": not training.uncaptured,
        "uncaptured": training.uncaptured or None,
        "threads": torch.get_num_threads(),
        "processes": training.runtime.processes.world,
    }
