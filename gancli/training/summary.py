"""The first and the last event of a run: what is about to be played, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gancli.text import distance
from gancli.training.events import RunEnded, RunStarted

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.runs import RunDirectory
    from gancli.training.setup import Game

__all__ = ["run_ended", "run_started"]


def run_started(game: Game, run: RunDirectory, notes: tuple[str, ...] = ()) -> RunStarted:
    """What is about to be played."""
    count, world = len(game.data.images.images), game.runtime.processes.world
    return RunStarted(
        run=run.path,
        dataset=f"{count:,} images {game.image}, {game.data.source}",
        arch=game.arch.name,
        parameters=game.parameters(),
        device=f"{world} x {game.runtime.device.type}" if world > 1 else str(game.runtime.device),
        precision=game.runtime.precision,
        step=game.state.step,
        steps_per_epoch=game.plan.steps_per_epoch,
        total_steps=game.plan.total_steps,
        total_seconds=game.plan.total_seconds,
        notes=(*game.notes, *notes),
        elapsed_seconds=game.state.elapsed_seconds,
    )


def run_ended(game: Game, run: RunDirectory, signal: int, preview: Path | None = None) -> RunEnded:
    """How it ended: at the end of its plan, or by a signal."""
    state = game.state
    return RunEnded(
        run=run.path,
        status="stopped" if signal else "done",
        step=state.step,
        epochs=state.step / game.plan.steps_per_epoch,
        elapsed_seconds=state.elapsed_seconds,
        checkpoint=run.checkpoints / f"step-{state.step:09d}",
        preview=preview,
        arch=game.config.arch.name,
        best="" if state.best is None else f"step {state.best.step:,}, {state.best.figure} {distance(state.best.value)}",
        signal=signal,
    )
