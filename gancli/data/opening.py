"""What a path is: told by what lies there, a folder's by the names in it and a file's by its first bytes."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.data.paths import open_regular, quoted, unreadable
from gancli.data.readers.names import is_picture
from gancli.data.sources import find_images, find_labels, has_idx_name, load_pictures, refuse_split
from gancli.errors import DatasetError

if TYPE_CHECKING:
    from gancli.config.schema import DataConfig
    from gancli.data.readers.reader import Reader
    from gancli.plugin import ImageSet

__all__ = ["collection_at", "is_numpy", "load_arrays_at"]

SPLIT_FOLDERS = {"train": ("train", "training"), "test": ("test", "testing", "val", "valid", "validation")}
"""Names of sub-folders that hold one split each, the first that is there."""
SAVED = "dataset_dict.json"
"""Beside the folders of the splits that Hugging Face's library has saved."""
ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
"""How zip archives begin, those of nothing too."""
HUB = "hf:"
ARRAYS = (b"\0\0", b"\x1f\x8b", b"\xfd7zXZ", b"\x93NUMPY", b"PK\x03\x04")
"""How files of arrays begin: IDX, plain, gzip or xz; NumPy's."""


def collection_at(address: str, split: str) -> Reader | None:
    """The reader of the encoded pictures at a path (or, after ``hf:``, on the hub); None where arrays are instead.

    Raises:
        DatasetError: nothing that can be read is there.
    """
    refuse_split(split)
    if address.startswith(HUB):
        from gancli.data.hub import fetched

        return _tables(fetched(address.removeprefix(HUB), split), split)
    path = _expanded(address)
    if _is_folder(path):
        return _folder(path, split)
    return _file(path, split)


def load_arrays_at(address: str, config: DataConfig, split: str) -> tuple[ImageSet, Path]:
    """The pictures at a path where :func:`collection_at` found arrays, and the file that they are in.

    Raises:
        DatasetError: they cannot be read.
    """
    from gancli.data.arrays import load_arrays
    from gancli.data.cifar import load_cifar
    from gancli.data.readers.tars import is_tar

    path = _expanded(address)
    if path.is_dir():
        if not any(map(has_idx_name, _names(path))):
            return load_cifar(path, split), path
    elif is_numpy(path):
        return load_arrays(path, split), path
    elif is_tar(path):
        return load_cifar(path, split), path
    file = find_images(path, split)
    labels = find_labels(file) if config.labels is None else _expanded(config.labels)
    return load_pictures(file, labels), file


def _folder(path: Path, split: str) -> Reader | None:
    from gancli.data.cifar import is_cifar
    from gancli.data.readers.folder import FolderReader

    names = _names(path)
    if not any(map(is_picture, names)):  # beside which anything else is none of the data
        if any(map(has_idx_name, names)) or is_cifar(names):
            return None
        if _holds_tables(path, names):
            return _tables(path, split)
    return FolderReader(_split_folder(path, names, split))


def _holds_tables(path: Path, names: list[str]) -> bool:
    """Whether a folder without pictures of its own is a data set of tables, which may lie in folders of theirs."""
    from gancli.data.readers.tables import is_table

    if SAVED in names or any(map(is_table, names)):
        return True
    below = [name for folder in names if (path / folder).is_dir() for name in _names_if_readable(path / folder)]
    return any(map(is_table, below)) and not any(map(is_picture, below))


def _split_folder(path: Path, names: list[str], split: str) -> Path:
    """The sub-folder of a split, where a folder is divided that way; else the folder, which is all to train on."""
    here = {name.lower(): name for name in names if (path / name).is_dir()}
    found = {key: here[name] for key, known in SPLIT_FOLDERS.items() for name in known[::-1] if name in here}
    divided = "train" in found and not any(map(is_picture, names))
    if divided and split in found:
        return path / found[split]
    if split == "test":
        raise DatasetError(f"{quoted(path)} has no sub-folder of test pictures.", "Name one 'test', beside one named 'train'.")
    return path


def _file(path: Path, split: str) -> Reader | None:
    from gancli.data.cifar import is_cifar
    from gancli.data.readers.tables import ARROW_FILE, ARROW_STREAM, PARQUET, is_table
    from gancli.data.readers.tars import TarReader, is_tar, tar_members
    from gancli.data.readers.zips import ZipReader

    with open_regular(path) as file:
        start = file.peek(8)[:8]
    if start.startswith((PARQUET, ARROW_FILE)) or (is_table(path.name) and start.startswith(ARROW_STREAM)):
        return _tables(path, split)
    if start.startswith(ZIPS) and path.suffix.lower() != ".npz":
        return _whole(ZipReader(path), split)
    if is_tar(path):
        names = [member.name.rpartition("/")[2] for _, member in tar_members(path) if member.name.endswith(".bin")]
        return None if is_cifar(names) else _whole(TarReader(path), split)
    if is_picture(path.name) and not start.startswith(b"\0\0\x08"):
        raise DatasetError(f"{quoted(path)} is one picture.", "Give the folder that it lies in, or an archive.")
    if not start.startswith(ARRAYS):
        raise DatasetError(
            f"{quoted(path)} is nothing that is read: it starts with the bytes {start[:4].hex(' ')}.",
            "Give a folder, zip or tar of pictures, or a file of them in IDX, .npy, .npz or Parquet.",
        )
    return None


def _whole(reader: Reader, split: str) -> Reader:
    if split == "test":
        raise DatasetError(
            f"{quoted(reader.path)} is one archive, without a test split.", "Give that as an archive of its own."
        )
    return reader


def _tables(path: Path, split: str) -> Reader:
    from gancli.data.readers.tables import TableReader

    return TableReader(path, split)


def is_numpy(path: Path) -> bool:
    """Whether a file is NumPy's: ``.npy`` by its first bytes, ``.npz``, which is a zip archive, by its name too.

    Raises:
        DatasetError: it cannot be read.
    """
    with open_regular(path) as file:
        start = file.peek(6)[:6]
    return start == b"\x93NUMPY" or (start.startswith(b"PK\x03\x04") and path.suffix.lower() == ".npz")


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def _names(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path))  # noqa: PTH208  (names, not paths)
    except OSError as error:
        raise unreadable(path, error) from error


def _names_if_readable(path: Path) -> list[str]:
    try:
        return _names(path)
    except DatasetError:
        return []


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  (Path.expanduser raises RuntimeError for an unknown user)
