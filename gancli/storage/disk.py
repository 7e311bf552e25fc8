"""Every way in which gancli writes to the disk, in one small class, so that each operation can be made to fail.

What a file system promises, where :mod:`gancli.storage.system` says nothing else, and what is built on it here:

- ``write`` promises nothing: the bytes are in memory until ``fsync`` returned. A failed ``fsync`` is final: the kernel
  reports the loss once and then forgets it, so the file is given up.
- Making, renaming or removing a name changes its directory, which has to be synced by itself (``fsync_dir``).
- ``rename`` is atomic for everybody who looks. That is why everything is written beside its target, on the same file
  system, and renamed when it is complete.

What fails is a ``StorageError``, which says what to do.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from gancli.errors import StorageError
from gancli.storage import system

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY, TRASH = ".tmp-", ".trash-"
"""How the names of everything unfinished, and half removed, begin. Whoever reads, ignores them."""


class Storage:
    """The primitive operations. Each fails by :class:`OSError` and by nothing else; a subclass may let it fail."""

    mkdir = staticmethod(Path.mkdir)
    create = staticmethod(system.create)
    fsync = staticmethod(os.fsync)  # to be called once: a failure is final
    close = staticmethod(os.close)  # which may report an error of an earlier write
    fsync_dir = staticmethod(system.sync_directory)
    rename = staticmethod(system.replace)
    unlink = staticmethod(Path.unlink)  # of a symbolic link the link, never what it points to
    rmdir = staticmethod(Path.rmdir)
    open = staticmethod(partial(system.open_to_read, follow=False))
    fstat = staticmethod(os.fstat)
    read = staticmethod(os.read)

    def write(self, descriptor: int, data: bytes | memoryview) -> None:
        """Append all of ``data``, however many calls the kernel needs for it."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def listdir(self, path: Path) -> list[str]:
        """The names in a directory, sorted."""
        return sorted(os.listdir(path))  # noqa: PTH208  (names, not paths)

    def lstat(self, path: Path) -> os.stat_result | None:
        """What a name stands for, without following a link; None if there is no such name."""
        try:
            return path.lstat()
        except FileNotFoundError:
            return None

    def free_bytes(self, path: Path) -> int:
        """How much an ordinary user can still write to the file system of ``path``."""
        return shutil.disk_usage(path).free


DISK = Storage()  # the real one


def write_atomically(
    path: Path, data: bytes, storage: Storage = DISK, *, durable: bool = False, through: Path | None = None
) -> None:
    """Make ``path`` hold ``data``; whoever reads it meanwhile sees the old content or the new, complete.

    If it cannot be written, the old content is still there (or the new, if only the very last sync failed), and nothing
    else is. Its directory exists; if ``durable``, the new content would survive a power cut. A killed process leaves a
    file of :func:`remove_leftovers` beside it, or in the directory ``through``.
    """
    scratch = (through or path.parent) / f"{TEMPORARY}{token_hex(8)}"
    with explained(path):
        try:
            write_file(scratch, data, storage, durable=durable)
            storage.rename(scratch, path)
        except BaseException:
            with suppress(OSError):
                storage.unlink(scratch)
            raise
        if durable:
            storage.fsync_dir(path.parent)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """The name of a file or folder beside ``target`` that takes its place when all went well, and is gone when not.

    At every moment there is the old one or the new one; of two folders, at all moments but one. What is there is durable.
    """
    scratch = target.with_name(f"{TEMPORARY}{token_hex(8)}")
    with explained(target):
        try:
            yield scratch
            for path in (scratch, *scratch.rglob("*")):
                if path.is_dir():
                    DISK.fsync_dir(path)
                else:
                    with path.open("rb") as file:
                        os.fsync(file.fileno())
            if not target.is_dir() or target.is_symlink():
                DISK.rename(scratch, target)
            elif not scratch.is_dir():  # the user's folder is not gancli's to delete
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
            else:
                old = target.with_name(f"{TRASH}{token_hex(8)}")
                DISK.rename(target, old)
                try:
                    DISK.rename(scratch, target)
                except BaseException:
                    DISK.rename(old, target)
                    raise
                remove(old)
        finally:
            remove(scratch)  # what is left of it: nothing, or what failed
        DISK.fsync_dir(target.parent)


def refuse_missing_parent(target: Path) -> None:
    """Say so before anything is computed."""
    with explained(target.parent):
        if not stat.S_ISDIR(target.parent.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory")


def write_file(path: Path, data: bytes, storage: Storage = DISK, *, durable: bool) -> None:
    """Write a file that was not there before. Its name is durable only after an ``fsync_dir`` of its directory."""
    descriptor = storage.create(path)
    try:
        storage.write(descriptor, data)
        if durable:
            storage.fsync(descriptor)
    finally:
        storage.close(descriptor)


def make_directories(path: Path, storage: Storage = DISK) -> None:
    """Make ``path`` and its missing parents, each durable before the next is made in it.

    The name of the deepest one that is already there is synced too: a process killed right here may have made it.
    """
    if storage.lstat(path) is None:
        make_directories(path.parent, storage)
        storage.mkdir(path)
        storage.fsync_dir(path.parent)
    else:
        with suppress(PermissionError):  # a parent that may not be read is somebody else's, and so older than this run
            storage.fsync_dir(path.parent)


def remove(path: Path, storage: Storage = DISK) -> None:
    """Remove a file, a link or a directory with all that is in it, never following a link."""
    status = storage.lstat(path)
    if status is None:
        return
    if not stat.S_ISDIR(status.st_mode):
        storage.unlink(path)
        return
    for name in storage.listdir(path):
        remove(path / name, storage)
    storage.rmdir(path)


def remove_leftovers(directory: Path, storage: Storage = DISK) -> None:
    """Remove what a killed process left in a directory of this one's, unless somebody still reads it."""
    for name in storage.listdir(directory) if storage.lstat(directory) else []:
        if name.startswith((TEMPORARY, TRASH)):
            try:
                remove(directory / name, storage)
            except OSError as error:
                if not system.is_in_use(error):
                    raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Within the block an :class:`OSError` becomes a :class:`StorageError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise explain(error, path) from error


def explain(error: OSError, path: Path) -> StorageError:
    """The failure of an operation in words that say what to do.

    >>> from pathlib import Path
    >>> print(explain(OSError(errno.EROFS, "Read-only file system"), Path("runs/x")))
    'runs/x' is on a read-only file system. Choose a place that can be written to, or remount it.
    """
    in_use = getattr(error, "winerror", None) == system.IN_USE
    problem, remedy = _IN_USE if in_use else _WORDS.get(error.errno or 0, _OTHER)
    return StorageError(problem.format(path=path, reason=error.strerror or error), remedy)


_OTHER = ("'{path}' cannot be used: {reason}.", "Check the path and the file system, or choose another place.")
_IN_USE = ("Another program has '{path}' open.", "Close it (a viewer, or a training that uses it), and try again.")
_WORDS = {
    errno.ENOSPC: (
        "The disk is full: no space, or no inodes, are left for '{path}'.",
        "Make room (df -h shows the space, df -i the inodes), or choose another place.",
    ),
    errno.EDQUOT: (
        "Your disk quota is used up: '{path}' does not fit.",
        "Make room (quota -s shows it), or choose another place.",
    ),
    errno.EROFS: ("'{path}' is on a read-only file system.", "Choose a place that can be written to, or remount it."),
    errno.EACCES: (
        "Permission denied for '{path}'.",
        "Choose a place that is yours, or change its owner or mode (ls -ld shows them).",
    ),
    errno.ENOENT: ("'{path}' does not exist.", "Check the spelling, or make the directory first (mkdir -p)."),
    errno.EEXIST: ("'{path}' is already there.", "Choose another name, or move it away."),
    errno.ENOTDIR: ("A part of '{path}' is a file where a directory is needed.", "Choose another path, or move the file."),
    errno.EISDIR: ("'{path}' is a directory where a file is needed.", "Choose the name of a file, or move the directory away."),
}
_WORDS |= {errno.EPERM: _WORDS[errno.EACCES], errno.ENOTEMPTY: _WORDS[errno.EEXIST]}
