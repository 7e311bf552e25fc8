"""An event as one line of text, ``key=value`` for eyes and for grep: in ``log.txt``, and where nothing can be redrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from gancli.text import distance, duration, loss, printable, score
from gancli.training.events import Alarm, CheckpointSaved, EpochEnded, Preparing, PreviewWritten, Progress, RunEnded, RunStarted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gancli.training.events import Event

__all__ = ["Lines", "Log"]


class Lines:
    """Turns events into lines: ``epoch=3/20 step=1404 d=1.320 g=0.810 images_per_s=5123 eta=00:41``."""

    def __init__(self) -> None:
        self._epochs: int | None = None

    def of(self, event: Event) -> Iterator[str]:
        """The lines of ``event``: one, but more when a run starts."""
        match event:
            case Preparing():
                yield f"{event.what} done={event.done}{f'/{event.total}' if event.total else ''}"
            case RunStarted():
                yield from self._started(event)
            case Progress():
                yield f"epoch={self._epoch(event.epoch)} step={event.step} {_metrics(event)} eta={duration(event.eta_seconds)}"
            case EpochEnded():
                figures = f"{_metrics(event)}{_quality(event)} time={duration(event.elapsed_seconds)}"
                yield f"epoch={self._epoch(event.epoch)} ended step={event.step} {figures}"
            case PreviewWritten():
                yield f"preview step={event.step} path={event.path}"
            case CheckpointSaved():
                yield f"saved step={event.step} path={event.path}"
            case Alarm():
                yield f"alarm={event.name} step={event.step} {event.message}"
            case RunEnded():
                yield f"{event.status} step={event.step} time={duration(event.elapsed_seconds)}"

    def _started(self, event: RunStarted) -> Iterator[str]:
        if event.total_steps is not None:
            self._epochs = -(-event.total_steps // event.steps_per_epoch)
        yield f"run={event.run} device={event.device} precision={event.precision}"
        yield f"data={event.dataset}"
        yield f"arch={event.arch} {' '.join(f'{player}={count}' for player, count in event.parameters.items())}"
        yield from event.notes

    def _epoch(self, epoch: int) -> str:
        return str(epoch) if self._epochs is None else f"{epoch}/{self._epochs}"


class Log:
    """``log.txt`` of a run: the lines of every event but progress, which ``metrics.jsonl`` has."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lines = Lines()

    def __call__(self, event: Event) -> None:
        """Write the lines of ``event``, at once."""
        if not isinstance(event, Progress):
            self._file.writelines(f"{printable(line)}\n" for line in self._lines.of(event))
            self._file.flush()


def _metrics(event: Progress | EpochEnded) -> str:
    of = event.metrics.get
    scores = f" real={score(of('real_score'))} fake={score(of('fake_score'))}" if isinstance(event, EpochEnded) else ""
    return f"d={loss(of('d_loss'))} g={loss(of('g_loss'))}{scores} images_per_s={event.images_per_second:.0f}"


def _quality(event: EpochEnded) -> str:
    value = event.metrics.get(event.figure)
    return "" if value is None else f" {event.figure}={distance(value)}"
