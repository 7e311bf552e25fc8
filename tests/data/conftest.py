"""IDX files for the tests of pictures, written by means that the code under test does not share."""

import gzip
import lzma
import struct

import pytest


@pytest.fixture(scope="session")
def idx_bytes():
    """``(array[, kind])`` -> the bytes of its IDX file."""

    def build(array, kind=0x08):
        return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()

    return build


@pytest.fixture(scope="session")
def write_idx(idx_bytes):
    """``(path, array)`` -> the path, written in the compression that its suffix names."""
    compress = {".gz": gzip.compress, ".xz": lzma.compress}

    def write(path, array):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(compress.get(path.suffix, bytes)(idx_bytes(array)))
        return path

    return write
