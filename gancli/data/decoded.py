"""Decoded images on the disk: written row by row, resumed after an interruption, mapped into memory when complete.

While it is made, ``progress.json`` says how many images of the source were dealt with, and how many rows that are safe
on the disk came of it; the rows are synced before it says so. ``facts.json`` is written last, and then the folder gets its
name: whoever finds it, finds it complete.
"""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gancli.errors import StorageError
from gancli.storage.disk import DISK, explained, remove, write_atomically
from gancli.storage.system import open_to_append

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Facts", "Unfinished", "finished", "mapped", "unfinished"]

DIGEST = "sha256"
PIXELS, FACTS, PROGRESS = "pixels.bin", "facts.json", "progress.json"
SYNC_SECONDS = 3.0
"""At most this much work is lost when the process is killed."""
SPARE_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a finished set of decoded images.

    Attributes:
        shape: ``(n, c, h, w)``.
        skipped: number in the source, name and flaw of each image that was left out.
        fingerprint: of pixels and labels, see :func:`gancli.data.fingerprint`.
        unlabelled: see :class:`gancli.data.Loaded`.
    """

    shape: tuple[int, int, int, int]
    labels: tuple[int, ...] | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    skipped: tuple[tuple[int, str, str], ...]
    fingerprint: str
    unlabelled: tuple[str, ...] = ()


@dataclass
class Unfinished:
    """A set in the making, for the holder of its lock.

    Attributes:
        path: its folder.
        row_shape: ``(c, h, w)``.
        done: images of the source that were dealt with.
        rows: those of them that were written.
        skipped: see :class:`Facts`.
    """

    path: Path
    row_shape: tuple[int, int, int]
    done: int = 0
    rows: int = 0
    skipped: list[tuple[int, str, str]] = field(default_factory=list)
    _synced: float = 0.0
    _descriptor: int = -1

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within the block rows can be appended; afterwards, however it ends, what is there is safe."""
        with explained(self.path):
            self._descriptor = open_to_append(self.path / PIXELS)
            os.ftruncate(self._descriptor, self.rows * math.prod(self.row_shape))
            os.lseek(self._descriptor, 0, os.SEEK_END)
        self._synced = time.monotonic()
        try:
            yield
        finally:
            try:
                self._sync()
            finally:
                os.close(self._descriptor)

    def append(self, pixels: NDArray[np.uint8]) -> None:
        """Add the next image of the source."""
        with explained(self.path):
            DISK.write(self._descriptor, memoryview(pixels.tobytes()))
        self.rows += 1
        self._advance()

    def skip(self, name: str, flaw: str) -> None:
        """Leave the next image of the source out."""
        self.skipped.append((self.done, name, flaw))
        self._advance()

    def finish(self, target: Path, facts: Facts) -> None:
        """Give the set its name, durably."""
        document = asdict(facts)
        write_atomically(self.path / FACTS, json.dumps({**document, DIGEST: _digest(document)}).encode(), durable=True)
        with explained(target):
            DISK.unlink(self.path / PROGRESS)
            remove(target)
            DISK.rename(self.path, target)
            DISK.fsync_dir(target.parent)

    def refuse_full_disk(self, total: int) -> None:
        """Find out beforehand whether ``total`` images fit.

        Raises:
            StorageError: they do not.
        """
        needed = (total - self.rows) * math.prod(self.row_shape) + SPARE_BYTES
        with explained(self.path):
            free = DISK.free_bytes(self.path)
        if free < needed:
            raise StorageError(
                f"{total:,} images need {needed / 1e6:,.0f} MB in '{self.path.parent}', where {free / 1e6:,.0f} MB are free.",
                "Make room (`gancli dataset clear` empties the cache), choose a smaller --image-size, or set GANCLI_CACHE.",
            )

    def _advance(self) -> None:
        self.done += 1
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        with explained(self.path):
            DISK.fsync(self._descriptor)
        state = {"row_shape": self.row_shape, "done": self.done, "rows": self.rows, "skipped": self.skipped}
        write_atomically(self.path / PROGRESS, json.dumps(state).encode())
        self._synced = time.monotonic()


def unfinished(path: Path, row_shape: tuple[int, int, int]) -> Unfinished:
    """The set in the making at ``path``, begun anew if what is there is of another shape or cannot be used."""
    try:
        state = _document(path / PROGRESS)
        begun = Unfinished(
            path, row_shape, state["done"], state["rows"], [(i, name, flaw) for i, name, flaw in state["skipped"]]
        )
        stored = (path / PIXELS).stat().st_size
        if tuple(state["row_shape"]) == row_shape and stored >= begun.rows * math.prod(row_shape):
            return begun
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with explained(path):
        remove(path)
        DISK.mkdir(path)
    return Unfinished(path, row_shape)


def finished(path: Path) -> Facts | None:
    """The facts of the finished set at ``path``; None if there is none, or if it was damaged."""
    try:
        state = _document(path / FACTS)
        if state.pop(DIGEST) != _digest(state):
            return None
        one, two, three, four = state["shape"]
        facts = Facts(
            (one, two, three, four),
            None if state["labels"] is None else tuple(state["labels"]),
            tuple(state["class_names"]),
            tuple(state["notes"]),
            tuple((i, name, flaw) for i, name, flaw in state["skipped"]),
            state["fingerprint"],
            tuple(state["unlabelled"]),
        )
        return facts if (path / PIXELS).stat().st_size == math.prod(facts.shape) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mapped(path: Path, shape: tuple[int, int, int, int]) -> Any:  # noqa: ANN401  (a tensor)
    """The pixels of the set at ``path`` as a tensor that the operating system reads from the disk when it is touched.

    It must not be written to: the memory is protected, and a write would end the process. The memory is the
    file's own, and can be dropped whenever the room is needed for something else.
    """
    import numpy as np
    import torch

    with explained(path):
        pixels = np.memmap(path / PIXELS, np.uint8, "r", shape=shape)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(pixels)


def _digest(document: Mapping[str, Any]) -> str:
    return sha256(json.dumps(document).encode()).hexdigest()


def _document(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_bytes())
    if not isinstance(document, dict):
        raise TypeError
    return document
