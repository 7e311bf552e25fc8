"""A path that a user gave: shown safely, opened without risk, explained when that fails."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from gancli.errors import DatasetError, did_you_mean
from gancli.storage.system import open_to_read
from gancli.text import visible

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path


KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def quoted(path: str | os.PathLike[str]) -> str:
    """``path`` in quotes, :func:`visible`."""
    return f"'{visible(os.fspath(path))}'"


def count(number: int, singular: str, plural: str = "") -> str:
    """``number`` with its noun.

    >>> count(1, "image"), count(60_000, "image")
    ('1 image', '60,000 images')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def names_in(path: Path, *, strict: bool = True) -> list[str]:
    """The names in a folder, sorted; none, unless ``strict``, of what cannot be listed."""
    try:
        return sorted(os.listdir(path))  # noqa: PTH208  (names, not paths)
    except (OSError, ValueError) as error:
        if not strict:
            return []
        raise unreadable(path, error) from error


def open_regular(path: Path) -> BufferedReader:
    """The regular file at ``path``, opened for reading. Never blocks: a named pipe without a writer is refused."""
    try:
        if path.is_dir():  # which Windows does not open, and calls forbidden
            raise DatasetError(f"{quoted(path)} is a directory.", "Give a regular file.")
        descriptor = open_to_read(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        os.close(descriptor)
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "an empty file")
        raise DatasetError(f"{quoted(path)} is {kind}.", "Give a regular file.")
    return os.fdopen(descriptor, "rb")


def unreadable(path: Path, error: Exception) -> DatasetError:
    """Why the operating system would not open ``path``, in a sentence, with what to do about it."""
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return DatasetError(f"{quoted(path)} does not exist.", _nearest(path))
        case PermissionError():
            return DatasetError(f"{quoted(path)} may not be read: permission denied.", "Ask its owner, or copy it.")
        case OSError(errno=errno.ELOOP):
            return DatasetError(f"{quoted(path)} is a symbolic link that leads back to itself.", "Give the file itself.")
        case OSError():
            return DatasetError(f"{quoted(path)} cannot be read: {error.strerror}.", "Check the path.")
        case _:
            return DatasetError(f"{quoted(path)} cannot be the name of a file: {error}.", "Check the path.")


def _nearest(path: Path) -> str:
    """A hint from the deepest directory of ``path`` that exists: the entry most like the missing one."""
    missing, parent = path, path.parent
    while not parent.is_dir() and parent != parent.parent:
        missing, parent = parent, parent.parent
    try:
        names = os.listdir(parent)  # noqa: PTH208  (names, not paths)
    except OSError:
        return "Check the path."
    hint = did_you_mean(missing.name, names)
    if not hint.startswith("Did"):
        return f"Nothing in {quoted(parent)} has a similar name: check the path."
    return f"{visible(hint)} It is in {quoted(parent)}."
