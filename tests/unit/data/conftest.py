"""IDX files for the tests of pictures, written by means that the code under test does not share."""

import gzip
import io
import lzma
import struct
import zipfile

import pytest
from PIL import Image


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


@pytest.fixture(autouse=True)
def _an_empty_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def picture_bytes():
    """``(format, size, mode, colour, **options)`` -> the bytes of a picture of one colour."""

    def build(kind="PNG", size=(12, 10), mode="RGB", colour=(200, 30, 60), **options):
        buffer = io.BytesIO()
        Image.new(mode, size, colour).save(buffer, kind, **options)
        return buffer.getvalue()

    return build


@pytest.fixture
def photos(tmp_path, picture_bytes):
    """A folder of twelve red, green and blue pictures of 12 x 10, in three sub-folders named after their colours."""
    folder = tmp_path / "My Photos"
    colours = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}
    for name, colour in colours.items():
        (folder / name).mkdir(parents=True)
        for i in range(4):
            (folder / name / f"{i}.png").write_bytes(picture_bytes(colour=(*colour[:2], colour[2] + i)))
    return folder


@pytest.fixture
def zipped():
    """``(folder, path, compression)`` -> the path of a zip archive of all that is below the folder."""

    def build(folder, path, compression=zipfile.ZIP_STORED):
        with zipfile.ZipFile(path, "w", compression) as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(folder))
        return path

    return build
