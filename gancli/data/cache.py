"""The cache on the disk: decoded images, downloads, features. All of it can be made again.

It lies in ``GANCLI_CACHE``, else ``XDG_CACHE_HOME/gancli``, else ``~/.cache/gancli``.

    pictures/KEY/pixels.bin     uint8 (n, c, h, w), row by row; mapped into memory, never read as a whole
    pictures/KEY/facts.json     written last of all: shape, labels, fingerprint, what was left out
    pictures/.part-KEY/         unfinished: the same, with progress.json; whoever needs it next continues it
    pictures/.lock-KEY          a lock, held by whoever decodes
    downloads/NAME/             files of named data sets
    readings/                   features of real images, which gancli-evaluate keeps

``progress.json`` says how many images of the source were dealt with, and how many rows came of them; the rows
are synced before it is written. A folder gets its name when it is complete.
"""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from gancli.errors import StorageError
from gancli.storage.disk import DISK, explained, remove, write_atomically
from gancli.storage.system import open_to_append

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gancli.data.decoding import Flaw
    from gancli.data.source import Watch

READINGS = "readings"
VARIABLE = "GANCLI_CACHE"
UNFINISHED, LOCK = ".part-", ".lock-"
PIXELS, FACTS, PROGRESS = "pixels.bin", "facts.json", "progress.json"
SYNC_SECONDS = 3.0  # at most this much work is lost when the process is killed
SPARE_BYTES = 2**26


def root() -> Path:
    """The folder of the cache, which may not exist yet."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  (Path.expanduser raises)
    if not os.path.isabs(base):  # noqa: PTH117  (a tilde that stayed, or a relative path, which the standard forbids)
        raise StorageError("There is no home folder to keep decoded images in.", f"Name a folder in {VARIABLE}.")
    return Path(base) / "gancli"


def folder(part: str) -> Path:
    """``pictures``, ``downloads`` or ``readings``, made if it is missing."""
    path = root() / part
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True)  # others may make it at the same time
    return path


def downloads(name: str) -> Path:
    """Where the files of a named data set are kept."""
    return root() / "downloads" / name


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        with explained(path):
            yield
    except StorageError as error:
        raise StorageError(error.problem, f"{error.remedy} {VARIABLE} names another place for the cache.") from error


@contextmanager
def locked(key: str) -> Iterator[None]:
    """Within the block no other process decodes the images of ``key``; waits for one that does."""
    lock = FileLock(folder("pictures") / f"{LOCK}{key}", preserve_lock_file=True)
    with _explained(root()):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def clear() -> tuple[int, int]:
    """Empty the cache, except for what is being made, and say how many sets and bytes that were.

    A training that uses it continues: what is mapped stays.
    """
    number = size = 0
    for path in (root() / part for part in ("pictures", "downloads", READINGS)):
        with _explained(path):
            for name in sorted(DISK.listdir(path) if DISK.lstat(path) else [], reverse=True):  # a set before its lock
                key = name.removeprefix(LOCK).removeprefix(UNFINISHED)
                lock = FileLock(path / f"{LOCK}{key}", blocking=False, preserve_lock_file=True)
                try:
                    with nullcontext() if key == name else lock:
                        number += not name.startswith(LOCK)
                        files = [path / name, *(path / name).rglob("*")]
                        size += sum(file.lstat().st_size for file in files if not file.is_dir())
                        with suppress(PermissionError) if name.startswith(LOCK) else nullcontext():
                            remove(path / name)  # except that Windows keeps a lock's empty file while it is held
                except Timeout:
                    continue
    return number, size


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a finished set of decoded images."""

    shape: tuple[int, int, int, int]  # (n, c, h, w)
    labels: tuple[int, ...] | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    skipped: tuple[tuple[int, str, str], ...]  # number in the source, name and flaw of each image that was left out
    fingerprint: str  # see gancli.data.fingerprint
    unlabelled: tuple[str, ...]  # see gancli.data.Loaded


@dataclass
class Unfinished:
    """A set of decoded images in the making, for the holder of its lock."""

    path: Path
    row_shape: tuple[int, int, int]  # (c, h, w)
    done: int = 0  # images of the source that were dealt with
    rows: int = 0  # those of them that were written
    skipped: list[tuple[int, str, str]] = field(default_factory=list)  # the others

    def write(self, images: Iterable[NDArray[np.uint8] | Flaw], names: Sequence[str], watch: Watch) -> None:
        """Append the images that are not done yet, or why one is left out. What was written is kept however it ends."""
        row_bytes = math.prod(self.row_shape)
        needed = (len(names) - self.rows) * row_bytes + SPARE_BYTES
        with explained(self.path):
            if (free := DISK.free_bytes(self.path)) < needed:
                where = f"in '{self.path.parent}', where {free / 1e6:,.0f} MB are free"
                raise StorageError(
                    f"{len(names):,} images need {needed / 1e6:,.0f} MB {where}.",
                    f"Make room (`gancli dataset clear` empties the cache), choose a smaller --image-size, or set {VARIABLE}.",
                )
            descriptor = open_to_append(self.path / PIXELS)
            os.ftruncate(descriptor, self.rows * row_bytes)
            os.lseek(descriptor, 0, os.SEEK_END)
        synced = time.monotonic()
        try:
            for image in images:
                if isinstance(image, Exception):
                    self.skipped.append((self.done, names[self.done], str(image)))
                else:
                    with explained(self.path):
                        DISK.write(descriptor, memoryview(image.tobytes()))
                    self.rows += 1
                self.done += 1
                watch("decoding images", self.done, len(names))
                if time.monotonic() - synced > SYNC_SECONDS:
                    self._sync(descriptor)
                    synced = time.monotonic()
        finally:
            try:
                self._sync(descriptor)
            finally:
                os.close(descriptor)

    def _sync(self, descriptor: int) -> None:
        with explained(self.path):
            DISK.fsync(descriptor)
        state = {"row_shape": self.row_shape, "done": self.done, "rows": self.rows, "skipped": self.skipped}
        write_atomically(self.path / PROGRESS, json.dumps(state).encode())

    def finish(self, target: Path, facts: Facts) -> None:
        """Give the set its name, durably."""
        document = asdict(facts)
        write_atomically(self.path / FACTS, json.dumps({**document, "sha256": _digest(document)}).encode(), durable=True)
        with explained(target):
            DISK.unlink(self.path / PROGRESS)
            remove(target)
            DISK.rename(self.path, target)
            DISK.fsync_dir(target.parent)


def unfinished(target: Path, row_shape: tuple[int, int, int]) -> Unfinished:
    """The set that is to be finished as ``target``: continued, or anew if what is there does not fit or is damaged."""
    path = target.with_name(f"{UNFINISHED}{target.name}")
    try:
        state = json.loads((path / PROGRESS).read_bytes())
        skipped = [(index, name, flaw) for index, name, flaw in state["skipped"]]
        started = Unfinished(path, row_shape, state["done"], state["rows"], skipped)
        stored = (path / PIXELS).stat().st_size
        if tuple(state["row_shape"]) == row_shape and stored >= started.rows * math.prod(row_shape):
            return started
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with explained(path):
        remove(path)
        DISK.mkdir(path)
    return Unfinished(path, row_shape)


def finished(path: Path) -> Facts | None:
    """The facts of the finished set at ``path``; None if there is none, or if it was damaged."""
    try:
        state = json.loads((path / FACTS).read_bytes())
        if state.pop("sha256") != _digest(state):
            return None
        facts = Facts(**{key: _tuples(value) for key, value in state.items()})
        return facts if (path / PIXELS).stat().st_size == math.prod(facts.shape) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def mapped(path: Path, shape: tuple[int, int, int, int]) -> Any:  # noqa: ANN401  (a tensor)
    """The pixels of the set at ``path``: a tensor whose memory is the file's own, read from the disk when touched.

    It must not be written to: the memory is protected, and a write would end the process.
    """
    import numpy as np
    import torch

    with explained(path):
        pixels = np.memmap(path / PIXELS, np.uint8, "r", shape=shape)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(pixels)


def _digest(document: dict[str, Any]) -> str:
    return sha256(json.dumps(document).encode()).hexdigest()


def _tuples(value: Any) -> Any:  # noqa: ANN401  (JSON)
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
