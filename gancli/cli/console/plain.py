"""Progress where nothing can be redrawn: one flushed line per event, ``key=value`` for eyes and for grep; and none at all."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self, TextIO

from gancli.cli.console.stream import Unbreakable
from gancli.events import Preparing, Progress, RunEnded
from gancli.text import printable
from gancli.training.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gancli.events import Event

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
    """One line per event, see :class:`gancli.training.lines.Lines`; of progress at most one a second.

    Args:
        stream: where to.
        clock: seconds that never go back.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = Unbreakable(stream)
        self._clock = clock
        self._shown = -INTERVAL_SECONDS
        self._lines = Lines()

    def __enter__(self) -> Self:
        self._say("loading torch")
        return self

    def __call__(self, event: Event) -> None:
        """Print the lines of ``event``; how a run ended is told by the command's own last lines."""
        if isinstance(event, RunEnded) or (isinstance(event, Progress | Preparing) and not self._is_time()):
            return
        for line in self._lines.of(event):
            self._say(line)

    def stopping(self) -> None:
        """Say so through the descriptor: in a signal handler the stream's buffer may be half written."""
        os.write(2, f"{STOPPING}\n".encode())

    def _is_time(self) -> bool:
        if self._clock() - self._shown < INTERVAL_SECONDS:
            return False
        self._shown = self._clock()
        return True

    def _say(self, text: str) -> None:
        self._stream.write(f"{printable(text)}\n")
        self._stream.flush()
