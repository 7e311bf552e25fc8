"""CIFAR's binary version: rows of one or two labels and 3 x 32 x 32 bytes, in files of a folder or of the published archive
(Krizhevsky, 2009, "Learning multiple layers of features from tiny images"). Its "python version" is pickled, which is code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gancli.data.arrays import COPY_AGAIN, notes_on_classes
from gancli.data.paths import quoted
from gancli.errors import DatasetError
from gancli.plugin import ImageSet

if TYPE_CHECKING:
    from gancli.data.collection import FileSource

SIDE = 32


class Cifar(NamedTuple):
    """A version of CIFAR."""

    train: str  # pattern of the files
    test: str
    names: str  # the file with the names of the classes
    labels: int  # before each image, of which the last one counts
    classes: int
    batches: int


VERSIONS = (
    Cifar(r"data_batch_[1-5]\.bin", r"test_batch\.bin", "batches.meta.txt", labels=1, classes=10, batches=5),
    Cifar(r"train\.bin", r"test\.bin", "fine_label_names.txt", labels=2, classes=100, batches=1),
)


def load(source: FileSource, split: str) -> ImageSet:
    """The images ``(n, 3, 32, 32)`` and labels of a split.

    Raises:
        DatasetError: files are missing or damaged.
    """
    import torch

    uppermost_last = sorted(source.files, key=lambda item: -item.name.count("/"))
    files = {item.name.rpartition("/")[2]: item for item in uppermost_last}
    version = next(one for one in VERSIONS if any(re.fullmatch(one.train, name) for name in files))
    wanted = version.train if split == "train" else version.test
    chosen = sorted(name for name in files if re.fullmatch(wanted, name))
    if not chosen:
        raise DatasetError(f"{quoted(source.path)} holds no {split} batch of CIFAR.", "Get the binary version again.")
    width = version.labels + 3 * SIDE**2
    data = b"".join(source.read(files[name]) for name in chosen)
    listed = f"{', '.join(chosen)} in {quoted(source.path)}"
    if not data or len(data) % width:
        raise DatasetError(f"{listed} hold {len(data):,} bytes, not a whole number of rows of {width:,}.", COPY_AGAIN)
    rows = np.frombuffer(data, np.uint8).reshape(-1, width)
    labels = rows[:, version.labels - 1].astype(np.int64)
    if labels.max() >= version.classes:
        raise DatasetError(f"{listed} hold the label {labels.max()}, of {version.classes} classes.", COPY_AGAIN)
    names = source.read(files[version.names]).decode(errors="replace").split() if version.names in files else []
    classes = max(int(labels.max()) + 1, len(names))
    known = tuple(names) if len(names) == classes else tuple(map(str, range(classes)))
    few = split == "train" and len(chosen) < version.batches
    notes = (f"Only {len(chosen)} of {version.batches} batches are there: {', '.join(chosen)}.",) if few else ()
    images = torch.from_numpy(rows[:, version.labels :].reshape(-1, 3, SIDE, SIDE).copy())
    return ImageSet(images, torch.from_numpy(labels), known, (*notes, *notes_on_classes(labels.tolist(), known)))
