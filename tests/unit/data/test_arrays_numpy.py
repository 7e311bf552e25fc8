import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from gancli.config.schema import DataConfig
from gancli.data import load_images
from gancli.errors import DatasetError

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), np.uint8)
LABELS = np.array([2, 0, 2, 1])


def loaded(path, split="train"):
    return load_images(DataConfig(dataset=str(path)), split).images


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (PIXELS, (4, 3, 6, 5)),
        (PIXELS[..., 0], (4, 1, 6, 5)),
        (PIXELS.transpose(0, 3, 1, 2), (4, 3, 6, 5)),
        (np.asfortranarray(PIXELS), (4, 3, 6, 5)),
    ],
)
def test_any_order_of_axes_comes_channels_first(tmp_path, array, shape):
    np.save(tmp_path / "x.npy", array)
    images = loaded(tmp_path / "x.npy").images
    assert images.shape == shape
    assert images.is_contiguous()
    assert images[2, 0].tolist() == PIXELS[2, :, :, 0].tolist()


@pytest.mark.parametrize(
    ("x", "y"), [("images", "labels"), ("x_train", "y_train"), ("train_images", "train_labels"), ("arr_0", "arr_1")]
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_has_pictures_and_labels(tmp_path, x, y, save):
    save(tmp_path / "x.npz", **{x: PIXELS, y: LABELS.reshape(-1, 1)})
    data = loaded(tmp_path / "x.npz")
    assert data.images.shape == (4, 3, 6, 5)
    assert data.labels.tolist() == LABELS.tolist()
    assert data.class_names == ("0", "1", "2")


def test_a_split_is_an_array_of_its_own(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=PIXELS, x_test=PIXELS[:1])
    assert len(loaded(tmp_path / "x.npz", "test").images) == 1
    np.savez(tmp_path / "y.npz", images=PIXELS)
    with pytest.raises(DatasetError, match="holds images, but no test images"):
        loaded(tmp_path / "y.npz", "test")


class Evil:
    def __reduce__(self):
        raise AssertionError("pickled")


def test_F16_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(DatasetError, match="holds an array of object"):
        loaded(tmp_path / "x.npy")
    (tmp_path / "y.npy").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DatasetError):
        loaded(tmp_path / "y.npy")


def npy(shape, data, dtype="|u1"):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


@pytest.mark.parametrize(
    "shape", ["(10, 10, 10)", "(1000000, 1000, 1000)", "(99999999999999999999, 2, 2)", "(0, 2, 2)", "(-1, 2, 2)", "()"]
)
def test_F20_a_header_that_lies_is_refused_before_anything_is_allocated(tmp_path, shape):
    (tmp_path / "x.npy").write_bytes(npy(shape, bytes(20)))
    with pytest.raises(DatasetError):
        loaded(tmp_path / "x.npy")


@pytest.mark.parametrize("text", ["(" * 5000, "{'shape': ", "__import__('os').abort()", "1e999999", "[" * 90, "'" * 3])
def test_F20_a_header_that_is_no_header_is_one_error(tmp_path, text):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(500))
    with pytest.raises(DatasetError, match="damaged or not a file of arrays"):
        loaded(tmp_path / "x.npy")


@pytest.mark.parametrize("shape", ["(True, 4, 5)", "('a', 4, 5)", "(2.0, 4, 5)", "None", "5"])
def test_F20_a_shape_that_is_no_shape_is_one_error(tmp_path, shape):
    (tmp_path / "x.npy").write_bytes(npy(shape, bytes(500)))
    with pytest.raises(DatasetError):
        loaded(tmp_path / "x.npy")


@pytest.mark.parametrize(("shape", "doubtful"), [((4, 3, 6, 3), True), ((4, 3, 6, 5), False), ((4, 6, 5, 3), False)])
def test_channels_first_or_last_is_said_where_both_could_be_meant(tmp_path, shape, doubtful):
    np.save(tmp_path / "x.npy", np.zeros(shape, np.uint8))
    notes = loaded(tmp_path / "x.npy").notes
    assert any("taken as images of 3x6 with 3 channels" in note for note in notes) == doubtful


def test_F21_a_bomb_in_an_archive_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gancli.data.arrays.FREE_BYTES", 2**20)
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("images.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy("(2, 1000, 1000)", b""))
        member.write(bytes(2_000_000))
    (tmp_path / "x.npz").write_bytes(buffer.getvalue())
    with pytest.raises(DatasetError, match="No images shrink more than 200 times"):
        loaded(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": PIXELS.astype(np.float32)}, "images of type float32"),
        ({"images": PIXELS.astype(np.int32)}, "images of type int32"),
        ({"images": LABELS.astype(np.uint8)}, "which is not images"),
        ({"images": PIXELS, "labels": LABELS[:2]}, "labels 2 for 4 images"),
        ({"images": PIXELS, "labels": LABELS - 5}, "labels from -5 to -3"),
        ({"thing": PIXELS}, "holds thing, but no train images"),
    ],
)
def test_what_is_no_set_of_pictures_is_one_error(tmp_path, arrays, words):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DatasetError, match=words):
        loaded(tmp_path / "x.npz")


def test_F12_a_cut_file_is_one_error(tmp_path):
    np.savez(tmp_path / "x.npz", images=PIXELS)
    data = (tmp_path / "x.npz").read_bytes()
    for length in range(5, len(data), 37):
        (tmp_path / "x.npz").write_bytes(data[:length])
        with pytest.raises(DatasetError):
            loaded(tmp_path / "x.npz")


def test_what_gancli_samples_can_be_trained_on(tmp_path):
    np.savez(tmp_path / "x.npz", images=PIXELS[..., 0])
    assert loaded(tmp_path / "x.npz").images.shape == (4, 1, 6, 5)
