"""One run directory, one writer: an advisory lock (``flock``) on ``run.lock``.

The kernel ties the lock to the open file, not to the process: it is free at the moment in which the last descriptor of
that open file is closed. So a ``kill -9`` frees it at once and no stale lock exists, unless a child that was forked
meanwhile still holds a copy of the descriptor. Hence a child closes its copy as the first thing it does (which takes
nothing from its parent; ``LOCK_UN`` in the child would), and a program started by the parent never inherits it
(``O_CLOEXEC``).

The content of the file only tells people who holds the lock; a killed holder's words stay behind and mean nothing. The
file is never removed, since somebody may just be about to lock it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from platform import node
from typing import TYPE_CHECKING, Any

from gancli.errors import CheckpointError, RunBusyError, StorageError
from gancli.storage.disk import explain, explained
from gancli.storage.strict_json import parse_object

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_WORDS_BYTES = 4096
_NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL))
_held: set[RunLock] = set()


class RunLock:
    """Holds the lock within a ``with`` block.

    Args:
        path: the lock file, made if it is not there; its directory exists.

    Raises:
        RunBusyError: on entry, at once: another process holds it.
        StorageError: on entry: the file cannot be written to, or the file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        with explained(self.path):
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        _held.add(self)
        try:
            self._lock()
            with explained(self.path):
                _write_words(self._descriptor)
        except BaseException:
            self.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def release(self) -> None:
        """Close the descriptor, if it is not closed yet. In a forked child this leaves the parent's lock alone."""
        if self in _held:
            _held.discard(self)
            os.close(self._descriptor)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunBusyError(
                f"{_holder(self._descriptor)} trains in '{self.path.parent}'.",
                "Only one process can write to a run. Wait for it, stop it, or train in another directory.",
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise explain(error, self.path) from error
            raise StorageError(
                f"The file system of '{self.path}' has no file locks ({error.strerror}).",
                "Without them two trainings could destroy each other's checkpoints. Choose a directory on a local disk.",
            ) from error


def _release_in_child() -> None:
    for lock in tuple(_held):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)


def _write_words(descriptor: int) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    words = json.dumps({"pid": os.getpid(), "host": node(), "started": started}).encode("ascii")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, words, 0)


def _holder(descriptor: int) -> str:
    """Who holds the lock, as the subject of a sentence; the words may be missing for a moment, or be anything."""
    words: dict[str, Any] = {}
    with suppress(OSError, CheckpointError):
        words = parse_object(os.pread(descriptor, _WORDS_BYTES, 0), "The lock")
    pid, host, started = (ascii(words.get(key, "?")).strip("'")[:100] for key in ("pid", "host", "started"))
    return f"Process {pid} on {host}, since {started},"
