"""What a person sees while a training runs: the events of :mod:`gancli.events`, on stderr.

    console_for(stream)  ->  LiveConsole    a terminal: a growing table, a bar, the newest preview
                             PlainConsole   a pipe, a file, a dumb terminal: one line per event, nothing redrawn
                             QuietConsole   -q

A console is a context manager and is called with every event. It shows a first sign of life when it is entered, and what
is printed after it was left comes out clean. It never ends a training: a terminal that goes away only silences it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, TextIO, cast

from gancli.cli.console.plain import PlainConsole, QuietConsole
from gancli.cli.console.stream import Unbreakable, is_live

if TYPE_CHECKING:
    from types import TracebackType

    from gancli.events import Event

__all__ = ["Console", "PlainConsole", "QuietConsole", "console_for"]


class Console(Protocol):
    """The behaviour that all three share."""

    def __enter__(self) -> Self:
        """Show a first sign of life."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the terminal in order."""
        ...

    def __call__(self, event: Event) -> None:
        """Show one event."""
        ...

    def stopping(self) -> None:
        """Say that the training is about to stop. Safe in a signal handler."""
        ...

    def abandon(self) -> None:
        """Leave the terminal in order although the process ends at once. Safe in a signal handler."""
        ...


def console_for(stream: TextIO, *, quiet: bool = False, color: bool = True) -> Console:
    """The console that suits ``stream``; Rich is imported only for a terminal."""
    if quiet:
        return QuietConsole()
    if not is_live(stream):
        return PlainConsole(stream)
    import rich.console

    from gancli.cli.console.live import LiveConsole

    return LiveConsole(
        rich.console.Console(file=cast("TextIO", Unbreakable(stream)), no_color=not color or None, highlight=False)
    )
