"""A folder of images, with whatever folders there are in it."""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, ClassVar

from gancli.data.catalogue import Item, is_image, is_litter
from gancli.data.collection import FileSource, evenly, sampled
from gancli.data.decoding import Flaw
from gancli.data.paths import count, open_regular, unreadable, visible
from gancli.errors import DatasetError

__all__ = ["FolderSource"]

SAMPLED_FILES, BLOCKS_OF_A_FILE = 64, 4


class FolderSource(FileSource):
    """Every image below a folder, sorted by name.

    Links are followed, to folders too, but no folder is entered twice: not one that was seen, nor one
    that the source lies in. What is not a regular file (a pipe, a socket) is not touched.
    """

    kind: ClassVar[str] = "folder"

    def __init__(self, path: Path, split: str = "train", domain: str = "") -> None:
        super().__init__(path, split, domain)
        self._names: list[str] = []  # as they stand on the disk

    def files(self) -> list[Item]:
        """See :meth:`FileSource.files`. Nothing is opened."""
        return self._walked[0]

    def notes_on_files(self) -> list[str]:
        """Folders that were not entered."""
        return self._walked[1]

    def opened(self, item: Item) -> BinaryIO:
        """See :meth:`FileSource.opened`."""
        try:
            stream = open_regular(self.path / self._names[item.key])
        except DatasetError as error:  # without the name, which stands beside it
            reason = error.problem.rpartition("' ")[2].rstrip(".")
            raise Flaw("empty" if "empty" in reason else reason.removeprefix("is ")) from error
        status = os.fstat(stream.fileno())
        if str(status.st_mtime_ns) != item.stamp or status.st_size != item.size:
            stream.close()
            raise Flaw("changed while the source was read")
        return stream

    def sample(self) -> bytes:
        """See :meth:`FileSource.sample`: of files spread over the folder."""
        state, items = sha256(), self.items()
        for index in evenly(len(items), SAMPLED_FILES):
            with suppress(DatasetError):  # it is missing, or may not be read, and is a flaw later
                state.update(sampled(self.path / self._names[items[index].key], BLOCKS_OF_A_FILE))
        return state.digest()

    def inventory(self) -> str:
        """What the folder itself holds, the commonest first: ``12 .txt files, 1 folder``."""

        def kind(entry: os.DirEntry[str]) -> str:
            if entry.is_dir(follow_symlinks=False):
                return "folder"
            return f"{visible(Path(entry.name).suffix.lower()[:12])} file".lstrip()

        with os.scandir(self.path) as entries:
            kinds = Counter(map(kind, entries)).most_common()
        parts = [count(number, name) for name, number in kinds[:4]]
        rest = sum(number for _, number in kinds[4:])
        return ", ".join([*parts, f"{rest:,} more"] if rest else parts) or "nothing"

    @cached_property
    def _walked(self) -> tuple[list[Item], list[str]]:
        """The files, and notes about folders that were not entered. Links come after all folders."""
        found: list[Item] = []
        notes: list[str] = []
        seen = {_identity(folder) for folder in self.path.resolve().parents}
        waiting, links, repeated = deque([""]), list[str](), 0
        while waiting or links:
            if not waiting:
                links.sort(reverse=True)
            prefix = waiting.popleft() if waiting else links.pop()
            try:
                identity = _identity(self.path / prefix)
                entries = [] if identity in seen else _entries(self.path / prefix)
            except (OSError, ValueError) as error:
                if not prefix:
                    raise unreadable(self.path, error) from error
                notes.append(f"The folder {visible(prefix)} cannot be read: {getattr(error, 'strerror', error)}.")
                continue
            repeated += identity in seen
            seen.add(identity)
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif entry.is_symlink() and (self.path / name).is_dir():
                    links.append(f"{name}/")
                elif (item := _item(name, entry, len(self._names))) is not None:
                    self._names.append(name)
                    found.append(item)
        if repeated:
            were = f"{count(repeated, 'link')} to a folder {'was' if repeated == 1 else 'were'}"
            notes.append(f"{were} not followed: the folder is in the data set already, or the data set in it.")
        return found, notes


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not is_litter(entry.name)]


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _item(name: str, entry: os.DirEntry[str], key: int) -> Item | None:
    """The regular file behind an entry; a link to nothing is an image that is missing."""
    try:
        status = entry.stat()
    except OSError:
        return Item(name, 0, "missing", key) if is_image(entry.name) else None
    return Item(name, status.st_size, str(status.st_mtime_ns), key) if stat.S_ISREG(status.st_mode) else None
