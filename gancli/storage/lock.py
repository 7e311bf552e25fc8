"""One run directory, one writer: a lock on ``run.lock`` that the operating system holds, and frees after a ``kill -9``.

The content of the file only tells people who holds the lock; a killed holder's words stay behind and mean nothing. It begins at
the second byte: Windows lets nobody read the locked first one. The file is never removed: somebody may be about to lock it.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from platform import node
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from gancli.errors import CheckpointError, RunBusyError, StorageError
from gancli.storage.disk import explained
from gancli.storage.strict_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE_SECONDS = 0.1
"""Longer than :func:`is_abandoned` holds a lock, so that a look at the runs never keeps one from starting."""
_NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL))


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the lock at ``path`` within the block; its directory exists.

    Raises:
        RunBusyError: on entry, at once: another process holds it.
        StorageError: on entry: the file cannot be written to, or the file system has no locks.
    """
    # without locks two trainings would destroy each other's checkpoints: no fallback to a file that may be stale
    lock = FileLock(path, thread_local=False, preserve_lock_file=True, on_acquired=_write_words)
    with explained(path):
        try:
            held = lock.acquire(timeout=_PATIENCE_SECONDS, poll_interval=_PATIENCE_SECONDS / 5)
        except Timeout:
            words = _words(path)
            pid, host, since = (ascii(words.get(key, "?")).strip("'")[:100] for key in ("pid", "host", "started"))
            raise RunBusyError(
                f"Process {pid} on {host}, since {since}, trains in '{path.parent}'.",
                "Only one process can write to a run. Wait for it, stop it, or train in another directory.",
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            raise StorageError(
                f"The file system of '{path}' has no file locks ({error.strerror}).",
                "Two trainings could destroy each other's checkpoints there. Choose a directory on a local disk.",
            ) from error
    with held:
        yield


def is_abandoned(path: Path) -> bool:
    """Whether the process of this machine that wrote its words into the lock does not hold it any more."""
    if _words(path).get("host") != node():
        return False
    try:
        with FileLock(path, blocking=False, preserve_lock_file=True):
            return True
    except OSError:  # somebody holds it, or it cannot be known
        return False


def _write_words(descriptor: int) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    words = json.dumps({"pid": os.getpid(), "host": node(), "started": started}).encode("ascii")
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, b" " + words)


def _words(path: Path) -> dict[str, Any]:
    """Who holds or held the lock; the words may be missing for a moment, or be anything."""
    with suppress(OSError, CheckpointError), path.open("rb", buffering=0) as file:
        file.seek(1)
        words = file.read(4096)
        return parse_object(words if words[:1] == b"{" else b"{" + words, "The lock")  # once it began at the first byte
    return {}
