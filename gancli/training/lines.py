"""An event as lines of text, ``key=value`` for eyes and for grep: in ``log.txt``, and where nothing can be redrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from gancli.events import (
    Alarm,
    CheckpointSaved,
    EpochEnded,
    Event,
    IntervalEnded,
    Preparing,
    PreviewWritten,
    Progress,
    RunEnded,
    RunStarted,
)
from gancli.plugin import Logger
from gancli.text import distance, duration, loss, printable, score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHORT = {"d_loss": "d", "g_loss": "g", "real_score": "real", "fake_score": "fake"}


class Lines:
    """Turns events into lines: ``epoch=3/20 step=1404 d=1.320 g=0.810 images_per_s=5123 eta=00:41``."""

    def __init__(self) -> None:
        self._epochs: int | None = None
        self._probabilities = True

    def of(self, event: Event) -> Iterator[str]:
        """The lines of ``event``: one, but more when a run starts, and none for what only metrics record."""
        match event:
            case Preparing():
                yield f"{event.what} done={event.done}{f'/{event.total}' if event.total else ''}"
            case RunStarted():
                self._epochs, self._probabilities = event.epochs, event.probabilities
                yield f"run={event.run} device={event.device} precision={event.precision}"
                yield f"data={event.dataset}"
                yield f"arch={event.arch} {' '.join(f'{name}={count}' for name, count in event.parameters.items())}"
                yield from event.notes
            case Progress():
                shown = f"{self._metrics(event.metrics)} images_per_s={event.images_per_second:.0f}"
                yield f"epoch={self._epoch(event.epoch)} step={event.step} {shown} eta={duration(event.eta_seconds)}"
            case EpochEnded():
                measured = " ".join(f"{name}={distance(value)}" for name, value in event.evaluation.items())
                shown = f"{self._metrics(event.metrics)} {measured} images_per_s={event.images_per_second:.0f}"
                time = duration(event.elapsed_seconds)
                yield f"epoch={self._epoch(event.epoch)} ended step={event.step} {shown} time={time}"
            case PreviewWritten():
                yield f"preview step={event.step} path={event.path}"
            case CheckpointSaved():
                yield f"saved step={event.step} path={event.path}"
            case Alarm():
                yield f"alarm={event.name} step={event.step} {event.message}"
            case RunEnded():
                yield f"{event.status} step={event.step} time={duration(event.elapsed_seconds)}"
            case IntervalEnded():
                pass  # progress is shown by the clock

    def _epoch(self, epoch: int) -> str:
        return str(epoch) if self._epochs is None else f"{epoch}/{self._epochs}"

    def _metrics(self, metrics: Mapping[str, float]) -> str:
        scores = ("real_score", "fake_score")
        shown = {name: score(value) if name in scores else loss(value) for name, value in metrics.items()}
        return " ".join(f"{SHORT.get(k, k)}={v}" for k, v in shown.items() if self._probabilities or k not in scores)


class Log(Logger):
    """``log.txt`` of a run: the lines of every event but progress."""

    api = 2
    summary = "log.txt in the run directory"

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lines = Lines()

    def log(self, event: Event) -> None:
        """Write the lines of ``event``, at once."""
        if not isinstance(event, Progress):
            self._file.writelines(f"{printable(line)}\n" for line in self._lines.of(event))
            self._file.flush()
