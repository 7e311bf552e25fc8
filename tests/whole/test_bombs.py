"""Bombs of real size are refused."""

import gzip
import lzma
import tracemalloc
from contextlib import contextmanager

import pytest

from gancli.data.arrays import header, read_idx
from gancli.errors import DatasetError

COMPRESS = {"plain": bytes, "gzip": gzip.compress, "xz": lzma.compress}


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


def fails(path, data, words):
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=words) as caught:
        read_idx(path)
    assert path.name in str(caught.value)
    assert caught.value.remedy
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("compression", ["gzip", "xz"])
def test_F23_a_bomb_behind_a_small_header_is_not_unpacked(folder, compression):
    data = COMPRESS[compression](header((10, 28, 28)) + bytes(2**26))
    with at_most(20):
        fails(folder / "bomb", data, "= 7,840 bytes, but more follow")
