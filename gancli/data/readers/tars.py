"""A tar archive of pictures, plain or compressed, read in place and in one direction."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
import zlib
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Self, cast

from gancli.data.compression import decompressed
from gancli.data.paths import count, open_regular, quoted
from gancli.data.readers.labels import SIDECAR
from gancli.data.readers.names import is_picture
from gancli.data.readers.reader import MAX_FILE_BYTES, Item, Opened, Reader, sampled
from gancli.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedIOBase
    from pathlib import Path
    from typing import IO

__all__ = ["TarReader", "is_tar", "tar_members"]

MAX_RATIO = 200
FREE_BYTES = 2**28
"""Up to here any ratio of compression is believed."""
MAX_SIDECARS = 4
DRAIN_BYTES = 2**20
MAGIC_AT, MAGIC = 257, b"ustar"

_BAD_HEADERS = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError, tarfile.EmptyHeaderError)  # type: ignore[attr-defined]  # public, but not in the stubs
_DAMAGE = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


class TarReader(Reader):
    """Every picture in a tar archive, in the archive's order, which is the only quick one."""

    kind: ClassVar[str] = "tar"

    def items(self) -> Sequence[Item]:
        """See :meth:`Reader.items`. The whole archive is read for it."""
        return self._items

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        self._sidecars: dict[str, bytes] = {}
        found = []
        passed_over = 0
        for archive, member in tar_members(self.path):
            if _is_wanted(member):
                found.append(Item(_name(member), member.size, str(member.mtime)))
            elif not member.isdir() and is_picture(member.name):
                passed_over += 1
            elif member.isreg() and _is_sidecar(member) and len(self._sidecars) < MAX_SIDECARS:
                file = archive.extractfile(member)
                self._sidecars[_name(member)] = b"" if file is None else file.read()
        if passed_over:
            self.notes.append(
                f"{count(passed_over, 'link, device or sparse file', 'links, devices or sparse files')} passed over."
            )
        return tuple(found)

    def each(self, start: int = 0) -> Iterator[Opened]:
        """See :meth:`Reader.each`. What comes before ``start`` is read and dropped."""
        index = -1
        for archive, member in tar_members(self.path):
            if not _is_wanted(member):
                continue
            index += 1
            if index < start:
                continue
            yield _opened(index, archive, member)

    def sidecar(self, top: str) -> bytes | None:
        """See :meth:`Reader.sidecar`."""
        return self._sidecars.get(top + SIDECAR) if self._items else None

    def stamp(self) -> str:
        """Of the archive's time and a sample of its bytes: its names are known only after all of it was read."""
        with open_regular(self.path) as raw:
            time = os.fstat(raw.fileno()).st_mtime_ns
        return sha256(f"{self.kind}\n{time}\n".encode() + sampled(self.path)).hexdigest()


def tar_members(path: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Every member of a tar archive, plain or compressed, to be read before the next is asked for.

    Raises:
        DatasetError: it is damaged, or swells more than any archive of pictures.
    """
    with open_regular(path) as raw:
        stored = os.fstat(raw.fileno()).st_size
        limited = _Limited(decompressed(raw), max(FREE_BYTES, MAX_RATIO * stored), path)
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", limited), mode="r|", tarinfo=_Member) as archive:
                for member in archive:
                    yield archive, member
                    archive.members.clear()  # type: ignore[attr-defined]  # the catalogue is ours: this would grow
            limited.drain()
        except _DAMAGE as error:
            raise DatasetError(f"{quoted(path)} is a damaged tar archive: {error}.", "Copy or download it again.") from error


def is_tar(path: Path) -> bool:
    """Whether the file is a tar archive, plain or compressed. Reads the first block of what is in it."""
    with open_regular(path) as raw:
        try:
            start = decompressed(raw).read(MAGIC_AT + len(MAGIC))
        except _DAMAGE:
            return False
    return start[MAGIC_AT:] == MAGIC


def _opened(index: int, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Opened:
    """The picture in memory: an archive that is read in one direction cannot be sought in."""
    if not 0 < member.size <= MAX_FILE_BYTES:
        return Opened(index, None, f"larger than {MAX_FILE_BYTES >> 20} MiB" if member.size else "empty")
    file = archive.extractfile(member)
    return Opened(index, io.BytesIO(file.read() if file else b""))


def _name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")


def _is_sidecar(member: tarfile.TarInfo) -> bool:
    return _name(member).rpartition("/")[2] == SIDECAR and member.size <= MAX_FILE_BYTES


def _is_wanted(member: tarfile.TarInfo) -> bool:
    """Whether it is a picture in a regular file: links, devices and files with holes are not."""
    return member.isreg() and not member.issparse() and is_picture(member.name)


class _Member(tarfile.TarInfo):
    """A header that must be one: tarfile takes a damaged or missing one for the end of the archive, and is silent about it."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _BAD_HEADERS as error:
            raise _NotAnEndError(f"{error} at byte {tarfile.offset:,}") from error


class _NotAnEndError(ValueError):
    """Where a member or the end should be, is neither."""


class _Limited:
    """A stream that ends in one sentence when it yields more than ``limit`` bytes."""

    def __init__(self, stream: BufferedIOBase, limit: int, path: Path) -> None:
        self._stream = stream
        self._left = limit
        self._path = path

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, as tarfile asks for them: a block at a time."""
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise DatasetError(
                f"{quoted(self._path)} holds more than {MAX_RATIO} times its own size.",
                "No pictures shrink so much: it is damaged or made to do harm.",
            )
        return data

    def drain(self) -> None:
        """Read what comes after the end of the archive: the check sum of a compressed one is the last thing in it."""
        while self.read(DRAIN_BYTES):
            pass
