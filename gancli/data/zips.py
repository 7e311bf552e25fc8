"""A zip archive of images, read in place: nothing is extracted, so no name in it can lead anywhere."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, ClassVar, cast
from weakref import finalize

from gancli.data.catalogue import Item
from gancli.data.collection import FileSource
from gancli.data.decoding import MAX_FILE_BYTES, Flaw
from gancli.data.paths import open_regular, quoted
from gancli.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ZipSource"]

MAX_RATIO = 200
"""No image is compressed more than this often by zip: images are compressed already."""
FREE_BYTES = 2**22
"""Up to here any ratio is believed: a blank bitmap is no attack."""
ENCRYPTED, UTF_8, MS_DOS = 0x1, 0x800, 0


class ZipSource(FileSource):
    """Every image in a zip archive, sorted by name."""

    kind: ClassVar[str] = "zip"
    backslashes: ClassVar[bool] = True

    def __init__(self, path: Path, split: str = "train", domain: str = "") -> None:
        super().__init__(path, split, domain)
        file = open_regular(path)
        finalize(self, file.close)
        try:
            self._archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
            file.close()
            raise DatasetError(f"{quoted(path)} is a damaged zip archive: {error}.", "Copy or download it again.") from error

    def files(self) -> list[Item]:
        """See :meth:`FileSource.files`; the checksums are those of the archive."""
        return list(self._files.values())

    @cached_property
    def _files(self) -> dict[str, Item]:
        """By name: of several of one name, the last counts."""
        files = {}
        for key, member in enumerate(self._archive.infolist()):
            name = _name(member)
            if not name.endswith("/"):
                files[name] = Item(name, member.file_size, f"{member.CRC:08x}", key)
        return files

    def opened(self, item: Item) -> BinaryIO:
        """See :meth:`FileSource.opened`; nothing of it is unpacked before it is read."""
        member = self._archive.infolist()[item.key]
        if member.flag_bits & ENCRYPTED:
            raise Flaw("encrypted")
        if not member.file_size:
            raise Flaw("empty")
        if member.file_size > MAX_FILE_BYTES:
            raise Flaw(f"larger than {MAX_FILE_BYTES >> 20} MiB")
        if member.file_size > FREE_BYTES and member.file_size > MAX_RATIO * max(1, member.compress_size):
            raise Flaw(f"said to shrink more than {MAX_RATIO} times, as no image does")
        try:
            return cast("BinaryIO", self._archive.open(member))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
            raise Flaw(f"damaged in the archive: {error}") from error


def _name(member: zipfile.ZipInfo) -> str:
    """The member's name; where nobody says that it is UTF-8, it may be so all the same."""
    name = member.filename
    if not member.flag_bits & UTF_8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/") if member.create_system == MS_DOS else name
