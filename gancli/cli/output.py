"""What a command prints, and where: the result on stdout, everything else on stderr."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from shutil import get_terminal_size
from typing import TYPE_CHECKING, TextIO, cast

import typer

from gancli.console.stream import is_live
from gancli.console.text import printable

if TYPE_CHECKING:
    from gancli.console import Console

__all__ = ["Output", "put", "settle", "unread_is_fine"]

GAP = "  "


def put(stream: TextIO, text: str) -> None:
    """Write one line, now."""
    stream.write(f"{text}\n")
    stream.flush()


@dataclass(frozen=True)
class Output:
    """The two streams, and what the user wants to see on them.

    Attributes:
        argv: the whole command line, for the record.
        quiet: nothing on stderr but errors.
        color: colour where the terminal has it.
    """

    argv: tuple[str, ...] = ()
    quiet: bool = False
    color: bool = True

    @classmethod
    def of(cls, context: typer.Context) -> "Output":
        """The one that the program has made for this command line."""
        return cast("Output", context.obj)

    def result(self, text: str) -> None:
        """One line of the result. It is shown safely on a terminal and passed on unchanged elsewhere."""
        put(sys.stdout, printable(text) if sys.stdout.isatty() else text)

    def document(self, document: object) -> None:
        """The result as JSON."""
        put(sys.stdout, json.dumps(document, indent=2))

    def note(self, text: str = "") -> None:
        """A line for whoever watches, if anybody does."""
        if not self.quiet:
            with suppress(OSError):
                put(sys.stderr, printable(text))

    def console(self) -> "Console":
        """Where the progress of a training is shown."""
        from gancli.console import console_for

        return console_for(sys.stderr, quiet=self.quiet, color=self.color)

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table as the result: for eyes on a terminal, for `grep` and `awk` elsewhere."""
        cells = [[printable(cell) for cell in row] for row in rows]
        if is_live(sys.stdout):
            self._rich_table(titles, cells)
            return
        widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
        for row in [titles, *cells]:
            put(sys.stdout, GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def pairs(self, pairs: Sequence[tuple[str, object]]) -> None:
        """Names and values, one pair a line."""
        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            self.result(f"{name.ljust(width)}{GAP}{value}".rstrip())

    def _rich_table(self, titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*titles, box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold")
        for row in cells:
            table.add_row(*(Text(cell, overflow="fold") for cell in row))
        Console(no_color=not self.color or None, width=get_terminal_size().columns, highlight=False).print(table)


@contextmanager
def unread_is_fine() -> Iterator[None]:
    """Within the block stdout may have been closed: what is told there is safe elsewhere."""
    try:
        yield
    except BrokenPipeError:
        settle(sys.stdout)


def settle(*streams: TextIO) -> None:
    """Flush at the end.

    A stream that nobody reads or that cannot be written to leads nowhere from now on: Python flushes once more when it
    ends, and would complain and change the exit code.
    """
    for stream in streams:
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
