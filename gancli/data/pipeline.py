"""All pictures of a collection, decoded in parallel, in order, in bounded memory.

Threads, not processes: Pillow releases the interpreter's lock while it decodes and scales, a thread starts in no time and
needs no copy of what it returns, and Ctrl-C ends them all.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING

from gancli.data.decoding import Header, decode, header, picky_pillow
from gancli.data.readers.reader import Flaw, read_all, reading
from gancli.storage.system import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from gancli.data.fit import Fit
    from gancli.data.readers.reader import Reader
    from gancli.data.watch import Watch

__all__ = ["Decoded", "decode_all", "survey"]

CHUNK_PICTURES, CHUNK_BYTES = 32, 2**22
"""A thread gets this much at a time: so many pictures, or so many encoded bytes and the one picture that exceeds them."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One picture: its pixels ``(c, h, w)``, or the reason why there are none."""

    index: int
    pixels: NDArray[np.uint8] | None
    flaw: str = ""


def survey(reader: Reader, watch: Watch, most: int | None = None) -> list[Header | str]:
    """For each picture, or the first so many, its header, or what is wrong with it. No pixel is decoded.

    Raises:
        DatasetError: the collection itself cannot be read.
    """
    total = len(reader.items())
    found: list[Header | str] = []
    with picky_pillow():
        for opened in islice(reader.each(), most):
            found.append(reading(opened, header))
            watch("looking at pictures", len(found), total)
    return found


def decode_all(reader: Reader, fit: Fit, start: int = 0, workers: int | None = None) -> Iterator[Decoded]:
    """Every picture from number ``start`` on, in order.

    Args:
        reader: the collection.
        fit: what all are made into.
        start: how many to leave out.
        workers: threads; by default one per core that this process may use.

    Raises:
        DatasetError: the collection itself cannot be read.
    """
    workers = workers or usable_cores()
    pool = ThreadPoolExecutor(workers, "gancli-decode")
    waiting: deque[Future[list[Decoded]]] = deque()
    try:
        with picky_pillow():
            for chunk in _chunks(reader, start):
                waiting.append(pool.submit(_decode_chunk, chunk, fit))
                if len(waiting) > 2 * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _chunks(reader: Reader, start: int) -> Iterator[list[tuple[int, bytes | str]]]:
    """Encoded pictures, or why they cannot be read, a handful at a time."""
    chunk: list[tuple[int, bytes | str]] = []
    size = 0
    for opened in reader.each(start):
        data = reading(opened, read_all)
        chunk.append((opened.index, data))
        size += len(data)
        if len(chunk) == CHUNK_PICTURES or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _decode_chunk(chunk: list[tuple[int, bytes | str]], fit: Fit) -> list[Decoded]:
    return [_decoded(index, data, fit) for index, data in chunk]


def _decoded(index: int, data: bytes | str, fit: Fit) -> Decoded:
    if isinstance(data, str):
        return Decoded(index, None, data)
    try:
        return Decoded(index, decode(BytesIO(data), fit))
    except Flaw as flaw:
        return Decoded(index, None, str(flaw))
