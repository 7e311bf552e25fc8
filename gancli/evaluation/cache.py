"""What was read in real pictures, kept for the next time, beside the decoded pictures in the cache.

A file is named after the pictures and the extractor, so that it can never be taken for another. Everything here may be deleted
at any time; where nothing can be written, or what is there is damaged, the pictures are read again.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from gancli.data.cache import READINGS, root
from gancli.errors import GancliError
from gancli.metrics.extractor import Reading
from gancli.storage.disk import make_directories, write_atomically
from gancli.storage.tensors import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gancli.metrics.extractor import Extractor

__all__ = ["cached", "folder"]

MOST_BYTES = 256 * 2**20
"""Together; beyond that the files that were not read for the longest time go."""


def folder() -> Path | None:
    """Where readings are kept: in the cache, see :mod:`gancli.data.cache`; None where there is no place for one."""
    try:
        return root() / READINGS
    except GancliError:
        return None


def cached(extractor: Extractor, pictures: str, compute: Callable[[], Reading]) -> Reading:
    """The reading of certain pictures.

    Args:
        extractor: who reads.
        pictures: which pictures: their fingerprint, and whatever chose from them.
        compute: reads them.
    """
    place = folder()
    if place is None:
        return compute()
    path = place / f"{_key(extractor, pictures)}.safetensors"
    found = _load(path)
    if found is None:
        found = compute()
        _store(path, found)
    return found


def _key(extractor: Extractor, pictures: str) -> str:
    state = sha256(f"{extractor.digest} {pictures}".encode())
    for name, tensor in sorted(extractor.state_dict().items()):
        state.update(name.encode())
        state.update(tensor.cpu().contiguous().numpy().data)
    return state.hexdigest()[:40]


def _load(path: Path) -> Reading | None:
    try:
        tensors = decode(path.read_bytes(), f"'{path}'")
        features, classes = tensors["features"], tensors.get("classes")
        os.utime(path)
    except (OSError, GancliError, KeyError):
        return None
    whole = features.ndim == 2 and len(features) and (classes is None or len(classes) == len(features))  # noqa: PLR2004  (rows of features)
    return Reading(features, None if classes is None else classes.long()) if whole else None


def _store(path: Path, reading: Reading) -> None:
    classes = {} if reading.classes is None else {"classes": reading.classes.int()}
    try:
        make_directories(path.parent)
        write_atomically(path, encode({"features": reading.features, **classes}))
        _evict(path.parent)
    except (OSError, GancliError):
        return


def _evict(place: Path) -> None:
    """Remove what is older than the newest 256 MiB, and what a killed process left."""
    total = 0
    for path in sorted(place.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)
