"""Pictures in NumPy's own files: one array in ``.npy``, several in ``.npz``. Never objects, which would be code.

As in IDX, a header is a claim: it is compared with the size of the file before anything is allocated.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any

from gancli.data.idx import check_plausible, payload
from gancli.data.paths import count, open_regular, quoted, visible
from gancli.errors import DatasetError
from gancli.plugin import ImageSet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["load_arrays", "numbered_classes", "without_labels"]

IMAGES = ("{split}_images", "x_{split}", "{split}_x", "images", "x", "data", "arr_0")
LABELS = ("{split}_labels", "y_{split}", "{split}_y", "labels", "y", "label", "arr_1")
"""Names under which pictures and their labels are looked for in an archive, the first that is there."""
MAX_CHANNELS = 4
MAX_CLASSES = 65_536
_DAMAGE = (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


def load_arrays(path: Path, split: str) -> ImageSet:
    """The pictures in a ``.npy`` or ``.npz`` file, uint8 ``(n, h, w)``, ``(n, h, w, c)`` or ``(n, c, h, w)``, and their labels.

    Raises:
        DatasetError: it is damaged, holds something else, or claims more than it holds.
    """
    import torch

    archive = zipfile.is_zipfile(path)
    if split == "test" and not archive:
        raise DatasetError(f"{quoted(path)} is one array, without a test split.", "Give an .npz with test_images in it.")
    pixels, labels = _from_npz(path, split) if archive else (_from_npy(path), None)
    images = torch.from_numpy(_pictures(pixels, path))
    doubt = _doubt(pixels.shape, images.shape)
    if labels is None:
        return without_labels(images, doubt)
    numbers = _one_each(labels, len(images), path)
    names, notes = numbered_classes(numbers)
    return ImageSet(images, torch.from_numpy(numbers), names, (*doubt, *notes))


def without_labels(images: Any, notes: tuple[str, ...] = ()) -> ImageSet:  # noqa: ANN401  (a tensor)
    """A set of pictures alone."""
    return ImageSet(images, notes=(*notes, "There are no labels, so the classes cannot be learned."))


def numbered_classes(numbers: NDArray[np.int64], names: tuple[str, ...] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the classes, which are their numbers where there are no others, and a note about empty ones."""
    import numpy as np

    sizes = np.bincount(numbers, minlength=len(names)).tolist()
    known = names if len(names) == len(sizes) else tuple(map(str, range(len(sizes))))
    empty = [name for name, size in zip(known, sizes, strict=True) if not size]
    if not empty:
        return known, ()
    shown = ", ".join(map(visible, empty[:10])) + (", ..." if len(empty) > 10 else "")  # noqa: PLR2004
    missing = count(len(empty), "class", "classes")
    return known, (f"No picture is labelled {shown}: {missing} of {len(sizes)} would learn nothing.",)


def _from_npy(path: Path) -> NDArray[Any]:
    with open_regular(path) as file:
        try:
            return _array(file, os.fstat(file.fileno()).st_size, os.fstat(file.fileno()).st_size, path)
        except _DAMAGE as error:
            raise _damaged(path, error) from error


def _from_npz(path: Path, split: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    with open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
                images = _named(members, IMAGES, split)
                if images is None:
                    raise _nothing_named(path, members, split)
                labels = _named(members, LABELS, split)
                return _member(archive, images, path), None if labels is None else _member(archive, labels, path)
        except _DAMAGE as error:
            raise _damaged(path, error) from error


def _named(members: Mapping[str, zipfile.ZipInfo], names: tuple[str, ...], split: str) -> zipfile.ZipInfo | None:
    """The member with the best name; to test with, only one that names the split."""
    wanted = [name.format(split=split) for name in names if split == "train" or "{split}" in name]
    return next((members[name] for name in wanted if name in members), None)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    with archive.open(member) as stream:
        return _array(stream, member.file_size, member.compress_size, path)


def _array(stream: IO[bytes], size: int, stored: int, path: Path) -> NDArray[Any]:
    """The array in a stream of ``size`` bytes, which take ``stored`` bytes on the disk."""
    import numpy as np
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, fortran, dtype = read_header(stream)
        shape = tuple(map(int, shape))
    except (SyntaxError, TypeError, RecursionError, MemoryError, TokenError) as error:  # of hostile headers, in Python's parser
        raise ValueError(error) from error
    if dtype.hasobject or dtype.kind not in "uib":
        raise DatasetError(
            f"{quoted(path)} holds an array of {visible(str(dtype))}.", "Pictures are uint8 (0 to 255), labels whole numbers."
        )
    claimed = math.prod(shape) * dtype.itemsize
    check_plausible(claimed, stored, path)
    if not 0 < claimed <= size:
        raise DatasetError(
            f"{quoted(path)} says that it holds {' x '.join(map(str, shape))} {dtype}, but has {size:,} bytes.",
            "Write it again with numpy.save.",
        )
    data = payload(stream, claimed)
    if len(data) != claimed:
        raise DatasetError(f"{quoted(path)} holds {len(data):,} bytes of an array of {claimed:,}.", "Copy it again.")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _pictures(pixels: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """uint8 ``(n, c, h, w)``, contiguous. Of two possible orders the one with channels last is meant."""
    import numpy as np

    if pixels.dtype != np.uint8:
        raise DatasetError(f"{quoted(path)} holds pictures of type {pixels.dtype}.", "Convert them to uint8, 0 to 255.")
    match pixels.shape:
        case (_, _, _):
            return np.ascontiguousarray(pixels[:, np.newaxis])
        case (_, _, _, channels) if channels <= MAX_CHANNELS:
            return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        case (_, channels, _, _) if channels <= MAX_CHANNELS:
            return np.ascontiguousarray(pixels)
    raise DatasetError(
        f"{quoted(path)} holds an array {' x '.join(map(str, pixels.shape))}, which are no pictures.",
        f"Pictures are (n, h, w), (n, h, w, c) or (n, c, h, w), with 1 to {MAX_CHANNELS} channels.",
    )


def _doubt(shape: tuple[int, ...], images: tuple[int, ...]) -> tuple[str, ...]:
    """A note where an array could have its channels first or last."""
    if len(shape) < len(images) or shape[1] > MAX_CHANNELS or shape[3] > MAX_CHANNELS:
        return ()
    taken = f"pictures of {shape[1]}x{shape[2]} with {count(shape[3], 'channel')}"
    return (f"An array {' x '.join(map(str, shape))} is taken as {taken}: channels come last where both could be meant.",)


def _one_each(labels: NDArray[Any], pictures: int, path: Path) -> NDArray[np.int64]:
    import numpy as np

    if labels.size != pictures or max(labels.shape) != pictures:
        raise DatasetError(
            f"{quoted(path)} holds labels {' x '.join(map(str, labels.shape))} for {count(pictures, 'picture')}.",
            "Give one number per picture.",
        )
    numbers = labels.reshape(pictures).astype(np.int64)
    if numbers.min() < 0 or numbers.max() >= MAX_CLASSES:
        raise DatasetError(
            f"{quoted(path)} has labels from {numbers.min()} to {numbers.max()}.", f"Classes are 0 to {MAX_CLASSES - 1}."
        )
    return numbers


def _nothing_named(path: Path, members: Mapping[str, object], split: str) -> DatasetError:
    listed = ", ".join(sorted(map(visible, members))[:10]) or "nothing"
    wanted = ", ".join(name.format(split=split) for name in IMAGES if split == "train" or "{split}" in name)
    return DatasetError(f"{quoted(path)} holds {listed}, but no {split} pictures.", f"Name the array one of {wanted}.")


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{quoted(path)} is damaged or no file of arrays: {visible(str(error))[:200]}.", "Write it again.")
