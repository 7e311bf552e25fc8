"""What a person sees while a command works: on stderr, and never a reason for a training to end.

Counter        one line that counts, on a terminal; nothing anywhere else
LiveConsole    a training on a terminal: a growing table, a bar, the newest preview (see ``live``)
PlainConsole   a training in a pipe, a file, a dumb terminal: one line per event, nothing redrawn
Console        -q: nothing
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self, TextIO, cast

from gancli.events import Event, Preparing, Progress, RunEnded
from gancli.text import printable
from gancli.training.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Callable


STOPPING = "finishing the step, then saving; once more to leave at once"
# where nothing is redrawn, progress is shown at most this often; whatever else happens is shown always
PLAIN_SECONDS = 1.0
COUNTER_SECONDS = 0.25
_ERASE = "\r\x1b[K"


def is_live(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal on which lines can be redrawn."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Unbreakable:
    """Writes through to ``stream`` until that fails, then to nowhere: a closed pipe or terminal must not end a training."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._broken = stream, False
        self.encoding, self.fileno = stream.encoding, stream.fileno

    def write(self, text: str) -> int:
        """Write ``text`` if anybody is there."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush if anybody is there."""
        self._attempt(self._stream.flush)

    def isatty(self) -> bool:
        """Whether the stream behind is a terminal."""
        return not self._broken and self._stream.isatty()

    def _attempt(self, operation: Callable[[], object]) -> None:
        if not self._broken:
            try:
                operation()
            except (OSError, ValueError):  # ValueError: the stream was closed
                self._broken = True


class Counter:
    """Called with (done, total), shows both, at most four times a second; the line is erased at the end."""

    def __init__(self, stream: TextIO, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._shows = Unbreakable(stream), is_live(stream) and not quiet
        self._clock, self._shown = clock, clock()

    def __enter__(self) -> Self:
        self._show("loading torch")
        return self

    def __exit__(self, *_: object) -> None:
        self._show("")

    def __call__(self, done: int, total: int) -> None:
        """Show how far it is."""
        if self._clock() - self._shown >= COUNTER_SECONDS:
            self._shown = self._clock()
            self._show(f"{done:,} of {total:,}")

    def _show(self, text: str) -> None:
        if self._shows:
            self._stream.write(f"{_ERASE}{text}")
            self._stream.flush()


class Console:
    """Shows nothing. Within its block it is called with every event; the two methods are safe in a signal handler."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal in order."""

    def __call__(self, event: Event) -> None:
        """Show one event."""

    def stopping(self) -> None:
        """Say that the training is about to stop."""

    def abandon(self) -> None:
        """Leave the terminal in order although the process ends at once."""


class PlainConsole(Console):
    """One line per event, see :class:`gancli.training.lines.Lines`; of progress at most one a second."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._lines = Unbreakable(stream), Lines()
        self._clock, self._shown = clock, -PLAIN_SECONDS

    def __enter__(self) -> Self:
        self._say("loading torch")
        return self

    def __call__(self, event: Event) -> None:
        """Print the lines of ``event``."""
        if isinstance(event, RunEnded):  # which the command's own last lines say
            return
        if isinstance(event, Progress | Preparing):
            if self._clock() - self._shown < PLAIN_SECONDS:
                return
            self._shown = self._clock()
        for line in self._lines.of(event):
            self._say(line)

    def stopping(self) -> None:
        """Through the descriptor: in a signal handler the stream's buffer may be half written."""
        os.write(2, f"{STOPPING}\n".encode())

    def _say(self, text: str) -> None:
        self._stream.write(f"{printable(text)}\n")
        self._stream.flush()


def console_for(stream: TextIO, *, quiet: bool = False, color: bool = True) -> Console:
    """The console that suits ``stream``; Rich is imported only for a terminal."""
    if quiet:
        return Console()
    if not is_live(stream):
        return PlainConsole(stream)
    import rich.console

    from gancli.cli.live import LiveConsole

    file = cast("TextIO", Unbreakable(stream))
    return LiveConsole(rich.console.Console(file=file, no_color=not color or None, highlight=False))
