"""All differences between operating systems: what one of them lacks is asked for by name, once, here.

What a system cannot promise:

- *Durable names.* Windows has no call that makes a directory's entries durable, and some network file systems refuse it.
  There :func:`sync_directory` returns at once: the contents of files are safe from a power cut, their newest names as safe
  as the file system's journal makes them. (On macOS ``fsync`` leaves data in the drive's own cache.)
- *Replacing what is in use.* Windows refuses to rename or remove a file that somebody has open or mapped.
  :func:`replace` waits a moment for a reader to finish; after that it is an error that says so.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STOP_SIGNALS = tuple(
    signal.Signals(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
"""What asks a program to end: Ctrl-C, `kill`, a closed terminal, and on Windows Ctrl-Break."""
HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)  # what a process receives whose terminal or parent is gone
IN_USE = 32  # Windows' own number for a file that another program has open

_BINARY = getattr(os, "O_BINARY", 0)  # or Windows translates line ends
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # a FIFO without a writer must not make anybody wait
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", None)
_CANNOT_SYNC = frozenset((errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF))
_REPLACE_SECONDS = 2.0


def create(path: Path) -> int:
    """A descriptor to write to a file that was not there before."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)


def open_to_read(path: Path, *, follow: bool = True) -> int:
    """A descriptor to read from whatever ``path`` is, at once, also from a FIFO without a writer.

    Raises:
        OSError: ``ELOOP`` for a symbolic link that is not to be followed.
    """
    if not follow and not _NO_LINK and stat.S_ISLNK(path.lstat().st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return os.open(path, os.O_RDONLY | _BINARY | _AT_ONCE | (0 if follow else _NO_LINK))


def sync_directory(path: Path) -> None:
    """Return when the names in a directory are durable; at once where there is no such call."""
    if _DIRECTORY is None:
        return
    descriptor = os.open(path, os.O_RDONLY | _DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def replace(source: Path, target: Path) -> None:
    """Give a file or directory another name, atomically; a file that had the name is replaced."""
    deadline = time.monotonic() + _REPLACE_SECONDS
    while True:
        try:
            source.replace(target)
            break
        except PermissionError as error:
            if getattr(error, "winerror", None) is None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def is_in_use(error: BaseException | None) -> bool:
    """Whether a name could not be removed or changed because somebody still has it, or something in it, open."""
    if not isinstance(error, OSError):
        return False
    return getattr(error, "winerror", None) in {5, IN_USE} or error.errno in {errno.EBUSY, errno.ENOTEMPTY}


def usable_cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
