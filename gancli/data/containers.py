"""Containers of image files: a folder, a zip archive, a tar archive.

Nothing of an archive is written under a name that stands in it, so that no name in it can lead anywhere.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from collections import deque
from contextlib import contextmanager, suppress
from hashlib import sha256
from heapq import heappop, heappush
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, BinaryIO, ClassVar, Self, cast
from weakref import finalize

from gancli.data import cache
from gancli.data.arrays import DAMAGE, decompressed
from gancli.data.catalogue import Item, is_image, is_litter
from gancli.data.collection import FileSource, evenly, sampled
from gancli.data.decoding import Flaw, flaw_of_size
from gancli.data.paths import count, open_regular, unreadable
from gancli.errors import DatasetError
from gancli.storage.disk import explained

if TYPE_CHECKING:
    from collections.abc import Iterator
from gancli.text import visible

MAX_RATIO = 200  # no image shrinks more than this in an archive: images are compressed already
FREE_BYTES, FREE_TAR_BYTES = 2**22, 2**28
"""Up to here any ratio is accepted for a file in a zip, or for a tar: a blank bitmap is not an attack."""
CHUNK_BYTES = 2**20
ENCRYPTED, UTF_8, MS_DOS = 0x1, 0x800, 0
MAGIC_AT, MAGIC = 257, b"ustar"

_BAD_HEADERS = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError, tarfile.EmptyHeaderError)  # type: ignore[attr-defined]  # public, but not in the stubs
_DAMAGE = (tarfile.TarError, *DAMAGE)


def open_image(path: Path) -> BinaryIO:
    """The file at ``path``, or a :class:`Flaw` without its name, which stands beside it."""
    try:
        return open_regular(path)
    except DatasetError as error:
        reason = error.problem.rpartition("' ")[2].rstrip(".")
        raise Flaw("empty" if "empty" in reason else reason.removeprefix("is ")) from error


class FolderSource(FileSource):
    """Every image below a folder, sorted by name.

    Links are followed, to folders too, but no folder is entered twice: not one that was seen, nor one
    that the source lies in. What is not a regular file (a pipe, a socket) is not touched.
    """

    kind: ClassVar[str] = "folder"

    def listed(self) -> tuple[list[Item], list[str]]:
        """The files, and notes about folders that were not entered. Links to folders come last; no file is opened."""
        found: list[Item] = []
        notes: list[str] = []
        seen = {(status.st_dev, status.st_ino) for status in map(Path.stat, self.path.resolve().parents)}
        waiting, links, repeated = deque([""]), list[str](), 0
        while waiting or links:
            prefix = waiting.popleft() if waiting else heappop(links)
            try:
                status = (self.path / prefix).stat()
                if (status.st_dev, status.st_ino) in seen:
                    repeated += 1
                    continue
                with os.scandir(self.path / prefix) as listed:
                    entries = [entry for entry in listed if not is_litter(entry.name)]
            except (OSError, ValueError) as error:
                if not prefix:
                    raise unreadable(self.path, error) from error
                notes.append(f"The folder {visible(prefix)} cannot be read: {getattr(error, 'strerror', error)}.")
                continue
            seen.add((status.st_dev, status.st_ino))
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif entry.is_symlink() and (self.path / name).is_dir():
                    heappush(links, f"{name}/")
                else:
                    found += _item(name, entry)
        if repeated:
            were = f"{count(repeated, 'link')} to a folder {'was' if repeated == 1 else 'were'}"
            notes.append(f"{were} not followed: the folder is in the data set already, or the data set in it.")
        return found, notes

    def opened(self, item: Item) -> BinaryIO:
        """See :meth:`FileSource.opened`."""
        stream = open_image(self.path / str(item.key))
        status = os.fstat(stream.fileno())
        if str(status.st_mtime_ns) != item.stamp or status.st_size != item.size:
            stream.close()
            raise Flaw("changed while the source was read")
        return stream

    def sample(self) -> bytes:
        """See :meth:`FileSource.sample`: of files spread over the folder."""
        state, items = sha256(), self.items
        for index in evenly(len(items), 64):
            with suppress(DatasetError):  # it is missing, or may not be read, and is a flaw later
                state.update(sampled(self.path / str(items[index].key), blocks=4))
        return state.digest()


def _item(name: str, entry: os.DirEntry[str]) -> list[Item]:
    """The regular file behind an entry, if there is one; a link to nothing is an image that is missing."""
    try:
        status = entry.stat()
    except OSError:
        return [Item(name, 0, "missing", name)] if is_image(entry.name) else []
    return [Item(name, status.st_size, str(status.st_mtime_ns), name)] if stat.S_ISREG(status.st_mode) else []


@contextmanager
def _intact(source: FileSource) -> Iterator[None]:
    """Whatever reading an archive raises is an error about it."""
    try:
        yield
    except _DAMAGE as error:
        wrong = f"{source} is a damaged {source.kind} archive: {error}."
        raise DatasetError(wrong, "Copy or download it again.") from error


class ZipSource(FileSource):
    """Every image in a zip archive, read in place, sorted by name."""

    kind: ClassVar[str] = "zip"

    def listed(self) -> tuple[list[Item], list[str]]:
        """The files, with the archive's checksums; of several of one name, the last.

        A name that is not declared as UTF-8 may be UTF-8 all the same.
        """
        file = open_regular(self.path)
        finalize(self, file.close)
        with _intact(self):
            self._archive = zipfile.ZipFile(file)
        files = {}
        for key, member in enumerate(self._archive.infolist()):
            name = member.filename
            if not member.flag_bits & UTF_8:
                with suppress(UnicodeError):
                    name = name.encode("cp437").decode("utf-8")
            name = name.replace("\\", "/") if member.create_system == MS_DOS else name
            if not name.endswith("/"):
                files[name] = Item(name, member.file_size, f"{member.CRC:08x}", key)
        return list(files.values()), []

    def opened(self, item: Item) -> BinaryIO:
        """See :meth:`FileSource.opened`; nothing of it is unpacked before it is read."""
        member = self._archive.infolist()[cast("int", item.key)]
        if member.flag_bits & ENCRYPTED:
            raise Flaw("encrypted")
        if flaw := flaw_of_size(item.size):
            raise flaw
        if item.size > FREE_BYTES and item.size > MAX_RATIO * max(1, member.compress_size):
            raise Flaw(f"said to shrink more than {MAX_RATIO} times, as no image does")
        return cast("BinaryIO", self._archive.open(member))


class TarSource(FileSource):
    """Every image in a tar archive, in the archive's order.

    A compressed archive is first decompressed into an unnamed file in the cache. Members are found by their place.
    """

    kind: ClassVar[str] = "tar"
    is_sorted: ClassVar[bool] = False

    def listed(self) -> tuple[list[Item], list[str]]:
        """The regular files, and how many images are links, devices or sparse. The whole archive is read."""
        raw = open_regular(self.path)
        finalize(self, raw.close)
        found, passed_over = [], 0
        with _intact(self):
            self._file = self._decompressed(raw)
            with tarfile.open(fileobj=self._file, mode="r:", tarinfo=_Member) as archive:
                for member in iter(archive.next, None):
                    archive.members.clear()  # type: ignore[attr-defined]  # the catalogue is ours: this would grow
                    if member.isreg() and not member.issparse():
                        found.append(Item(member.name, member.size, str(member.mtime), member.offset_data))
                    else:
                        passed_over += not member.isdir() and is_image(member.name)
        what = count(passed_over, "link, device or sparse file", "links, devices or sparse files")
        return found, [f"{what} passed over."] if passed_over else []

    def _decompressed(self, raw: io.BufferedReader) -> IO[bytes]:
        """The archive if it is plain, else a file with what is in it, to its last checksum."""
        stream = decompressed(raw)
        if stream is raw:
            return raw
        left = max(FREE_TAR_BYTES, MAX_RATIO * os.fstat(raw.fileno()).st_size)
        place = cache.folder("pictures")
        with explained(place):
            file = TemporaryFile(dir=place)  # noqa: SIM115  (closed with this source)
        finalize(self, file.close)
        while piece := stream.read(CHUNK_BYTES):
            left -= len(piece)
            if left < 0:
                wrong = f"{self} holds more than {MAX_RATIO} times its own size."
                raise DatasetError(wrong, "No images shrink so much: it is damaged or made to do harm.")
            with explained(place):
                file.write(piece)
        file.seek(0)
        return file

    def opened(self, item: Item) -> BinaryIO:
        """See :meth:`FileSource.opened`."""
        if flaw := flaw_of_size(item.size):
            raise flaw
        self._file.seek(cast("int", item.key))
        return io.BytesIO(self._file.read(item.size))

    def stamp(self) -> str:
        """Of the archive's time and a sample of its bytes."""
        head = f"{self.kind}\n{self.split}{self.domain}\n{self.path.stat().st_mtime_ns}\n"
        return sha256(head.encode() + sampled(self.path)).hexdigest()


def is_tar(path: Path) -> bool:
    """Whether the file is a tar archive, plain or compressed. Reads the first block of what is in it."""
    with open_regular(path) as raw:
        try:
            return decompressed(raw).read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] == MAGIC
        except _DAMAGE:
            return False


class _Member(tarfile.TarInfo):
    """A header that must be one: tarfile silently takes a damaged or missing one for the end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _BAD_HEADERS as error:
            raise ValueError(f"{error} at byte {tarfile.offset:,}") from error
