"""A zip archive of pictures, read in place: nothing is extracted, so no name in it can lead anywhere."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, ClassVar, cast

from gancli.data.paths import open_regular, quoted
from gancli.data.readers.labels import SIDECAR
from gancli.data.readers.names import is_picture
from gancli.data.readers.reader import MAX_FILE_BYTES, Flaw, Item, Opened, Reader, in_turn
from gancli.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["ZipReader"]

MAX_RATIO = 200
"""No picture is compressed more than this often by zip: pictures are compressed already."""
FREE_BYTES = 2**22
"""Up to here any ratio is believed: a blank bitmap is no attack."""
ENCRYPTED = 0x1
MS_DOS = 0


class ZipReader(Reader):
    """Every picture in a zip archive, sorted by name. The labels are in ``dataset.json``, or in its folders."""

    kind: ClassVar[str] = "zip"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self._opened() as archive:
            members = [_with_slashes(member) for member in archive.infolist()]
        pictures = {member.filename: member for member in members if not member.is_dir() and is_picture(member.filename)}
        self._members = [pictures[name] for name in sorted(pictures)]

    def items(self) -> Sequence[Item]:
        """See :meth:`Reader.items`; the checksums are those of the archive."""
        return self._items

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        return tuple(Item(member.filename, member.file_size, f"{member.CRC:08x}") for member in self._members)

    def each(self, start: int = 0) -> Iterator[Opened]:
        """See :meth:`Reader.each`."""
        with self._opened() as archive:
            yield from in_turn(range(start, len(self._members)), lambda index: _member(archive, self._members[index]))

    def sidecar(self, top: str) -> bytes | None:
        """See :meth:`Reader.sidecar`."""
        try:
            with self._opened() as archive, _member(archive, archive.getinfo(top + SIDECAR)) as stream:
                return stream.read(MAX_FILE_BYTES)
        except (KeyError, Flaw, OSError, zipfile.BadZipFile, zlib.error, EOFError):
            return None

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        with open_regular(self.path) as file:
            try:
                archive = zipfile.ZipFile(file)
            except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
                problem = f"{quoted(self.path)} is a damaged zip archive: {error}."
                raise DatasetError(problem, "Copy or download it again.") from error
            with archive:
                yield archive


def _with_slashes(member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The member with ``/`` between the parts of its name, where a program on Windows wrote a backslash."""
    if member.create_system == MS_DOS:
        member.filename = member.filename.replace("\\", "/")
    return member


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    """One member, opened; nothing of it is unpacked before it is read."""
    if member.flag_bits & ENCRYPTED:
        raise Flaw("encrypted")
    if not member.file_size:
        raise Flaw("empty")
    if member.file_size > MAX_FILE_BYTES:
        raise Flaw(f"larger than {MAX_FILE_BYTES >> 20} MiB")
    if member.file_size > FREE_BYTES and member.file_size > MAX_RATIO * max(1, member.compress_size):
        raise Flaw(f"said to shrink more than {MAX_RATIO} times, as no picture does")
    try:
        return cast("BinaryIO", archive.open(member))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise Flaw(f"damaged in the archive: {error}") from error
