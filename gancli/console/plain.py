"""Progress where nothing can be redrawn: one flushed line per event, ``key=value`` for eyes and for grep; and none at all."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self, TextIO

from gancli.console.stream import Unbreakable
from gancli.console.text import duration, loss, printable, score
from gancli.training.events import Alarm, CheckpointSaved, EpochEnded, PreviewWritten, Progress, RunEnded, RunStarted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gancli.training.events import Event

__all__ = ["STOPPING", "PlainConsole", "QuietConsole"]

STOPPING = "finishing the step, then saving; once more to leave at once"
INTERVAL_SECONDS = 1.0
"""Progress is shown at most this often; whatever else happens is shown always."""


class QuietConsole:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing was changed."""

    def __call__(self, event: Event) -> None:
        """Nothing to show."""

    def stopping(self) -> None:
        """Nothing to say."""

    def abandon(self) -> None:
        """Nothing was changed."""


class PlainConsole(QuietConsole):
    """One line per event: ``epoch=3/20 step=1404 d=1.320 g=0.810 images_per_s=5123 eta=00:41``.

    Args:
        stream: where to.
        clock: seconds that never go back.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = Unbreakable(stream)
        self._clock = clock
        self._shown = -INTERVAL_SECONDS
        self._epochs: int | None = None

    def __enter__(self) -> Self:
        self._say("loading torch")
        return self

    def __call__(self, event: Event) -> None:
        """Print the line of ``event``."""
        match event:
            case RunStarted():
                self._started(event)
            case Progress():
                self._progress(event)
            case EpochEnded():
                time_taken = duration(event.elapsed_seconds)
                self._say(f"epoch={self._epoch(event.epoch)} ended step={event.step} {_metrics(event)} time={time_taken}")
            case PreviewWritten():
                self._say(f"preview step={event.step} path={event.path}")
            case CheckpointSaved():
                self._say(f"saved step={event.step} path={event.path}")
            case Alarm():
                self._say(f"alarm={event.name} step={event.step} {event.message}")
            case RunEnded():
                pass  # the command's own last lines tell it

    def stopping(self) -> None:
        """Say so through the descriptor: in a signal handler the stream's buffer may be half written."""
        os.write(2, f"{STOPPING}\n".encode())

    def _started(self, event: RunStarted) -> None:
        if event.total_steps is not None:
            self._epochs = -(-event.total_steps // event.steps_per_epoch)
        self._say(f"run={event.run} device={event.device} precision={event.precision}")
        self._say(f"data={event.dataset}")
        parameters = " ".join(f"{player}={count}" for player, count in event.parameters.items())
        self._say(f"arch={event.arch} {parameters}")
        for note in event.notes:
            self._say(note)

    def _progress(self, event: Progress) -> None:
        if self._clock() - self._shown < INTERVAL_SECONDS:
            return
        self._shown = self._clock()
        self._say(f"epoch={self._epoch(event.epoch)} step={event.step} {_metrics(event)} eta={duration(event.eta_seconds)}")

    def _epoch(self, epoch: int) -> str:
        return str(epoch) if self._epochs is None else f"{epoch}/{self._epochs}"

    def _say(self, text: str) -> None:
        self._stream.write(f"{printable(text)}\n")
        self._stream.flush()


def _metrics(event: Progress | EpochEnded) -> str:
    of = event.metrics.get
    scores = f" real={score(of('real_score'))} fake={score(of('fake_score'))}" if isinstance(event, EpochEnded) else ""
    return f"d={loss(of('d_loss'))} g={loss(of('g_loss'))}{scores} images_per_s={event.images_per_second:.0f}"
