"""One line that counts, on a terminal; nothing anywhere else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, TextIO

from gancli.cli.console.stream import Unbreakable, is_live

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Counter"]

INTERVAL_SECONDS = 0.25
_ERASE = "\r\x1b[K"


class Counter:
    """Called with (done, total), shows both; the line is erased at the end.

    Args:
        stream: where to.
        quiet: show nothing.
        clock: seconds that never go back.
    """

    def __init__(self, stream: TextIO, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = Unbreakable(stream)
        self._shows = is_live(stream) and not quiet
        self._clock = clock
        self._shown = clock()

    def __enter__(self) -> Self:
        self._show("loading torch")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave an empty line."""
        self._show("")

    def __call__(self, done: int, total: int) -> None:
        """Show how far it is, at most four times a second."""
        if self._clock() - self._shown >= INTERVAL_SECONDS:
            self._shown = self._clock()
            self._show(f"{done:,} of {total:,}")

    def _show(self, text: str) -> None:
        if self._shows:
            self._stream.write(f"{_ERASE}{text}")
            self._stream.flush()
