"""Pictures at a path in the one size that all of them have: nothing is cut, scaled, left out or kept."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from gancli.data.arrays import load_arrays
from gancli.data.fit import Fit
from gancli.data.opening import collection_at, is_numpy
from gancli.data.paths import count, quoted, visible
from gancli.data.pipeline import decode_all, survey
from gancli.data.readers.folder import FolderReader
from gancli.data.watch import unwatched
from gancli.errors import DatasetError
from gancli.plugin import ImageSet

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.data.decoding import Header
    from gancli.data.readers.reader import Reader

__all__ = ["pictures_at"]

GREY_CHANNELS = (1, 2)


def pictures_at(path: Path, channels: int, n: int | None = None) -> ImageSet:
    """The first ``n`` pictures, by default all; a note says how many gained or lost their colour.

    Args:
        path: a folder, an archive or a table of encoded pictures, all of one size; or arrays in ``.npy`` or ``.npz``.
        channels: what encoded pictures are converted to; arrays have their own.
        n: how many.

    Raises:
        DatasetError: there are none, or one of them is broken or of another size.
    """
    if not path.is_dir() and is_numpy(path):
        return ImageSet(load_arrays(path, "train").images[:n].contiguous())
    reader = FolderReader(path) if path.is_dir() else collection_at(str(path), "train")
    if reader is None or not reader.items():
        raise DatasetError(f"{quoted(path)} holds no pictures.", "Give a folder or an archive of pictures, or an .npz file.")
    return _decoded(reader, channels, n)


def _decoded(reader: Reader, channels: int, n: int | None) -> ImageSet:
    names = [item.name for item in reader.items()][:n]
    seen = survey(reader, unwatched, len(names))
    first = _whole(reader, names[0], seen[0])
    to_grey, others = channels in GREY_CHANNELS, 0
    for name, header in zip(names, seen, strict=True):
        here = _whole(reader, name, header)
        if (here.width, here.height) != (first.width, first.height):
            sizes = f"{first.width}x{first.height} and {here.width}x{here.height}"
            raise DatasetError(
                f"{quoted(reader.path)} holds pictures of {sizes} ('{visible(name)}').", "Give pictures of one size."
            )
        others += here.grey != to_grey
    fit = Fit(first.height, first.width, channels)
    pictures = np.empty((len(names), channels, fit.height, fit.width), np.uint8)
    for name, decoded in zip(names, islice(decode_all(reader, fit), len(names)), strict=True):
        if decoded.pixels is None:
            raise _broken(reader, name, decoded.flaw)
        pictures[decoded.index] = decoded.pixels
    return ImageSet(torch.from_numpy(pictures), notes=_conversion(reader, others, to_grey=to_grey))


def _conversion(reader: Reader, others: int, *, to_grey: bool) -> tuple[str, ...]:
    if not others:
        return ()
    are = f"{count(others, 'picture')} of {quoted(reader.path)} {'is' if others == 1 else 'are'} stored in"
    return (f"{are} {'colour' if to_grey else 'grey'}, and compared in {'grey' if to_grey else 'colour'}, as the data are.",)


def _whole(reader: Reader, name: str, header: Header | str) -> Header:
    if isinstance(header, str):
        raise _broken(reader, name, header)
    return header


def _broken(reader: Reader, name: str, flaw: str) -> DatasetError:
    where = quoted(reader.path / name) if reader.kind == "folder" else f"'{visible(name)}' in {quoted(reader.path)}"
    return DatasetError(f"{where} cannot be read as a picture: {visible(flaw)}.", "Replace or remove it.")
