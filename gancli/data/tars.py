"""A tar archive of images, plain or compressed, read once from end to end.

A compressed one is unpacked into an unnamed file beside the cache while it is read; from then on, as
in a plain one, every member is found by its place.
"""

from __future__ import annotations

import io
import lzma
import os
import tarfile
import zlib
from functools import cached_property, partial
from hashlib import sha256
from itertools import islice
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Self, cast
from weakref import finalize

from gancli.data import cache
from gancli.data.arrays import decompressed, is_cifar
from gancli.data.catalogue import Item, is_image, is_litter
from gancli.data.collection import FileSource, sampled
from gancli.data.decoding import MAX_FILE_BYTES, Flaw
from gancli.data.paths import count, open_regular, quoted
from gancli.errors import DatasetError
from gancli.storage.disk import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedIOBase
    from pathlib import Path
    from typing import IO

__all__ = ["TarSource", "is_cifar_tar", "is_tar", "tar_members"]

MAX_RATIO = 200
FREE_BYTES = 2**28
"""Up to here any ratio of compression is believed."""
DRAIN_BYTES = 2**20
MEMBERS_BEFORE_CIFAR = 8
MAGIC_AT, MAGIC = 257, b"ustar"

_BAD_HEADERS = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError, tarfile.EmptyHeaderError)  # type: ignore[attr-defined]  # public, but not in the stubs
_DAMAGE = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


class TarSource(FileSource):
    """Every image in a tar archive, in the archive's order."""

    kind: ClassVar[str] = "tar"
    backslashes: ClassVar[bool] = True
    is_sorted: ClassVar[bool] = False

    def files(self) -> list[Item]:
        """See :meth:`FileSource.files`. The whole archive is read for it."""
        return self._indexed[0]

    def notes_on_files(self) -> list[str]:
        """How many images are links, or sparse."""
        passed_over = self._indexed[1]
        what = count(passed_over, "link, device or sparse file", "links, devices or sparse files")
        return [f"{what} passed over."] if passed_over else []

    def opened(self, item: Item) -> BinaryIO:
        """See :meth:`FileSource.opened`."""
        if not 0 < item.size <= MAX_FILE_BYTES:
            raise Flaw(f"larger than {MAX_FILE_BYTES >> 20} MiB" if item.size else "empty")
        self._unpacked.seek(item.key)
        return io.BytesIO(self._unpacked.read(item.size))

    def stamp(self) -> str:
        """Of the archive's time and a sample of its bytes: its names are known after all of it was read."""
        time = self.path.stat().st_mtime_ns
        head = f"{self.kind}\n{self.split}{self.domain}\n{time}\n"
        return sha256(head.encode() + sampled(self.path)).hexdigest()

    @cached_property
    def _unpacked(self) -> IO[bytes]:
        """The archive itself if it is plain, else the file that its members are unpacked into."""
        raw = open_regular(self.path)
        file: IO[bytes] = raw
        if not isinstance(decompressed(raw), io.BufferedReader):
            raw.close()
            folder = cache.folder("pictures")
            with explained(folder):
                file = TemporaryFile(dir=folder)  # noqa: SIM115  (closed with this source)
        finalize(self, file.close)
        return file

    @cached_property
    def _indexed(self) -> tuple[list[Item], int]:
        """The members, and the number of images that are links, devices or sparse files."""
        found, passed_over = [], 0
        plain = isinstance(self._unpacked, io.BufferedReader)
        for member, read in tar_members(self.path):
            if not member.isreg() or member.issparse():
                passed_over += not member.isdir() and is_image(member.name)
                continue
            place = member.offset_data
            if not plain and member.size <= MAX_FILE_BYTES and not is_litter(member.name.rpartition("/")[2]):
                data = read()
                with explained(cache.root()):
                    place = self._unpacked.seek(0, os.SEEK_END)
                    self._unpacked.write(data)
            found.append(Item(member.name, member.size, str(member.mtime), place))
        return found, passed_over


def tar_members(path: Path) -> Iterator[tuple[tarfile.TarInfo, Callable[[], bytes]]]:
    """Every member of a tar archive, plain or compressed, and what reads it before the next is asked for.

    Raises:
        DatasetError: it is damaged, or swells more than any archive of images.
    """

    def damaged(error: Exception) -> DatasetError:
        return DatasetError(f"{quoted(path)} is a damaged tar archive: {error}.", "Copy or download it again.")

    def content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
        try:
            stream = archive.extractfile(member)
            return stream.read() if stream else b""
        except _DAMAGE as error:
            raise damaged(error) from error

    with open_regular(path) as raw:
        stored = os.fstat(raw.fileno()).st_size
        limited = _Limited(decompressed(raw), max(FREE_BYTES, MAX_RATIO * stored), path)
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", limited), mode="r|", tarinfo=_Member) as archive:
                for member in archive:
                    yield member, partial(content, archive, member)
                    archive.members.clear()  # type: ignore[attr-defined]  # the catalogue is ours: this would grow
            limited.drain()
        except _DAMAGE as error:
            raise damaged(error) from error


def is_tar(path: Path) -> bool:
    """Whether the file is a tar archive, plain or compressed. Reads the first block of what is in it."""
    with open_regular(path) as raw:
        try:
            start = decompressed(raw).read(MAGIC_AT + len(MAGIC))
        except _DAMAGE:
            return False
    return start[MAGIC_AT:] == MAGIC


def is_cifar_tar(path: Path) -> bool:
    """Whether a tar archive is CIFAR's, told by the first files in it."""
    for member, _ in islice(tar_members(path), MEMBERS_BEFORE_CIFAR):
        name = member.name.rpartition("/")[2]
        if is_image(name) or is_cifar([name]):
            return not is_image(name)
    return False


class _Member(tarfile.TarInfo):
    """A header that must be one: tarfile silently takes a damaged or missing one for the end."""

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
                "No images shrink so much: it is damaged or made to do harm.",
            )
        return data

    def drain(self) -> None:
        """Read what comes after the end: the checksum of a compressed archive is the last thing in it."""
        while self.read(DRAIN_BYTES):
            pass
