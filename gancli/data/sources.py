"""IDX files at a user's own path: one file, or a folder that holds such files under their well-known names."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from gancli.data.arrays import numbered_classes, without_labels
from gancli.data.idx import COMPRESSIONS, read_idx
from gancli.data.paths import count, quoted, unreadable, visible
from gancli.errors import DatasetError
from gancli.plugin import ImageSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["find_images", "find_labels", "has_idx_name", "load_pictures", "refuse_split", "slug", "title"]

IMAGES_NAME = re.compile(r"(?P<plain>(?P<stem>.*)images(?P<dot>[-.])idx[34]-ubyte)(?P<end>\.gz|\.xz)?", re.DOTALL)
SPLIT_WORD = re.compile(r"(?<![a-z])(train|t10k|test)(?![a-z])")
WELL_KNOWN = {"train": "train-", "test": "t10k-"}
MAX_CHANNELS = 4


def find_images(path: Path, split: str) -> Path:
    """The IDX file of pictures that ``path`` means: itself, or the one of ``split`` in that folder.

    Raises:
        DatasetError: it does not exist, or the folder holds no such file, or several and none with the well-known name.
    """
    refuse_split(split)
    try:
        with os.scandir(path) as entries:
            return path / _choose(path, list(entries), split)
    except NotADirectoryError:
        return _itself(path, split)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def refuse_split(split: str) -> None:
    """Refuse a split that is neither ``train`` nor ``test``.

    Raises:
        DatasetError: it is another.
    """
    if split not in WELL_KNOWN:
        raise DatasetError(f"There is no split '{split}'.", f"Choose one of {', '.join(WELL_KNOWN)}.")


def has_idx_name(name: str) -> bool:
    """Whether a file's name is that of pictures in IDX, such as ``train-images-idx3-ubyte.gz``."""
    return IMAGES_NAME.fullmatch(name) is not None


def find_labels(images: Path) -> Path | None:
    """The labels beside ``images``, by their well-known name: ``train-images-idx3-ubyte`` -> ``train-labels-idx1-ubyte``."""
    name = IMAGES_NAME.fullmatch(images.name)
    if name is None:
        return None
    ends = (name["end"] or "", *COMPRESSIONS)
    beside = (images.with_name(f"{name['stem']}labels{name['dot']}idx1-ubyte{end}") for end in ends)
    return next((labels for labels in beside if labels.is_file()), None)


def load_pictures(images: Path, labels: Path | None) -> ImageSet:
    """Pictures ``(n, h, w)`` or ``(n, h, w, c)`` from one IDX file, and their labels ``(n,)``, if any, from another.

    Raises:
        DatasetError: a file is missing or broken, is not what it is taken for, or there is not one label per picture.
    """
    import torch

    pixels = torch.from_numpy(_channels_first(read_idx(images), images))
    if labels is None:
        return without_labels(pixels)
    numbers = _one_each(read_idx(labels), labels, len(pixels)).astype("int64")
    return ImageSet(pixels, torch.from_numpy(numbers), *numbered_classes(numbers))


def title(images: Path) -> str:
    """What to call the pictures in this file: by its own name if it says something, else by its folder's.

    >>> from pathlib import Path
    >>> title(Path("/data/Fashion MNIST/train-images-idx3-ubyte.gz")), title(Path("emnist-letters-test-images-idx3-ubyte"))
    ('fashion-mnist', 'emnist-letters')
    """
    name = IMAGES_NAME.fullmatch(images.name)
    stem = name["stem"] if name else images.name.split(".")[0]
    own = slug(SPLIT_WORD.sub("", stem))
    return own or slug(images.absolute().parent.name) or "images"


def slug(text: str) -> str:
    """A short name for run directories.

    >>> slug("My Photos (2024)")
    'my-photos-2024'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]


def _split_of(name: str) -> str | None:
    """The split that a file's name speaks of, if any."""
    word = SPLIT_WORD.search(name)
    return word and ("train" if word[1] == "train" else "test")


def _itself(path: Path, split: str) -> Path:
    if split == "test" and _split_of(path.name) != split:
        raise DatasetError(
            f"{quoted(path)} is one file, without a test split.", "Give a folder that holds the test pictures too."
        )
    return path


def _choose(folder: Path, entries: list[os.DirEntry[str]], split: str) -> str:
    """The name of the pictures of ``split`` in ``folder``; of several compressions, the quickest to read."""
    names = [name for entry in entries if (name := IMAGES_NAME.fullmatch(entry.name))]
    if not names:
        raise DatasetError(f"{quoted(folder)} holds no IDX file of pictures.", "Give the path of the file itself.")
    for fits in _preferences(split):
        chosen = [name for name in names if fits(name["stem"])]
        if len({name["plain"] for name in chosen}) == 1:
            return min(name[0] for name in chosen)
        if chosen:
            raise _not_one(folder, split, chosen)
    raise _not_one(folder, split, names)


def _preferences(split: str) -> list[Callable[[str], bool]]:
    """What the part of a name before ``images`` may be, best first. One that names no split is to train on."""
    known = [lambda stem: stem == WELL_KNOWN[split], lambda stem: _split_of(stem) == split]
    return [*known, lambda stem: _split_of(stem) is None] if split == "train" else known


def _not_one(folder: Path, split: str, names: list[re.Match[str]]) -> DatasetError:
    listed = ", ".join(sorted(visible(name[0]) for name in names)[:10])
    return DatasetError(
        f"{quoted(folder)} does not hold exactly one file of {split} pictures, but {listed}.",
        "Give the path of the file itself.",
    )


def _channels_first(pixels: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    """``(n, h, w)`` or ``(n, h, w, c)`` -> ``(n, c, h, w)``, contiguous."""
    import numpy as np

    match pixels.shape:
        case (_, _, _):
            return pixels[:, np.newaxis]
        case (_, _, _, channels) if channels <= MAX_CHANNELS:
            return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        case (_,):
            raise DatasetError(f"{quoted(path)} holds labels, not pictures.", "Give the file of pictures (images-idx3-ubyte).")
    raise DatasetError(
        f"{quoted(path)} holds an array {' x '.join(map(str, pixels.shape))}, which are no pictures.",
        f"Pictures are (n, height, width), or (n, height, width, channels) with 1 to {MAX_CHANNELS} channels.",
    )


def _one_each(labels: NDArray[np.uint8], path: Path, pictures: int) -> NDArray[np.uint8]:
    if labels.ndim != 1:
        raise DatasetError(
            f"{quoted(path)} holds no labels: it has {labels.ndim} dimensions.", "Give one label per picture, (n,)."
        )
    if len(labels) != pictures:
        raise DatasetError(
            f"{quoted(path)} holds {count(len(labels), 'label')} for {count(pictures, 'picture')}.",
            "Give one label per picture, from the same split.",
        )
    return labels
