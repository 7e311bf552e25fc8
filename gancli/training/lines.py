"""An event as lines of text, ``key=value`` for eyes and for grep: in ``log.txt``, and where nothing can be redrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from gancli.events import Alarm, CheckpointSaved, EpochEnded, Event, Preparing, PreviewWritten, Progress, RunEnded, RunStarted
from gancli.text import distance, duration, loss, printable, score

if TYPE_CHECKING:
    from collections.abc import Iterator

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
                yield f"{self._so_far(event)} images_per_s={event.images_per_second:.0f} eta={duration(event.eta_seconds)}"
            case EpochEnded():
                measured = " ".join(f"{name}={distance(value)}" for name, value in event.evaluation.items())
                shown = f"{self._so_far(event)} {measured} images_per_s={event.images_per_second:.0f}"
                yield f"{shown} time={duration(event.elapsed_seconds)}"
            case PreviewWritten():
                yield f"preview step={event.step} path={event.path}"
            case CheckpointSaved():
                yield f"saved step={event.step} path={event.path}"
            case Alarm():
                yield f"alarm={event.name} step={event.step} {event.message}"
            case RunEnded():
                yield f"{event.status} step={event.step} time={duration(event.elapsed_seconds)}"

    def _so_far(self, event: Progress | EpochEnded) -> str:
        epochs = "" if self._epochs is None else f"/{self._epochs}"
        ended = " ended" if isinstance(event, EpochEnded) else ""
        scores = ("real_score", "fake_score")
        shown = {name: score(value) if name in scores else loss(value) for name, value in event.metrics.items()}
        metrics = " ".join(f"{SHORT.get(k, k)}={v}" for k, v in shown.items() if self._probabilities or k not in scores)
        return f"epoch={event.epoch}{epochs}{ended} step={event.step} {metrics}"


class Log:
    """``log.txt`` of a run: the lines of every event but progress, written at once."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._lines = file, Lines()

    def log(self, event: Event) -> None:
        """Write the lines of ``event``."""
        if not isinstance(event, Progress):
            self._file.writelines(f"{printable(line)}\n" for line in self._lines.of(event))
            self._file.flush()
