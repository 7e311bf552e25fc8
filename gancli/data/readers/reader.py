"""The interface of all readers: a catalogue of named pictures, and their bytes, one after the other."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, ClassVar, TypeVar

from gancli.data.paths import open_regular
from gancli.data.readers.labels import Labels, labels_from_names, sidecar_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["MAX_FILE_BYTES", "Flaw", "Item", "Opened", "Reader", "evenly", "in_turn", "read_all", "reading", "sampled"]

SAMPLES, SAMPLE_BYTES = 64, 2**14

T = TypeVar("T")

MAX_FILE_BYTES = 256 * 2**20
"""The largest encoded picture that is read."""


class Flaw(Exception):  # noqa: N818  (a property of one picture, which is counted and skipped, not a failure of the program)
    """Why one picture cannot be used, as the end of a sentence: ``truncated``."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a collection, unread.

    Attributes:
        name: below the collection, with ``/`` between the parts.
        size: encoded bytes, as far as its container says.
        stamp: something that changes when the content does: a time, or a checksum that the container holds.
    """

    name: str
    size: int
    stamp: str


@dataclass(frozen=True, slots=True)
class Opened:
    """One picture, ready to be read before the next is asked for; or why it is not."""

    index: int
    stream: BinaryIO | None
    flaw: str = ""


class Reader(ABC):
    """A collection of pictures at ``path``.

    Attributes:
        notes: what the user should know about the catalogue, one sentence each; complete once ``items`` was called.
    """

    kind: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []

    @abstractmethod
    def items(self) -> Sequence[Item]:
        """The catalogue, in an order that depends on nothing but the content.

        Raises:
            DatasetError: it cannot be read.
        """

    @abstractmethod
    def each(self, start: int = 0) -> Iterator[Opened]:
        """The pictures in the order of the catalogue, from number ``start`` on. Each is closed when the next is opened."""

    def labels(self) -> Labels | None:
        """The class of each picture: from the collection's ``dataset.json``, else from its folders; None if there are none."""
        top, sidecar = self._found_sidecar
        labels, note = labels_from_names([item.name for item in self.items()], sidecar, top)
        if note and note not in self.notes:
            self.notes.append(note)
        return labels

    def sidecar(self, top: str) -> bytes | None:  # noqa: ARG002  (for subclasses)
        """The content of ``dataset.json`` in the folder ``top`` (empty, or with a ``/`` at its end), if it is there."""
        return None

    @cached_property
    def _found_sidecar(self) -> tuple[str, bytes | None]:
        """The folder and the content of the uppermost ``dataset.json``."""
        for top in sidecar_folders([item.name for item in self.items()]):
            if (content := self.sidecar(top)) is not None:
                return top, content
        return "", None

    def stamp(self) -> str:
        """SHA-256, in hex, that changes when a picture is added, removed, renamed or replaced (not when all are moved)."""
        state = sha256(f"{self.kind}\n".encode())
        for item in self.items():
            state.update(f"{item.name}\0{item.size}\0{item.stamp}\n".encode(errors="surrogateescape"))
        state.update(self._found_sidecar[1] or b"")
        state.update(self.sample())
        return state.hexdigest()

    def sample(self) -> bytes:
        """Some of the content, for :meth:`stamp`, where names, sizes and times alone could be those of other pictures."""
        return b""


def read_all(stream: BinaryIO) -> bytes:
    """Everything in ``stream``.

    Raises:
        Flaw: that is nothing, or more than a picture may be.
    """
    data = stream.read(MAX_FILE_BYTES + 1)
    if not data:
        raise Flaw("empty")
    if len(data) > MAX_FILE_BYTES:
        raise Flaw(f"larger than {MAX_FILE_BYTES >> 20} MiB")
    return data


def sampled(path: Path, blocks: int = SAMPLES) -> bytes:
    """A digest of a file's size and of so many blocks, evenly spread over it; of all of it where it is small.

    It tells a file from another one of the same name, size and time: archives are made with times that mean nothing.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        state = sha256(str(size).encode())
        for place in evenly(max(1, size - SAMPLE_BYTES + 1), blocks):
            file.seek(place)
            state.update(file.read(SAMPLE_BYTES))
    return state.digest()


def evenly(number: int, most: int) -> list[int]:
    """At most so many of the whole numbers from 0 to ``number - 1``, evenly spread, with the first and the last.

    >>> evenly(3, 8), evenly(100, 4)
    ([0, 1, 2], [0, 33, 66, 99])
    """
    chosen = min(number, most)
    return [i * (number - 1) // max(1, chosen - 1) for i in range(chosen)]


def in_turn(indices: range, open_: Callable[[int], BinaryIO]) -> Iterator[Opened]:
    """Pictures that can be opened one by one; each is closed when the next is opened."""
    for index in indices:
        try:
            stream = open_(index)
        except Flaw as flaw:
            yield Opened(index, None, str(flaw))
            continue
        with stream:
            yield Opened(index, stream)


def reading(opened: Opened, read: Callable[[BinaryIO], T]) -> T | str:
    """What ``read`` makes of a picture's stream, or what is wrong with the picture: a container's stream raises anything."""
    if opened.stream is None:
        return opened.flaw
    try:
        return read(opened.stream)
    except Flaw as flaw:
        return str(flaw)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever the archive's compression raises)
        return f"unreadable: {error}"
