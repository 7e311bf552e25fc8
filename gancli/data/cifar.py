"""CIFAR-10 and CIFAR-100 in their binary version: rows of one or two labels and 3 x 32 x 32 bytes (Krizhevsky, 2009).

The files may lie in a folder, or in the archive as it is downloaded. (The "python version" is pickled, which is code, and is
never opened.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gancli.data.arrays import numbered_classes
from gancli.data.paths import open_regular, quoted
from gancli.data.readers.tars import tar_members
from gancli.errors import DatasetError
from gancli.plugin import ImageSet

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["is_cifar", "load_cifar"]

SIDE = 32
PIXELS = 3 * SIDE * SIDE
MAX_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class Layout:
    """Which files hold a split, how many labels come before each picture (the last one counts), and where the names are.

    Attributes:
        classes: how many there are.
        batches: how many files the training split has.
    """

    train: str
    test: str
    labels: int
    names: str
    classes: int
    batches: int


TEN = Layout(r"data_batch_[1-5]\.bin", r"test_batch\.bin", 1, "batches.meta.txt", classes=10, batches=5)
HUNDRED = Layout(r"train\.bin", r"test\.bin", 2, "fine_label_names.txt", classes=100, batches=1)


def is_cifar(names: Collection[str]) -> bool:
    """Whether files of these names are CIFAR in its binary version."""
    return _layout(names) is not None


def load_cifar(path: Path, split: str) -> ImageSet:
    """The pictures ``(n, 3, 32, 32)`` and labels of a split.

    Raises:
        DatasetError: a file is missing, or is no whole number of rows.
    """
    import numpy as np
    import torch

    files = _from_folder(path) if path.is_dir() else _from_tar(path)
    layout = _layout(files)
    wanted = "" if layout is None else layout.train if split == "train" else layout.test
    chosen = sorted(name for name in files if re.fullmatch(wanted, name))
    if layout is None or not chosen:
        raise DatasetError(f"{quoted(path)} holds no {split} batch of CIFAR.", "Get the binary version again.")
    width = layout.labels + PIXELS
    data = b"".join(files[name] for name in chosen)
    if not data or len(data) % width:
        raise DatasetError(
            f"{', '.join(chosen)} in {quoted(path)} hold {len(data):,} bytes, no whole number of rows of {width:,}.",
            "Copy or download it again.",
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, width)
    numbers = rows[:, layout.labels - 1].astype(np.int64)
    if numbers.max() >= layout.classes:
        raise DatasetError(
            f"{', '.join(chosen)} in {quoted(path)} hold the label {numbers.max()}, of {layout.classes} classes.",
            "Copy or download it again.",
        )
    images = torch.from_numpy(rows[:, layout.labels :].reshape(-1, 3, SIDE, SIDE).copy())
    names = tuple(files.get(layout.names, b"").decode(errors="replace").split())
    known, notes = numbered_classes(numbers, names)
    if split == "train" and len(chosen) < layout.batches:
        notes = (f"Only {len(chosen)} of {layout.batches} batches are there: {', '.join(chosen)}.", *notes)
    return ImageSet(images, torch.from_numpy(numbers), known, notes)


def _layout(names: Collection[str]) -> Layout | None:
    for layout in (TEN, HUNDRED):
        if any(re.fullmatch(layout.train, name) for name in names):
            return layout
    return None


def _belongs(name: str) -> bool:
    parts = (TEN.train, TEN.test, HUNDRED.train, HUNDRED.test, re.escape(TEN.names), re.escape(HUNDRED.names))
    return re.fullmatch("|".join(parts), name) is not None


def _from_folder(path: Path) -> dict[str, bytes]:
    files = {}
    for entry in sorted(path.iterdir()):
        if _belongs(entry.name):
            with open_regular(entry) as file:
                files[entry.name] = file.read(MAX_BYTES)
    return files


def _from_tar(path: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for archive, member in tar_members(path):
        name = member.name.rpartition("/")[2]
        file = archive.extractfile(member) if member.isreg() and member.size <= MAX_BYTES and _belongs(name) else None
        if file is not None:
            files[name] = file.read()
    return files
