import gzip
import lzma
import math
import os
import struct
import tracemalloc
import zlib
from contextlib import contextmanager, suppress
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.data import arrays as idx
from gancli.data.arrays import digest, header, read_idx
from gancli.errors import DatasetError

COMPRESS = {"plain": bytes, "gzip": gzip.compress, "xz": lzma.compress}
SHAPES = st.lists(st.integers(1, 7), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@contextmanager
def at_most(mebibytes):
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < mebibytes * 2**20


def pictures(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def fails(path, data, words):
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=words) as caught:
        read_idx(path)
    assert path.name in str(caught.value)
    assert caught.value.remedy
    assert str(caught.value).isprintable()


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99), compression=st.sampled_from(sorted(COMPRESS)))
def test_what_is_written_is_read(folder, idx_bytes, shape, seed, compression):
    array = pictures(shape, seed)
    path = folder / "any-name-will-do"
    path.write_bytes(COMPRESS[compression](idx_bytes(array)))
    read = read_idx(path)
    assert read.dtype == np.uint8
    assert read.flags.writeable
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, array)


@settings(max_examples=100, deadline=None)
@given(start=st.sampled_from([b"", b"\0\0\x08\x01", b"\x1f\x8b\x08", b"\xfd7zXZ\0"]), data=st.binary(min_size=1, max_size=64))
def test_F23_any_bytes_give_an_array_or_one_error(folder, start, data):
    path = folder / "fuzz"
    path.write_bytes(start + data)
    with suppress(DatasetError):
        assert read_idx(path).size


@settings(max_examples=20, deadline=None)
@given(SHAPES)
def test_header_and_digest_are_those_of_the_plain_file(idx_bytes, shape):
    array = pictures(shape)
    assert header(tuple(shape)) + array.tobytes() == idx_bytes(array)
    assert digest(array) == sha256(idx_bytes(array)).hexdigest()


def test_several_gzip_members_are_one_file(folder, idx_bytes):
    array = pictures((9, 5, 5))
    data = idx_bytes(array)
    path = folder / "members"
    path.write_bytes(gzip.compress(data[:50]) + gzip.compress(data[50:]))
    np.testing.assert_array_equal(read_idx(path), array)


def test_files_longer_than_one_piece(folder, idx_bytes, monkeypatch):
    monkeypatch.setattr(idx, "CHUNK_BYTES", 7)
    array = pictures((5, 4, 4))
    path = folder / "pieces"
    for compress in COMPRESS.values():
        path.write_bytes(compress(idx_bytes(array)))
        np.testing.assert_array_equal(read_idx(path), array)


@pytest.mark.parametrize("compression", COMPRESS)
def test_F12_every_truncation_is_one_error(folder, idx_bytes, compression):
    whole = COMPRESS[compression](idx_bytes(pictures((3, 4, 4))))
    for length in range(1, len(whole)):
        fails(folder / f"short-{compression}", whole[:length], "cut short|only [0-9]+ follow|not an IDX file|damaged")


@pytest.mark.parametrize("compression", ["gzip", "xz"])
def test_F13_bit_flips_in_the_compressed_pixels_are_found(folder, idx_bytes, compression):
    whole = COMPRESS[compression](idx_bytes(pictures((3, 4, 4))))
    for place in range(len(whole) // 2, len(whole) - 4):
        broken = bytearray(whole)
        broken[place] ^= 0x10
        fails(folder / f"flip-{compression}", bytes(broken), "damaged|cut short|follow")


@pytest.mark.parametrize("compression", COMPRESS)
def test_F23_bytes_after_the_last_picture_are_one_error(folder, idx_bytes, compression):
    data = COMPRESS[compression](idx_bytes(pictures((2, 3, 3))) + b"\0")
    fails(folder / f"long-{compression}", data, "says that it holds 2 x 3 x 3 = 18 bytes, but more follow")


def test_F23_a_header_that_promises_more_than_the_file_holds(folder):
    with at_most(4):
        fails(folder / "liar", header((1000, 1000, 1000)) + bytes(100), "= 1,000,000,000 bytes, but only 100 follow")


@pytest.mark.parametrize("compression", COMPRESS)
def test_F23_a_header_that_promises_more_than_is_ever_read(folder, compression):
    data = COMPRESS[compression](header((2**32 - 1,) * 4))
    with at_most(20):
        fails(folder / "greedy", data, "At most 17,179,869,184 bytes are read")


@pytest.mark.parametrize("compression", COMPRESS)
def test_F23_an_honest_bomb_is_refused_by_its_ratio(folder, compression):
    data = COMPRESS[compression](header((2**10, 2**10, 2**10 + 1)) + bytes(2**20))
    with at_most(20):
        fails(folder / "bomb", data, r"No images shrink more than 200 times")


@pytest.mark.parametrize("compression", ["gzip", "xz"])
def test_F23_a_bomb_behind_a_small_header_is_not_unpacked(folder, compression):
    data = COMPRESS[compression](header((10, 28, 28)) + bytes(2**24))
    with at_most(10):
        fails(folder / "bomb", data, "= 7,840 bytes, but more follow")


def test_F23_an_xz_file_that_asks_for_a_dictionary_of_4_gib(folder, idx_bytes):
    array = pictures((2, 3, 3))
    packed = bytearray(lzma.compress(idx_bytes(array)))
    block = slice(12, 12 + 4 * (packed[12] + 1))  # the header of the only block follows the 12 bytes of the stream's
    properties = packed.index(b"\x21\x01", block.start) + 2  # LZMA2, one byte of properties: the size of its dictionary
    packed[properties] = 40
    packed[block.stop - 4 : block.stop] = struct.pack("<I", zlib.crc32(packed[block.start : block.stop - 4]))
    path = folder / "dictionary"
    path.write_bytes(packed)
    before = resident_bytes()
    with suppress(DatasetError):  # on a machine that does not promise more memory than it has
        np.testing.assert_array_equal(read_idx(path), array)
    assert resident_bytes() - before < 64 * 2**20


def resident_bytes():
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  (not a real file)
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_F23_no_memory_is_one_error(folder, idx_bytes, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(idx, "_payload", exhausted)
    fails(folder / "large", idx_bytes(pictures((2, 2, 2))), "does not fit into memory")


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n" + bytes(9), b"hello world", b"\0\0\x08\x05" + bytes(20), b"\0\0\x08\0" * 3]
)
def test_other_files_are_told_by_their_first_bytes(folder, data):
    fails(folder / "other", data, f"is not an IDX file of bytes: it starts with the bytes {data[:4].hex(' ')}")


@pytest.mark.parametrize("kind", [0x09, 0x0D])
def test_other_types_are_refused(folder, idx_bytes, kind):
    fails(folder / "typed", idx_bytes(pictures((2, 3)), kind), f"is not an IDX file of bytes: .*00 00 {kind:02x}")


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (5, 0, 28)])
def test_F29_no_pictures_are_one_error(folder, shape):
    assert math.prod(shape) == 0
    fails(folder / "none", header(shape), "holds an array with nothing in it: [05]")


def test_F29_one_picture_of_one_pixel_is_enough(folder):
    path = folder / "one"
    path.write_bytes(header((1, 1, 1)) + b"\x07")
    assert read_idx(path).tolist() == [[[7]]]


def test_a_missing_file_and_a_folder_are_one_error_each(folder):
    with pytest.raises(DatasetError, match="does not exist"):
        read_idx(folder / "nowhere")
    with pytest.raises(DatasetError, match="is a directory"):
        read_idx(str(folder))
