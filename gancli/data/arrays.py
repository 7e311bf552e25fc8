"""Images that are arrays already: IDX, the format of MNIST, and NumPy's files.

    IDX     00 00 08 d | size 1 | ... | size d | bytes        sizes: 32 bits, big endian; 08: uint8
    NumPy   one array in ``.npy``, several in ``.npz``; never objects, which would be code

A header is a claim. Nothing is allocated on its word: bytes are read in pieces, and at most one more than was claimed, so that
a lying header or a decompression bomb ends in one sentence, soon, and in bounded memory.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import os
import re
import struct
import zipfile
import zlib
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from gancli.data.paths import count, open_regular, quoted, unreadable
from gancli.errors import DatasetError
from gancli.plugin import ImageSet
from gancli.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedIOBase, BufferedReader

    from numpy.typing import NDArray

COMPRESSIONS = ("", ".gz", ".xz")  # how the names of plain and compressed files end. What a file is, its first bytes say
MAX_BYTES = 16 * 2**30  # the largest array that is read into memory
MAX_RATIO = 200  # real images compress 2 to 20 times, a gzip bomb 1,000 times, an xz bomb 7,000 times
FREE_BYTES = 2**30  # up to here, any ratio is accepted: a set of blank images is not an attack
CHUNK_BYTES = 2**20
MAX_CHANNELS, MAX_CLASSES, MAX_DIMENSIONS = 4, 65_536, 4
UNSIGNED_BYTE = 0x08
IDX_NAME = re.compile(r"(?P<plain>(?P<stem>.*)images(?P<dot>[-.])idx[34]-ubyte)(?P<end>\.gz|\.xz)?", re.DOTALL)
SPLIT_WORD = re.compile(r"(?<![a-z])(train|t10k|test)(?![a-z])")
WELL_KNOWN = {"train": "train-", "test": "t10k-"}
IMAGE_NAMES = ("{split}_images", "x_{split}", "{split}_x", "images", "x", "data", "arr_0")
LABEL_NAMES = ("{split}_labels", "y_{split}", "{split}_y", "labels", "y", "label", "arr_1")
"""Names under which images and their labels are looked for in an ``.npz``, the first that is there."""
COPY_AGAIN = "Copy or download it again."
DAMAGE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""What reading a damaged or compressed file raises."""


def decompressed(raw: BufferedReader) -> BufferedIOBase:
    """What is in a file that is plain, gzip, xz or bzip2. Nothing is decompressed before it is read."""
    magic = raw.peek(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(raw)
    return bz2.BZ2File(raw) if magic.startswith(b"BZh") else raw


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The array in an IDX file, writable, contiguous, of 1 to 4 dimensions."""
    path = Path(path)
    with _explained(path), open_regular(path) as raw:
        stream = decompressed(raw)
        if len(start := stream.read(4)) < struct.calcsize(">HBB"):
            raise EOFError
        zeros, kind, dimensions = struct.unpack(">HBB", start)
        if zeros or kind != UNSIGNED_BYTE or not 1 <= dimensions <= MAX_DIMENSIONS:
            raise DatasetError(
                f"{quoted(path)} is not an IDX file of bytes: it starts with the bytes {start.hex(' ')}.",
                "Images in IDX start with 00 00 08 03 (or 04, in colour), labels with 00 00 08 01: convert it to uint8.",
            )
        if len(sizes := stream.read(4 * dimensions)) < 4 * dimensions:
            raise EOFError
        shape = struct.unpack(f">{dimensions}I", sizes)
        data = _payload(stream, shape, 1, os.fstat(raw.fileno()).st_size, path)
    return np.frombuffer(data, np.uint8).reshape(shape)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever reading an array raises is a :class:`DatasetError` about its file."""
    try:
        yield
    except EOFError as error:
        raise DatasetError(f"{quoted(path)} is cut short.", COPY_AGAIN) from error
    except MemoryError as error:
        raise DatasetError(f"{quoted(path)} does not fit into memory.", "Give fewer or smaller images.") from error
    except DAMAGE as error:
        reason = visible(str(error))[:200]
        raise DatasetError(f"{quoted(path)} is damaged or not a file of arrays: {reason}.", COPY_AGAIN) from error


def _payload(stream: IO[bytes] | BufferedIOBase, shape: tuple[int, ...], item_bytes: int, stored: int, path: Path) -> bytearray:
    """The array that follows a header, which claims this shape in a file of ``stored`` bytes."""
    size, described = math.prod(shape) * item_bytes, " x ".join(f"{side:,}" for side in shape)
    says = f"{quoted(path)} says that it holds"
    if size <= 0:
        raise DatasetError(f"{quoted(path)} holds an array with nothing in it: {described}.", "Give at least 1 image.")
    if size > MAX_BYTES:
        raise DatasetError(f"{says} {size:,} bytes of images.", f"At most {MAX_BYTES:,} bytes are read.")
    if size > FREE_BYTES and size > MAX_RATIO * stored:
        harm = f"No images shrink more than {MAX_RATIO} times: it is damaged or made to do harm."
        raise DatasetError(f"{says} {size:,} bytes, in a file of {stored:,}.", harm)
    data = bytearray()
    while piece := stream.read(min(CHUNK_BYTES, size + 1 - len(data))):  # the last byte tells that there is too much
        data += piece
    if len(data) != size:
        found = "more follow" if len(data) > size else f"only {len(data):,} follow"
        raise DatasetError(f"{says} {described} = {size:,} bytes, but {found}.", COPY_AGAIN)
    return data


def header(shape: tuple[int, ...]) -> bytes:
    """The header of an IDX file of unsigned bytes.

    >>> header((60_000, 28, 28)).hex(" ", 4)
    '00000803 0000ea60 0000001c 0000001c'
    """
    return struct.pack(f">HBB{len(shape)}I", 0, UNSIGNED_BYTE, len(shape), *shape)


def digest(array: NDArray[np.uint8]) -> str:
    """SHA-256, in hex, of the IDX file that holds ``array``, as ``sha256sum`` prints it of the plain file."""
    state = sha256(header(array.shape))
    state.update(array.data)
    return state.hexdigest()


def load_idx(path: Path, split: str, labels: str | None) -> tuple[ImageSet, Path]:
    """Images ``(n, h, w)`` or ``(n, h, w, c)`` and labels ``(n,)`` in IDX, and the file that they are in.

    ``path`` may be its folder. The labels are by default in the file beside it that is named like it.
    """
    file = find_images(path, split)
    beside = find_labels(file) if labels is None else Path(os.path.expanduser(labels))  # noqa: PTH111  (Path.expanduser raises)
    array = read_idx(file)
    if array.ndim == 1:
        raise DatasetError(f"{quoted(file)} holds labels, not images.", "Give the file of images (images-idx3-ubyte).")
    return _image_set(array, None if beside is None else read_idx(beside), file, beside, channels_last=True), file


def find_images(path: Path, split: str) -> Path:
    """The IDX file of images that ``path`` means: itself, or the one of ``split`` in that folder."""

    def split_of(name: str) -> str | None:
        word = SPLIT_WORD.search(name)
        return word and ("train" if word[1] == "train" else "test")

    try:
        entries = os.listdir(path)  # noqa: PTH208  (names, not paths)
    except NotADirectoryError:
        if split == "test" and split_of(path.name) != split:
            remedy = "Give a folder that holds the test images too."
            raise DatasetError(f"{quoted(path)} is one file, without a test split.", remedy) from None
        return path
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    names = [name for entry in entries if (name := IDX_NAME.fullmatch(entry))]
    chosen = [name for name in names if name["stem"] == WELL_KNOWN[split]]
    chosen = chosen or [name for name in names if split_of(name["stem"]) == split]
    if split == "train":  # a name that names no split is to train on
        chosen = chosen or [name for name in names if split_of(name["stem"]) is None]
    if len({name["plain"] for name in chosen}) == 1:
        return path / min(name[0] for name in chosen)  # of several compressions, the quickest to read
    listed = ", ".join(sorted(visible(name[0]) for name in chosen or names)[:10]) or "none"
    wrong = f"{quoted(path)} does not hold exactly one file of {split} images, but {listed}."
    raise DatasetError(wrong, "Give the path of the file itself.")


def find_labels(images: Path) -> Path | None:
    """The labels beside ``images``, by their well-known name: ``train-labels-idx1-ubyte``."""
    name = IDX_NAME.fullmatch(images.name)
    if name is None:
        return None
    ends = (name["end"] or "", *COMPRESSIONS)
    beside = (images.with_name(f"{name['stem']}labels{name['dot']}idx1-ubyte{end}") for end in ends)
    return next((labels for labels in beside if labels.is_file()), None)


def load_numpy(path: Path, split: str) -> ImageSet:
    """Images in a ``.npy`` or ``.npz`` file and their labels: uint8 ``(n, h, w)``, ``(n, h, w, c)`` or ``(n, c, h, w)``."""
    archived = zipfile.is_zipfile(path)
    if split == "test" and not archived:
        raise DatasetError(f"{quoted(path)} is one array, without a test split.", "Give an .npz with test_images in it.")
    with _explained(path), open_regular(path) as file:
        if not archived:
            return _image_set(_npy(file, os.fstat(file.fileno()).st_size, path), None, path)
        with zipfile.ZipFile(file) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            found: list[NDArray[Any] | None] = []
            for names in (LABEL_NAMES, IMAGE_NAMES):  # to test with, only under a name that names the split
                wanted = [name.format(split=split) for name in names if split == "train" or "{split}" in name]
                member = next((members[name] for name in wanted if name in members), None)
                if member is None:
                    found.append(None)
                    continue
                with archive.open(member) as stream:
                    found.append(_npy(stream, member.compress_size, path))
    labels, images = found
    if images is None:
        listed = ", ".join(sorted(map(visible, members))[:10]) or "nothing"
        named = f"Name the array one of {', '.join(wanted)}."
        raise DatasetError(f"{quoted(path)} holds {listed}, but no {split} images.", named)
    return _image_set(images, labels, path)


def _npy(stream: IO[bytes], stored: int, path: Path) -> NDArray[Any]:
    """The array in a stream that takes ``stored`` bytes on the disk."""
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read_header(stream)
        shape = tuple(map(int, shape))
    except (SyntaxError, TypeError, RecursionError, MemoryError, TokenError) as error:  # of hostile headers, in Python's parser
        raise ValueError(error) from error
    if dtype.hasobject or dtype.kind not in "uibf":
        wrong = f"{quoted(path)} holds an array of {visible(str(dtype))}."
        raise DatasetError(wrong, "Images are uint8 (0 to 255), labels whole numbers.")
    data = _payload(stream, shape, dtype.itemsize, stored, path)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def notes_on_classes(numbers: Sequence[int] | None, names: Sequence[str]) -> tuple[str, ...]:
    """A note about classes without an image, if there are any."""
    there = set(numbers or ())
    empty = [name for number, name in enumerate(names) if number not in there]
    if numbers is None or not empty:
        return ()
    shown = ", ".join(map(visible, empty[:10])) + (", ..." if len(empty) > 10 else "")  # noqa: PLR2004  (as many are shown)
    missing = count(len(empty), "class", "classes")
    return (f"No image is labelled {shown}: {missing} of {len(names)} would learn nothing.",)


def _image_set(
    pixels: NDArray[Any],
    labels: NDArray[Any] | None,
    path: Path,
    labels_path: Path | None = None,
    *,
    channels_last: bool = False,
) -> ImageSet:
    """The images as uint8 ``(n, c, h, w)``, contiguous. Of two possible orders channels come last."""
    import torch

    if pixels.dtype != np.uint8:
        raise DatasetError(
            f"{quoted(path)} holds images of type {pixels.dtype}.",
            "Images are uint8, 0 to 255: save (x * 255).round().astype('uint8') for values from 0 to 1, "
            "x.astype('uint8') for others.",
        )
    images, notes = _channels_first(pixels, path, channels_last=channels_last)
    if labels is None:
        return ImageSet(torch.from_numpy(images), notes=(*notes, "There are no labels, so the classes cannot be learned."))
    if labels.size != len(images) or max(labels.shape) != len(images):
        one_hot = " One column per class? Save labels.argmax(1)." if labels.ndim > 1 else ""
        shape = " x ".join(map(str, labels.shape))
        problem = f"{quoted(labels_path or path)} holds labels {shape} for {count(len(images), 'image')}."
        raise DatasetError(problem, f"Give one number per image, (n,), from the same split.{one_hot}")
    if labels.dtype.kind not in "uib":
        raise DatasetError(f"{quoted(path)} has labels of type {labels.dtype}.", "Labels are whole numbers.")
    numbers = labels.reshape(len(images)).astype(np.int64)
    if numbers.min() < 0 or numbers.max() >= MAX_CLASSES:
        wrong = f"{quoted(path)} has labels from {numbers.min()} to {numbers.max()}."
        raise DatasetError(wrong, f"Classes are 0 to {MAX_CLASSES - 1}.")
    names = tuple(map(str, range(int(numbers.max()) + 1)))
    empty = notes_on_classes(numbers.tolist(), names)
    return ImageSet(torch.from_numpy(images), torch.from_numpy(numbers), names, (*notes, *empty))


def _channels_first(pixels: NDArray[np.uint8], path: Path, *, channels_last: bool) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The images as ``(n, c, h, w)``, contiguous, and a note where both orders could be meant."""
    shape, written = pixels.shape, " x ".join(map(str, pixels.shape))
    could_be_first = not channels_last and len(shape) == 4 and shape[1] <= MAX_CHANNELS  # noqa: PLR2004  (dimensions)
    notes: tuple[str, ...] = ()
    match shape:
        case (_, _, _):
            pixels = pixels[:, np.newaxis]
        case (_, _, _, channels) if channels <= MAX_CHANNELS:
            pixels = pixels.transpose(0, 3, 1, 2)
            if could_be_first:
                taken = f"images of {shape[1]}x{shape[2]} with {count(channels, 'channel')}"
                notes = (f"An array {written} is taken as {taken}: channels come last where both could be meant.",)
        case _ if not could_be_first:
            remedy, rows = "", shape[-1] if len(shape) == 2 else 0  # noqa: PLR2004  (flattened images)
            for channels, axes in ((1, "{0}, {0}"), (3, "3, {0}, {0}")):
                side = math.isqrt(rows // channels)
                if rows and channels * side * side == rows:
                    remedy = f" Save x.reshape(-1, {axes.format(side)})."
            raise DatasetError(
                f"{quoted(path)} holds an array {written}, which is not images.",
                "Images are (n, height, width), (n, height, width, channels) or, in NumPy's files, (n, channels, height, "
                f"width), with 1 to {MAX_CHANNELS} channels.{remedy}",
            )
    return np.ascontiguousarray(pixels), notes
