"""The cache on the disk: decoded images, downloads, features. All of it can be made again.

It lies in ``GANCLI_CACHE``, else ``XDG_CACHE_HOME/gancli``, else ``~/.cache/gancli``.

    pictures/KEY/pixels.bin     uint8 (n, c, h, w), row by row; mapped into memory, never read as a whole
    pictures/KEY/facts.json     written last of all: shape, labels, fingerprint, what was left out
    pictures/.part-KEY/         unfinished; the next process starts over
    pictures/.lock-KEY          a lock, held by whoever decodes
    downloads/NAME/             files of named data sets
    readings/                   features of real images, which gancli-evaluate keeps

A folder gets its name when it is complete.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from gancli.errors import StorageError
from gancli.storage.disk import DISK, explained, remove, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gancli.data.decoding import Flaw
    from gancli.data.source import Watch

READINGS = "readings"
VARIABLE = "GANCLI_CACHE"
UNFINISHED, LOCK = ".part-", ".lock-"
PIXELS, FACTS = "pixels.bin", "facts.json"
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
        held = lock.acquire()
    with held:
        yield


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


def write(
    path: Path, row_bytes: int, images: Iterable[NDArray[np.uint8] | Flaw], names: Sequence[str], watch: Watch
) -> list[tuple[int, str, str]]:
    """Begin a set of decoded images in the folder ``path``, anew; the number, name and flaw of each that is left out.

    For the holder of its lock. What is unfinished has a name of its own, under which nobody looks for it.
    """
    skipped = []
    with explained(path):
        remove(path)
        DISK.mkdir(path)
        needed = len(names) * row_bytes + SPARE_BYTES
        if (free := DISK.free_bytes(path)) < needed:
            raise StorageError(
                f"{len(names):,} images need {needed / 1e6:,.0f} MB in '{path.parent}', where {free / 1e6:,.0f} MB are free.",
                f"Make room (`gancli dataset clear` empties the cache), choose a smaller --image-size, or set {VARIABLE}.",
            )
        descriptor = DISK.create(path / PIXELS)
    try:
        for number, image in enumerate(images):
            if isinstance(image, Exception):
                skipped.append((number, names[number], str(image)))
            else:
                with explained(path):
                    DISK.write(descriptor, memoryview(image.tobytes()))
            watch("decoding images", number + 1, len(names))
        with explained(path):
            DISK.fsync(descriptor)
    finally:
        os.close(descriptor)
    return skipped


def finish(path: Path, target: Path, facts: Facts) -> None:
    """Give the set in the folder ``path`` its name, durably."""
    document = asdict(facts)
    write_atomically(path / FACTS, json.dumps({**document, "sha256": _digest(document)}).encode(), durable=True)
    with explained(target):
        remove(target)
        DISK.rename(path, target)
        DISK.fsync_dir(target.parent)


def finished(path: Path) -> Facts | None:
    """The facts of the finished set at ``path``; None if there is none, or if it was damaged."""
    try:
        state = json.loads((path / FACTS).read_bytes())
        if state.pop("sha256") != _digest(state):
            return None
        facts = TypeAdapter(Facts).validate_python(state)
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
