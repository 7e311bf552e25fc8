"""What a command prints, and where: the result on stdout, everything else on stderr."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from mmap import ACCESS_READ, mmap
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TextIO, cast

import typer

from gancli.cli.console import Counter, is_live
from gancli.cli.signals import Signals
from gancli.errors import StorageError
from gancli.text import printable

if TYPE_CHECKING:
    from gancli.plugins.registry import Registry

GAP = "  "


@dataclass(frozen=True)
class Output:
    """The two streams, and what the user wants to see on them: errors only, colour where there is any, or one JSON document.

    ``argv`` is the whole command line, for the record.
    """

    argv: tuple[str, ...] = ()
    quiet: bool = False
    color: bool = True
    as_json: bool = False

    @classmethod
    def of(cls, context: typer.Context) -> "Output":
        """The one that the program has made for this command line."""
        return replace(cast("Output", context.obj), as_json=context.params.get("json", False))

    def line(self, text: str = "") -> None:
        """One line of a result that is meant for people."""
        print(printable(text), flush=True)

    def document(self, document: object) -> None:
        """The result as JSON."""
        print(json.dumps(document, indent=2), flush=True)

    def result(self, path: object, document: Mapping[str, object] | None = None) -> None:
        """What was written: its path, shown safely on a terminal and passed on unchanged elsewhere, or a JSON document."""
        if self.as_json:
            self.document(document)
        else:
            print(printable(path) if sys.stdout.isatty() else path, flush=True)

    def note(self, *lines: str) -> None:
        """Lines for whoever watches, if anybody does."""
        if lines and not self.quiet:
            with suppress(OSError):
                print(*map(printable, lines), sep="\n", file=sys.stderr, flush=True)

    @contextmanager
    def progress(self) -> Iterator[Counter]:
        """What counts on a terminal. Within the block a signal interrupts, so that nothing unfinished stays on the disk."""
        with Signals(), Counter(sys.stderr, quiet=self.quiet) as counter:
            yield counter

    def pairs(self, pairs: Sequence[tuple[str, object]]) -> None:
        """Names and values, one pair a line."""
        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            self.line(f"{name.ljust(width)}{GAP}{value}".rstrip())

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table as the result: for eyes on a terminal, for `grep` and `awk` elsewhere.

        Where a terminal is too narrow, the last columns, which hold the longest texts, move below the others.
        """
        cells = [list(titles), *([printable(cell) for cell in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        live, columns = is_live(sys.stdout), get_terminal_size().columns
        while live and len(widths) > 1 and sum(widths) + len(GAP) * (len(widths) - 1) > columns:
            widths.pop()
        shown = len(widths)
        lines = [GAP.join(map(str.ljust, row[:shown], widths)).rstrip() for row in cells]
        if not live:
            print(*lines, sep="\n", flush=True)
            return
        from rich.console import Console
        from rich.padding import Padding
        from rich.text import Text

        console = Console(no_color=not self.color or None, width=columns, highlight=False)
        for number, (line, row) in enumerate(zip(lines, cells, strict=True)):
            console.print(Text(line, style="" if number else "bold", overflow="fold"))
            for below in filter(None, row[shown:] if number else ()):
                console.print(Padding(Text(below, style="dim"), (0, 0, 0, 2 * len(GAP))))

    def plugins(self, registry: "Registry[Any]") -> None:
        """What is installed of one kind of plugin, third parties' included; nothing of theirs is imported."""
        from gancli.plugins.listing import listing

        found = listing(registry)
        if self.as_json:
            self.document(found)
        else:
            self.table(("name", "provided by", "version", "summary"), [tuple(row.values()) for row in found])


def free_name(name: str) -> str:
    """``name``, or with -2, -3, ... if there is such a file.

    >>> free_name("no-such-file.png")
    'no-such-file.png'
    """
    path = Path(name)
    names = (path if n == 1 else path.with_stem(f"{path.stem}-{n}") for n in count(1))
    return str(next(each for each in names if not each.exists()))


def refuse_existing(target: str | Path, *, force: bool, folders: bool = False) -> None:
    """Refuse to replace what gancli did not make, and to write where there is no folder, before any slow work.

    ``force`` replaces any file; ``folders``: a folder is what is written, rather than what is written into.

    Raises:
        StorageError: there is such a file already and gancli did not make it, or its folder is missing.
    """
    from gancli.storage.disk import explained, refuse_missing_parent

    path = Path(target)
    with explained(path):
        there = os.path.lexists(path) and (folders or not path.is_dir())
        if there and not force and not _made_by_gancli(path):
            problem = f"'{target}' is already there, and not made by gancli."
            raise StorageError(problem, "Choose another name, or replace it with --force.")
        if not str(target).endswith(("/", os.sep)):
            refuse_missing_parent(path)


_JSON, _CHUNK = (b'{"gancli": "',), (b"tEXtgancli\0",)
# by suffix, the bytes with which metadata that gancli writes begin
_MARKS = {
    **dict.fromkeys((".png", ".apng"), _CHUNK),
    **dict.fromkeys((".gif", ".webp", ".avif", ".mp4"), _JSON),
    ".npz": (b"gancli ",),
    ".safetensors": (b'"gancli":"{', b'"gancli": "{'),
    ".onnx": (b"\n\x06gancli\x12",),
    ".pt2": (b"gancli.json",),
    ".html": (b'<meta name="generator" content="gancli ',),
}


def _made_by_gancli(path: Path) -> bool:
    """Whether the metadata of a file say that gancli wrote it; of a folder, those of the weights in it."""
    if path.is_dir():
        return _made_by_gancli(path / "generator.safetensors")
    suffix = path.suffix.lower()
    if suffix not in _MARKS or not path.is_file() or path.is_symlink() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        start = max(0, len(data) - 64) if suffix == ".npz" else 0  # the comment of a zip archive is at its end
        return any(data.find(mark, start) >= 0 for mark in _MARKS[suffix])


@contextmanager
def unread_is_fine() -> Iterator[None]:
    """Ignore a closed stdout within the block: what is printed there is stored elsewhere too."""
    try:
        yield
    except BrokenPipeError:
        settle(sys.stdout)


def settle(*streams: TextIO) -> None:
    """Flush at the end. A stream that cannot be written to leads nowhere from now on, or Python complains when it ends."""
    for stream in streams:
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
