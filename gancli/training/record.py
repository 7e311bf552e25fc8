"""What a run is, how far it is and how it ended: as the first and the last event, and as ``run.json`` for other commands."""

from __future__ import annotations

import platform
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import torch

from gancli.config.resolve import flatten
from gancli.errors import GancliError
from gancli.events import RunEnded, RunStarted
from gancli.text import distance
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gancli.runs import RunDirectory
    from gancli.training.setup import Training


def run_started(training: Training, run: RunDirectory, notes: tuple[str, ...] = ()) -> RunStarted:
    """What is about to be trained."""
    count, runtime, state = len(training.data.images.images), training.runtime, training.state
    world = runtime.processes.world
    return RunStarted(
        run=run.path,
        dataset=f"{count:,} images {training.image}, {training.data.source}",
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


class Record:
    """Keeps the ``run.json`` of one run.

    Args:
        run: its directory.
        training: what is trained.
        argv: the command line that started this session.
    """

    def __init__(self, run: RunDirectory, training: Training, argv: Sequence[str]) -> None:
        self._run, self._training = run, training
        facts = training.facts().model_dump(mode="json")
        before = run.info() if run.info_path.exists() else {}
        this = {"started": _now(), "argv": list(argv), "from_step": training.state.step}
        self._start = {
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
            "threads": torch.get_num_threads(),
            "processes": training.runtime.processes.world,
        }

    def write(self, **changes: Any) -> None:  # noqa: ANN401  (JSON)
        """Write it down as things are now, with these changes.

        Raises:
            StorageError: it cannot be written.
        """
        state = self._training.state
        progress = {
            "step": state.step,
            "epochs": round(state.step / self._training.plan.steps_per_epoch, 3),
            "images_seen": state.images_seen,
            "elapsed_seconds": round(state.elapsed_seconds, 3),
            "best": state.counters()["best"],
        }
        self._run.write_info({**self._start, **progress, **changes})

    def end(self, status: str, **more: Any) -> None:  # noqa: ANN401  (JSON)
        """Write down how the session ended."""
        self.write(status=status, ended=_now(), **more)

    @contextmanager
    def of_failure(self) -> Iterator[None]:
        """Leave the reason of a failure in run.json, if that can still be written."""
        try:
            yield
        except GancliError as error:
            try:
                self.end("failed", error=error.as_json())
            except GancliError as second:
                error.add_note(f"run.json could not be updated: {second}")
            raise


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
