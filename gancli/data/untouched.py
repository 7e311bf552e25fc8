"""Pictures at a path in the one size that all of them have: nothing is cut, scaled, left out or kept."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from gancli.data.arrays import load_arrays
from gancli.data.fit import Fit
from gancli.data.opening import collection_at, is_numpy
from gancli.data.paths import quoted, visible
from gancli.data.pipeline import decode_all, survey
from gancli.data.readers.folder import FolderReader
from gancli.data.watch import unwatched
from gancli.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from gancli.data.decoding import Header
    from gancli.data.readers.reader import Reader

__all__ = ["pictures_at"]


def pictures_at(path: Path, channels: int, n: int | None = None) -> Tensor:
    """The first ``n`` pictures, by default all, as uint8 ``(n, c, h, w)``.

    Args:
        path: a folder, an archive or a table of encoded pictures, all of one size; or arrays in ``.npy`` or ``.npz``.
        channels: what encoded pictures are converted to; arrays have their own.
        n: how many.

    Raises:
        DatasetError: there are none, or one of them is broken or of another size.
    """
    if not path.is_dir() and is_numpy(path):
        return load_arrays(path, "train").images[:n].contiguous()
    reader = FolderReader(path) if path.is_dir() else collection_at(str(path), "train")
    if reader is None or not reader.items():
        raise DatasetError(f"{quoted(path)} holds no pictures.", "Give a folder or an archive of pictures, or an .npz file.")
    return _decoded(reader, channels, n)


def _decoded(reader: Reader, channels: int, n: int | None) -> Tensor:
    names = [item.name for item in reader.items()][:n]
    seen = survey(reader, unwatched, len(names))
    first = _whole(reader, names[0], seen[0])
    for name, header in zip(names, seen, strict=True):
        here = _whole(reader, name, header)
        if (here.width, here.height) != (first.width, first.height):
            sizes = f"{first.width}x{first.height} and {here.width}x{here.height}"
            raise DatasetError(
                f"{quoted(reader.path)} holds pictures of {sizes} ('{visible(name)}').", "Give pictures of one size."
            )
    fit = Fit(first.height, first.width, channels)
    pictures = np.empty((len(names), channels, fit.height, fit.width), np.uint8)
    for name, decoded in zip(names, islice(decode_all(reader, fit), len(names)), strict=True):
        if decoded.pixels is None:
            raise _broken(reader, name, decoded.flaw)
        pictures[decoded.index] = decoded.pixels
    return torch.from_numpy(pictures)


def _whole(reader: Reader, name: str, header: Header | str) -> Header:
    if isinstance(header, str):
        raise _broken(reader, name, header)
    return header


def _broken(reader: Reader, name: str, flaw: str) -> DatasetError:
    where = quoted(reader.path / name) if reader.kind == "folder" else f"'{visible(name)}' in {quoted(reader.path)}"
    return DatasetError(f"{where} cannot be read as a picture: {visible(flaw)}.", "Replace or remove it.")
