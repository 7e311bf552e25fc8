"""A folder of pictures, with whatever folders there are in it."""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from gancli.data.paths import count, open_regular, unreadable, visible
from gancli.data.readers.labels import SIDECAR
from gancli.data.readers.names import is_litter, is_picture
from gancli.data.readers.reader import MAX_FILE_BYTES, Flaw, Item, Opened, Reader, evenly, in_turn, sampled
from gancli.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FolderReader", "inventory"]


SAMPLED_FILES, BLOCKS_OF_A_FILE = 64, 4


class FolderReader(Reader):
    """Every picture below a folder, sorted by name.

    Links to files are followed, links to folders are not: they could lead in a circle, or out of the collection. What is no
    regular file (a pipe, a socket) is not touched.
    """

    kind: ClassVar[str] = "folder"

    def items(self) -> Sequence[Item]:
        """See :meth:`Reader.items`. Nothing is opened."""
        return self._items

    def each(self, start: int = 0) -> Iterator[Opened]:
        """See :meth:`Reader.each`."""
        return in_turn(range(start, len(self._items)), lambda index: self._open(self._items[index]))

    def sidecar(self, top: str) -> bytes | None:
        """See :meth:`Reader.sidecar`."""
        try:
            with open_regular(self.path / top / SIDECAR) as file:
                return file.read(MAX_FILE_BYTES)
        except DatasetError:
            return None

    def sample(self) -> bytes:
        """See :meth:`Reader.sample`: of files spread over the folder."""
        state = sha256()
        for index in evenly(len(self._items), SAMPLED_FILES):
            with suppress(DatasetError):  # it is missing, or may not be read, and is a flaw later
                state.update(sampled(self.path / self._items[index].name, BLOCKS_OF_A_FILE))
        return state.digest()

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        found: list[Item] = []
        links = 0
        waiting = deque([""])
        while waiting:
            prefix = waiting.popleft()
            for entry in self._entries(prefix):
                name = f"{prefix}{entry.name}"
                if is_litter(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif is_picture(entry.name) and (item := _item(name, entry)) is not None:
                    found.append(item)
                elif entry.is_symlink() and _is_folder(entry):
                    links += 1
        if links:
            self.notes.append(f"{count(links, 'link')} to a folder {'was' if links == 1 else 'were'} not followed.")
        return tuple(sorted(found, key=lambda item: item.name))

    def _entries(self, prefix: str) -> list[os.DirEntry[str]]:
        folder = self.path / prefix
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except (OSError, ValueError) as error:
            if not prefix:
                raise unreadable(folder, error) from error
            self.notes.append(f"The folder {prefix} cannot be read: {getattr(error, 'strerror', error)}.")
            return []

    def _open(self, item: Item) -> BinaryIO:
        try:
            stream = open_regular(self.path / item.name)
        except DatasetError as error:
            raise Flaw(_reason(error)) from error
        status = os.fstat(stream.fileno())
        if _stamp(status) != item.stamp or status.st_size != item.size:
            stream.close()
            raise Flaw("changed while the collection was read")
        return stream


def inventory(folder: Path) -> str:
    """What a folder holds, the commonest first: ``12 .txt files, 1 folder``."""
    with os.scandir(folder) as entries:
        kinds = Counter(map(_kind, entries)).most_common()
    parts = [count(number, kind) for kind, number in kinds[:4]]
    rest = sum(number for _, number in kinds[4:])
    return ", ".join([*parts, f"{rest:,} more"] if rest else parts) or "nothing"


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return f"{visible(Path(entry.name).suffix.lower()[:12])} file".lstrip()


def _item(name: str, entry: os.DirEntry[str]) -> Item | None:
    """The picture behind an entry, if it is a regular file or a link to one; a dangling link is a picture that is missing."""
    try:
        status = entry.stat()
    except OSError:
        return Item(name, 0, "missing")
    return Item(name, status.st_size, _stamp(status)) if stat.S_ISREG(status.st_mode) else None


def _stamp(status: os.stat_result) -> str:
    return str(status.st_mtime_ns)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _reason(error: DatasetError) -> str:
    """What the system said, without the name, which stands beside it."""
    text = error.problem.rpartition("' ")[2].rstrip(".")
    return "empty" if "empty" in text else text.removeprefix("is ")
