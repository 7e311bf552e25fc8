"""Where decoded pictures and downloads are kept: ``GANCLI_CACHE``, else ``XDG_CACHE_HOME/gancli``, else ``~/.cache/gancli``.

    pictures/KEY/pixels.bin     uint8 (n, c, h, w), row by row; mapped into memory, never read as a whole
    pictures/KEY/facts.json     written last of all: shape, labels, fingerprint, what was left out
    pictures/.part-KEY/         unfinished: the same, with how far it is in progress.json; gone on with by the next who needs it
    pictures/.lock-KEY          a lock, held by whoever decodes
    downloads/NAME/             files of named data sets
    readings/                   features of real pictures, see gancli.evaluation.cache

Everything in it can be made again: ``gancli dataset clear`` removes it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from gancli.errors import StorageError
from gancli.storage.disk import DISK, explained, remove

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["READINGS", "UNFINISHED", "clear", "downloads", "folder", "locked", "root"]

READINGS = "readings"
PARTS = ("pictures", "downloads", READINGS)
VARIABLE = "GANCLI_CACHE"
UNFINISHED, LOCK = ".part-", ".lock-"


def root() -> Path:
    """The cache's folder, which may not exist yet.

    Raises:
        StorageError: nobody says where it is, and there is no home.
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  (Path.expanduser raises)
    if not os.path.isabs(base):  # noqa: PTH117  (a tilde that stayed, or a relative XDG_CACHE_HOME, which the standard forbids)
        raise StorageError("There is no home folder to keep decoded pictures in.", f"Name a folder in {VARIABLE}.")
    return Path(base) / "gancli"


def folder(part: str) -> Path:
    """``pictures`` or ``downloads``, made if it is missing.

    Raises:
        StorageError: it cannot be made.
    """
    path = root() / part
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True)  # others may make it at the same time
    return path


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        with explained(path):
            yield
    except StorageError as error:
        raise StorageError(error.problem, f"{error.remedy} {VARIABLE} names another place for the cache.") from error


def downloads(name: str) -> Path:
    """Where the files of a named data set are kept."""
    return root() / "downloads" / name


@contextmanager
def locked(key: str) -> Iterator[None]:
    """Within the block nobody else makes the pictures of ``key``; waits for whoever does.

    Raises:
        StorageError: the cache cannot be written to.
    """
    lock = FileLock(folder("pictures") / f"{LOCK}{key}", preserve_lock_file=True)
    with _explained(root()):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def clear() -> tuple[int, int]:
    """Remove everything from the cache but what is being made. A training that uses it goes on: what is mapped stays.

    Returns:
        the number of sets of pictures and downloads that were removed, finished or not, and their bytes.

    Raises:
        StorageError: something cannot be removed.
    """
    number = size = 0
    for path in (root() / part for part in PARTS):
        with _explained(path):
            names = sorted(DISK.listdir(path) if DISK.lstat(path) else [], reverse=True)
            for name in names:  # an unfinished set comes before its lock
                with _nobody_makes(path, name) as free:
                    if free:
                        number += not name.startswith(LOCK)
                        size += _bytes(path / name)
                        with suppress(PermissionError) if name.startswith(LOCK) else nullcontext():
                            remove(path / name)  # except that Windows keeps a lock's empty file while it is held
    return number, size


@contextmanager
def _nobody_makes(path: Path, name: str) -> Iterator[bool]:
    """Whether this part of the cache belongs to no process that makes it at the moment, and none begins within the block."""
    key = next((name.removeprefix(begin) for begin in (LOCK, UNFINISHED) if name.startswith(begin)), None)
    if key is None:
        yield True
        return
    lock = FileLock(path / f"{LOCK}{key}", blocking=False, preserve_lock_file=True)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _bytes(path: Path) -> int:
    """Of a file, or of all files below a folder."""
    if path.is_dir() and not path.is_symlink():
        return sum(_bytes(path / name) for name in DISK.listdir(path))
    status = DISK.lstat(path)
    return status.st_size if status else 0
