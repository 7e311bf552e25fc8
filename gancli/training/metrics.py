"""``metrics.jsonl``: what a run measured, one JSON object per line, and the plot of it.

Every row has ``kind`` (``interval``, ``epoch`` or ``alarm``), ``step``, ``epoch`` and ``images_seen``. Rows hold nothing that
depends on the clock, so that an interrupted and resumed run writes the rows of an uninterrupted one.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

from gancli.storage.disk import explain, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from gancli.errors import StorageError

__all__ = ["MetricsLog", "plot_losses", "read_rows"]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All complete rows; a last line that a kill cut off is left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


class MetricsLog:
    """Appends rows, each flushed as it is written.

    Args:
        path: the file.
        after_step: rows of later steps are dropped first: they were written after the checkpoint that is gone on from.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, path: Path, after_step: int = 0) -> None:
        self._path = path
        try:
            kept = [row for row in read_rows(path) if row["step"] <= after_step]
            write_atomically(path, "".join(_line(row) for row in kept).encode())
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise explain(error, path) from error

    def append(self, row: dict[str, Any]) -> None:
        """Write one row."""
        try:
            self._file.write(_line(row))
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def sync(self) -> None:
        """Make the rows so far survive a power cut."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> StorageError:
        return explain(error, self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"


def plot_losses(rows: list[dict[str, Any]], target: Path) -> None:
    """Both losses and both scores over the epochs, as PNG."""
    buffer = BytesIO()
    with matplotlib_defaults():
        from matplotlib.figure import Figure

        intervals = [row for row in rows if row["kind"] == "interval"]
        figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
        losses, scores = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        epochs = [row["epochs"] for row in intervals]
        for axes, key, label in (
            (losses, "d_loss", "discriminator"),
            (losses, "g_loss", "generator"),
            (scores, "real_score", "D(x)"),
            (scores, "fake_score", "D(G(z))"),
        ):
            axes.plot(epochs, [row[key] for row in intervals], label=label, linewidth=1)
        losses.set_ylabel("loss")
        scores.set(ylabel="score", xlabel="epoch", ylim=(0, 1))
        for axes in (losses, scores):
            axes.legend(loc="upper right")
            axes.grid(alpha=0.3)
        figure.savefig(buffer, format="png")
    write_atomically(target, buffer.getvalue())


@contextmanager
def matplotlib_defaults() -> Iterator[None]:
    """Within the block matplotlib has its own defaults, whatever a notebook's backend or the user's settings are.

    The backend of ``MPLBACKEND`` is looked up when matplotlib is imported, and may be of another environment.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    with mpl.rc_context():
        mpl.rcdefaults()
        yield
