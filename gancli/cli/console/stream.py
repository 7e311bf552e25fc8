"""Text streams: whether lines can be redrawn on one, and one whose reader may go away."""

from __future__ import annotations

import os
from typing import TextIO

__all__ = ["Unbreakable", "is_live"]


def is_live(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal on which lines can be redrawn."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Unbreakable:
    """Writes through to ``stream`` until that fails, then to nowhere: a closed pipe or terminal must not end a training."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._broken = False

    @property
    def encoding(self) -> str:
        """The encoding of the stream behind."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        """Write ``text`` if anybody is there."""
        if not self._broken:
            try:
                self._stream.write(text)
            except (OSError, ValueError):  # ValueError: the stream was closed
                self._broken = True
        return len(text)

    def flush(self) -> None:
        """Flush if anybody is there."""
        if not self._broken:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._broken = True

    def isatty(self) -> bool:
        """Whether the stream behind is a terminal."""
        return not self._broken and self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream behind."""
        return self._stream.fileno()
