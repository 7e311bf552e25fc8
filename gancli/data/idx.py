"""The IDX format, in which MNIST and its relatives come: a header of sizes, then the bytes, row by row.

    00 00 08 d | size 1 | ... | size d | bytes           sizes: 32 bits, big endian; 08: unsigned byte

A header is a claim. Nothing is allocated on its word: bytes are read in pieces, and at most one more than was claimed, so that
a lying header or a decompression bomb ends in one sentence, soon, and in bounded memory.
"""

from __future__ import annotations

import lzma
import math
import os
import struct
import zlib
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.data.compression import decompressed
from gancli.data.paths import open_regular, quoted
from gancli.errors import DatasetError

if TYPE_CHECKING:
    from io import BufferedIOBase
    from typing import IO

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["COMPRESSIONS", "MAX_BYTES", "check_plausible", "digest", "header", "payload", "read_idx"]

COMPRESSIONS = ("", ".gz", ".xz")
"""How the names of plain and compressed files end. What a file is, its first bytes say."""

MAX_BYTES = 16 * 2**30
"""The largest array that is read into memory."""

MAX_DIMENSIONS = 4
MAX_RATIO = 200  # real pictures compress 2 to 20 times, a gzip bomb 1,000 times, an xz bomb 7,000 times
FREE_BYTES = 2**30  # up to here, any ratio is believed: a set of blank pictures is no attack
CHUNK_BYTES = 2**20

UNSIGNED_BYTE = 0x08
OTHER_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The array in an IDX file: plain, gzip or xz, as its first bytes tell. Writable, contiguous, 1 to 4 dimensions.

    Raises:
        DatasetError: there is no such file, it is not IDX of unsigned bytes, it holds fewer or more bytes than its header
            says, or so many that it must be a mistake or an attack.
    """
    import numpy as np

    path = Path(path)
    with open_regular(path) as raw:
        try:
            stream = decompressed(raw)
            shape = _shape(stream, path)
            size = math.prod(shape)
            check_plausible(size, os.fstat(raw.fileno()).st_size, path)
            data = payload(stream, size)
        except EOFError as error:
            raise DatasetError(f"{quoted(path)} is cut short.", "Copy or download it again.") from error
        except (OSError, zlib.error, lzma.LZMAError) as error:
            raise DatasetError(f"{quoted(path)} is damaged: {error}.", "Copy or download it again.") from error
        except MemoryError as error:
            raise DatasetError(f"{quoted(path)} does not fit into memory.", "Give fewer or smaller pictures.") from error
    if len(data) != size:
        raise _wrong_length(shape, len(data), path)
    return np.frombuffer(data, np.uint8).reshape(shape)


def header(shape: tuple[int, ...]) -> bytes:
    """The header of an array of unsigned bytes.

    >>> header((60_000, 28, 28)).hex(" ", 4)
    '00000803 0000ea60 0000001c 0000001c'
    """
    return struct.pack(f">HBB{len(shape)}I", 0, UNSIGNED_BYTE, len(shape), *shape)


def digest(array: NDArray[np.uint8]) -> str:
    """SHA-256, in hex, of the IDX file that holds ``array`` (contiguous), as ``sha256sum`` prints it of the plain file."""
    state = sha256(header(array.shape))
    state.update(array.data)
    return state.hexdigest()


def _shape(stream: BufferedIOBase, path: Path) -> tuple[int, ...]:
    """The sizes in the header, which is consumed."""
    zeros, kind, dimensions = struct.unpack(">HBB", _exactly(4, stream))
    if zeros or (kind != UNSIGNED_BYTE and kind not in OTHER_TYPES) or not 1 <= dimensions <= MAX_DIMENSIONS:
        start = struct.pack(">HBB", zeros, kind, dimensions).hex(" ")
        raise DatasetError(
            f"{quoted(path)} is not an IDX file: it starts with the bytes {start}.",
            "Pictures in IDX start with 00 00 08 03 (or 04, in colour), labels with 00 00 08 01.",
        )
    if kind != UNSIGNED_BYTE:
        raise DatasetError(
            f"{quoted(path)} holds numbers of type {OTHER_TYPES[kind]}.", "Convert it to unsigned bytes (uint8, type code 08)."
        )
    shape: tuple[int, ...] = struct.unpack(f">{dimensions}I", _exactly(4 * dimensions, stream))
    if 0 in shape:
        raise DatasetError(
            f"{quoted(path)} is an IDX file with nothing in it: {_by(shape)}.", "Give one with at least 1 picture."
        )
    return shape


def _exactly(size: int, stream: BufferedIOBase) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def check_plausible(claimed: int, stored: int, path: Path) -> None:
    """Believe a header that claims so many bytes in a file of ``stored`` bytes, or not.

    Raises:
        DatasetError: not.
    """
    if claimed > MAX_BYTES:
        raise DatasetError(
            f"{quoted(path)} says that it holds {claimed:,} bytes of pictures.", f"At most {MAX_BYTES:,} bytes are read."
        )
    if claimed > FREE_BYTES and claimed > MAX_RATIO * stored:
        raise DatasetError(
            f"{quoted(path)} says that it holds {claimed:,} bytes, in a file of {stored:,}.",
            f"No pictures shrink more than {MAX_RATIO} times: it is damaged or made to do harm.",
        )


def payload(stream: IO[bytes] | BufferedIOBase, size: int) -> bytearray:
    """Everything after the header, but at most ``size`` + 1 bytes: the last one tells that there is too much."""
    data = bytearray()
    while piece := stream.read(min(CHUNK_BYTES, size + 1 - len(data))):
        data += piece
    return data


def _wrong_length(shape: tuple[int, ...], actual: int, path: Path) -> DatasetError:
    size = math.prod(shape)
    found = "more follow" if actual > size else f"only {actual:,} follow"
    return DatasetError(
        f"{quoted(path)} says that it holds {_by(shape)} = {size:,} bytes, but {found}.", "Copy or download it again."
    )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{size:,}" for size in shape)
