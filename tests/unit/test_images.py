import json
import struct
import zlib
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gancli.errors import DatasetError, UsageError
from gancli.images import (
    MAX_PIXELS,
    PADDING,
    grid,
    grid_columns,
    read_metadata,
    refuse_huge_grid,
    to_bytes,
    to_picture,
    to_png,
)

SMALL = st.integers(1, 9)


def pictures(n, height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, channels), np.uint8)


def png(tmp_path, *chunks, size=(1, 1)):
    """A hand-made PNG with these chunks between its header and its end."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">2I5B", *size, 8, 0, 0, 0, 0))
    path = tmp_path / "made.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*c) for c in chunks) + chunk(b"IEND", b""))
    return path


def test_every_byte_survives_normalisation_and_back():
    pixels = torch.arange(256, dtype=torch.uint8)
    images = (pixels.float() / 127.5 - 1).view(1, 1, 16, 16)
    assert np.array_equal(to_bytes(images).ravel(), pixels.numpy())


@given(st.integers(0, 2**32 - 1))
def test_an_array_and_a_tensor_give_the_same_bytes(seed):
    images = np.random.default_rng(seed).normal(size=(3, 2, 4, 5)).astype(np.float32)
    levels = (np.arange(255, dtype=np.float32) + 0.5) / np.float32(127.5) - 1
    images.ravel()[:60] = levels[seed % 190 :][:60]  # halves are where roundings may part
    before = images.copy()
    from_array, from_tensor = to_bytes(images), to_bytes(torch.from_numpy(images))
    assert np.array_equal(from_array, from_tensor)
    assert from_array.flags.c_contiguous
    assert np.array_equal(images, before)


def test_what_is_out_of_range_is_clamped_and_channels_go_last():
    images = torch.tensor([-7.0, -1.0, 0.0, 1.0, 7.0, 0.5]).view(1, 3, 1, 2).requires_grad_()
    pixels = to_bytes(images)
    assert pixels.shape == (1, 1, 2, 3)
    assert pixels[0, 0].T.tolist() == [[0, 0], [128, 255], [255, 191]]


@given(n=SMALL, height=SMALL, width=SMALL, channels=st.integers(1, 4), columns=st.none() | SMALL, padding=st.integers(0, 3))
def test_a_grid_holds_every_picture_once_in_reading_order(n, height, width, channels, columns, padding):
    pixels = pictures(n, height, width, channels)
    canvas = grid(pixels, columns, padding)
    across = min(columns or grid_columns(n, height, width), n)
    tall, wide = refuse_huge_grid(n, height, width, columns, padding)
    assert canvas.shape == (tall, wide, channels)
    assert tall == -(-n // across) * (height + padding) + padding
    covered = np.zeros((tall, wide), bool)
    for i, picture in enumerate(pixels):
        top, left = padding + i // across * (height + padding), padding + i % across * (width + padding)
        assert np.array_equal(canvas[top : top + height, left : left + width], picture)
        covered[top : top + height, left : left + width] = True
    gaps = canvas[~covered]
    colours = gaps[:, :-1] if channels in {2, 4} else gaps
    assert (colours == 128).all()
    assert channels in {1, 3} or (gaps[:, -1] == 0).all()


@given(st.integers(1, 5000), st.integers(1, 300), st.integers(1, 300))
def test_a_grid_is_about_square_unless_the_pictures_forbid_it(n, height, width):
    columns = grid_columns(n, height, width)
    assert 1 <= columns <= n
    tall, wide = -(-n // columns) * height, columns * width
    assert tall <= wide + 2 * height or columns == n
    assert wide <= tall + 2 * width or columns == 1


def test_the_padding_is_thin():
    assert PADDING <= 2


@pytest.mark.parametrize("columns", [0, -1, -64])
def test_a_grid_has_columns(columns):
    with pytest.raises(UsageError, match=f"cannot have {columns} columns"):
        grid(pictures(4, 2, 2, 1), columns)


def test_a_huge_grid_is_refused_before_it_is_made():
    assert refuse_huge_grid(1, 8188, 8188) == (8192, 8192)
    with pytest.raises(UsageError, match=r"A grid of 1000000 images of 28x28 would be .* pixels\. .*-o folder/"):
        refuse_huge_grid(10**6, 28, 28)
    with pytest.raises(UsageError, match="64 megapixels"):
        refuse_huge_grid(MAX_PIXELS, 1, 1, columns=1)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_a_png_has_the_very_pixels(tmp_path, channels, mode):
    pixels = pictures(1, 5, 7, channels)[0]
    (tmp_path / "a.png").write_bytes(to_png(pixels))
    with Image.open(tmp_path / "a.png") as read:
        assert (read.format, read.mode, read.size) == ("PNG", mode, (7, 5))
        assert np.array_equal(np.asarray(read).reshape(5, 7, channels), pixels)
    assert to_picture(pixels).mode == mode


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.text(st.characters(codec="utf-8")) | st.integers() | st.none() | st.lists(st.integers()),
        min_size=1,
    )
)
def test_metadata_round_trip(tmp_path_factory, metadata):
    path = tmp_path_factory.mktemp("png") / "a.png"
    path.write_bytes(to_png(pictures(1, 2, 2, 1)[0], metadata))
    assert read_metadata(path) == metadata


def test_without_metadata_no_text_is_written():
    with Image.open(BytesIO(to_png(pictures(1, 2, 2, 1)[0], {}))) as read:
        assert read.info == {}


def test_a_picture_of_somebody_elses_is_refused(tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    with pytest.raises(DatasetError, match="carries no usable gancli metadata"):
        read_metadata(tmp_path / "a.png")


@pytest.mark.parametrize("text", [b"", b"[]", b"5", b"{", b'{"a": 1', b"[" * 100_000, b"\xff"])
def test_damaged_metadata_are_refused(tmp_path, text):
    with pytest.raises(DatasetError, match="carries no usable gancli metadata"):
        read_metadata(png(tmp_path, (b"tEXt", b"gancli\0" + text)))


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(20), b'{"gancli": 1}'], ids=["empty", "cut", "gif", "json"]
)
def test_F25_what_is_no_png_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"a\.png' cannot be read as PNG"):
        read_metadata(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(DatasetError, match="cannot be read as PNG"):
            read_metadata(path)


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_F24_a_picture_that_claims_to_be_huge_is_refused(tmp_path, side):
    path = png(tmp_path, (b"tEXt", b'gancli\0{"run": "x"}'), (b"IDAT", b""), size=(side, side))
    with pytest.raises(DatasetError, match=r"cannot be read as PNG: .*exceeds limit"):
        read_metadata(path)


def test_F21_a_text_that_unpacks_to_more_than_it_should_is_refused(tmp_path):
    bomb = zlib.compress(json.dumps({"run": "x" * 10**7}).encode())
    with pytest.raises(DatasetError):
        read_metadata(png(tmp_path, (b"zTXt", b"gancli\0\0" + bomb)))


@given(st.data())
def test_F13_a_damaged_picture_gives_metadata_or_one_kind_of_error(tmp_path_factory, data):
    content = bytearray(to_png(pictures(1, 2, 2, 1)[0], {"run": "x", "seeds": "0-3"}))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("png") / "a.png"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(DatasetError):
        assert isinstance(read_metadata(path), dict)
