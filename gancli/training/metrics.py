"""``metrics.jsonl``: what a run measured, one JSON object per line, and the plot of it.

Rows hold nothing that depends on the clock, so that an interrupted and resumed run writes the rows of an uninterrupted one; the
seconds of each row are in ``times.jsonl`` beside it.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

from gancli.events import Alarm, EpochEnded, Event, IntervalEnded
from gancli.storage.disk import explained, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gancli.runs import RunDirectory

    Row = dict[str, Any]

NO_LOSSES = {"kind", "step", "epochs", "images_seen", "real_score", "fake_score", "augmentation"}
"""Columns of an interval that are neither losses nor penalties."""

OF_THE_MACHINE = {"storage", "logger", "plot", "preview"}
"""Alarms that say nothing about the training, and need not come again when it is repeated."""


def row_of(event: Event) -> Row | None:
    """The row of ``metrics.jsonl`` that an event is, if it is one."""
    values: Row
    match event:
        case IntervalEnded():
            kind, values = "interval", dict(event.metrics)
        case EpochEnded():
            kind, values = "epoch", {**event.metrics, **event.evaluation}
        case Alarm() if event.name not in OF_THE_MACHINE:
            kind, values = "alarm", {"alarm": event.name, "message": event.message}
        case _:
            return None
    return {"kind": kind, "step": event.step, "epochs": event.epochs_done, "images_seen": event.images_seen, **values}


def time_of(event: Event) -> Row | None:
    """The row of ``times.jsonl``: when a step was reached, in seconds of training."""
    if isinstance(event, IntervalEnded | EpochEnded):
        return {"step": event.step, "elapsed_seconds": round(event.elapsed_seconds, 3)}
    return None


def read_rows(path: Path) -> list[Row]:
    """All complete rows before the first incomplete one, such as a last line cut off by a kill."""
    rows: list[Row] = []
    with suppress(FileNotFoundError, ValueError):
        for line in path.read_bytes().splitlines():
            row = json.loads(line)
            if not isinstance(row, dict) or "step" not in row:
                break
            rows.append(row)
    return rows


def rows_with_seconds(run: RunDirectory) -> list[Row]:
    """The rows of a run with ``elapsed_seconds`` of training; of a run without ``times.jsonl``, in proportion to the steps."""
    info, times = run.info(), {row["step"]: row["elapsed_seconds"] for row in read_rows(run.times_path)}
    whole, steps = info.get("elapsed_seconds") or 0.0, max(1, info.get("step") or 1)
    rows = read_rows(run.metrics_path)
    return [{**row, "elapsed_seconds": times.get(row["step"], whole * row["step"] / steps)} for row in rows]


class MetricsLog:
    """Appends the row of each event, if it has one, flushed as it is written; a StorageError ends the training.

    Rows after ``after_step`` are dropped first: they were written after the checkpoint that is resumed.
    """

    def __init__(self, path: Path, after_step: int = 0, row: Callable[[Event], Row | None] = row_of) -> None:
        self._path, self._row = path, row
        with explained(path):
            kept = [old for old in read_rows(path) if old["step"] <= after_step]
            write_atomically(path, "".join(f"{json.dumps(old)}\n" for old in kept).encode())
            self._file = path.open("a", encoding="utf-8", newline="\n")
        self.close = self._file.close

    def log(self, event: Event) -> None:
        """Write the row of ``event``, if it has one."""
        if row := self._row(event):
            with explained(self._path):
                self._file.write(f"{json.dumps(row)}\n")
                self._file.flush()

    def sync(self) -> None:
        """Make the rows so far survive a power cut."""
        with explained(self._path):
            os.fsync(self._file.fileno())


def distance_in(row: Row) -> str:
    """Name of the distance that a row holds, such as ``fd_mnist``; empty if it holds none."""
    return next((name for name in row if name.startswith("fd_")), "")


def draw_losses(rows: Sequence[Row]) -> bytes:
    """Losses, scores of D and the distance to the data over the epochs, as far as they were measured, as PNG."""
    buffer = BytesIO()
    with matplotlib_defaults():
        from matplotlib.figure import Figure

        intervals = [row for row in rows if row["kind"] == "interval"]
        evaluated = [row for row in rows if row["kind"] == "epoch" and distance_in(row)]
        names = list(dict.fromkeys(name for row in intervals for name in row if name not in NO_LOSSES))
        figure = Figure(figsize=(8, 6), dpi=100, layout="constrained")
        losses, scores, distances = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 3))
        titles = {"d_loss": "discriminator", "g_loss": "generator", "real_score": "s(D(x))", "fake_score": "s(D(G(z)))"}
        for axes, plotted in ((losses, names), (scores, ["real_score", "fake_score", "augmentation"])):
            for name in plotted:
                points = [(row["epochs"], row[name]) for row in intervals if name in row]
                if points:
                    axes.plot(*zip(*points, strict=True), label=titles.get(name, name.replace("_", " ")), linewidth=1)
        if evaluated:
            name = distance_in(evaluated[-1])
            points = [(row["epochs"], row[name]) for row in evaluated if name in row]
            distances.plot(*zip(*points, strict=True), "o-", color="C2", markersize=3, label=name)
            if min(value for _, value in points) > 0:
                distances.set_yscale("log")
        losses.set_ylabel("loss")
        scores.set(ylabel="score", ylim=(0, 1))
        distances.set(ylabel="distance to the data", xlabel="epoch")
        for axes in (losses, scores, distances):
            axes.grid(alpha=0.3)
            if axes.lines:
                axes.legend(loc="upper right")
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def plot_losses(rows: Sequence[Row], target: Path) -> None:
    """Write :func:`draw_losses` to a file."""
    write_atomically(target, draw_losses(rows))


@contextmanager
def matplotlib_defaults() -> Iterator[None]:
    """Within the block matplotlib has its own defaults, whatever a notebook's MPLBACKEND or the user's settings are."""
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    with mpl.rc_context():
        mpl.rcdefaults()
        yield
