import io
import struct
import zipfile
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import gancli
from gancli.config.schema import DataConfig
from gancli.errors import DatasetError, UsageError
from gancli.sampling.sample import Request, write
from gancli_evaluate.reference import of_size
from gancli_evaluate.subject import of_images, of_model, refuse_other_shape, size_at


@pytest.fixture(scope="module")
def model(small_run):
    return gancli.load(small_run)


def drawn(subject):
    return torch.cat(list(subject.draw()))


def test_a_folder_an_archive_and_the_model_itself_are_the_same_pictures(model, tmp_path):
    for target in ("folder/", "images.npz"):
        write(model, Request(range(5, 25), str(tmp_path / target) + ("/" if target.endswith("/") else "")))
    itself = of_model(model, 20, seed=5)
    for path in ("folder", "images.npz"):
        subject = of_images(tmp_path / path, 1)
        assert (subject.shape, subject.count) == ((1, 8, 8), 20) == (itself.shape, itself.count)
        torch.testing.assert_close(drawn(subject), drawn(itself), atol=1 / 127, rtol=0)
    assert of_images(tmp_path / "folder", 1, 3).count == 3
    assert of_images(tmp_path / "images.npz", 1, 3).count == 3


def test_a_models_subject_knows_its_run_and_classes(model, small_run, small_conditional_run):
    assert of_model(model, 3).run == small_run
    assert of_model(model, 3).asked is None
    asked = of_model(gancli.load(small_conditional_run), 7)
    assert asked.asked.tolist() == [0, 1, 2, 0, 1, 2, 0]
    torch.testing.assert_close(drawn(asked), drawn(asked))


def test_anything_that_draws_can_be_evaluated(model, tmp_path):
    drawer = SimpleNamespace(
        image=model.image,
        origin=SimpleNamespace(run="x", step=3, weights="ema", digest="d", checkpoint=tmp_path / "x.onnx"),
        batches=lambda seeds, labels=None: iter([torch.zeros(len(seeds), 1, 8, 8)]),  # noqa: ARG005  (the signature is given)
        classes=lambda n, labels=None: None,  # noqa: ARG005  (the signature is given)
    )
    subject = of_model(drawer, 4)
    assert (subject.title, subject.run, len(drawn(subject))) == ("x, step 3, ema weights", None, 4)


def test_seeds_out_of_range_are_refused_at_once(model):
    with pytest.raises(UsageError, match="out of range"):
        of_model(model, 10, seed=-1)


def test_colour_folders_of_grey_data_are_read_as_grey(tmp_path):
    Image.new("RGB", (6, 5), (200, 200, 200)).save(tmp_path / "a.jpg")
    Image.new("P", (6, 5)).save(tmp_path / "b.png")
    (tmp_path / "notes.txt").write_text("")
    grey, colour = of_images(tmp_path, 1), of_images(tmp_path, 3)
    assert (grey.shape, colour.shape) == ((1, 5, 6), (3, 5, 6))
    assert grey.notes[0].endswith(" is stored in colour, and compared in grey, as the data are.")
    assert grey.notes[0].startswith("1 image of ")
    assert colour.notes[0].endswith(" is stored in grey, and compared in colour, as the data are.")


def test_F25_odd_folders_are_one_line(tmp_path):
    with pytest.raises(DatasetError, match="holds no images"):
        of_images(tmp_path, 1)
    Image.new("L", (6, 5)).save(tmp_path / "a.png")
    Image.new("L", (6, 7)).save(tmp_path / "b.png")
    with pytest.raises(DatasetError, match=r"images of 6x5 and 6x7 \('b.png'\)"):
        of_images(tmp_path, 1)
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(DatasetError, match=r"b\.png' cannot be read as an image"):
        of_images(tmp_path, 1)


def test_what_can_be_trained_on_can_be_evaluated(tmp_path):
    """Every mode and format, and every container, is read by the same means."""
    folder = tmp_path / "folder"
    (folder / "deeper").mkdir(parents=True)
    Image.fromarray(np.full((5, 6), 65535, np.uint16)).save(folder / "a.png")
    Image.new("RGB", (6, 5), "white").save(folder / "b.GIF")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5, 6), "white").save(folder / "deeper" / "c.JFIF", "JPEG", exif=exif)
    Image.new("LA", (6, 5), (0, 0)).save(folder / "deeper" / "d.webp", lossless=True)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for picture in folder.rglob("*.*"):
            file.write(picture, picture.relative_to(folder))
    for path in (folder, tmp_path / "x.zip"):
        subject = of_images(path, 1)
        assert (subject.count, subject.shape) == (4, (1, 5, 6))
        assert drawn(subject).min() > 0.98


def test_F24_a_decompression_bomb_is_refused(tmp_path):
    Image.new("L", (60, 50)).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DatasetError, match="cannot be read as an image: more than 89,478,485 pixels"):
        of_images(tmp_path, 1)


def archive(path, name, array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, buffer.getvalue())
    return path


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("pictures.npy", np.zeros((2, 4, 4), np.uint8), "holds pictures, but no train images"),
        ("images.npy", np.zeros((2, 4, 4), np.float32), "images of type float32"),
        ("images.npy", np.zeros((4, 4), np.uint8), "which is not images"),
        ("images.npy", np.zeros((0, 4, 4), np.uint8), "0 x 4 x 4"),
    ],
)
def test_odd_archives_are_one_line(tmp_path, name, array, words):
    with pytest.raises(DatasetError, match=words):
        of_images(archive(tmp_path / "a.npz", name, array), 1)


def test_F16_a_pickle_in_an_archive_is_not_unpickled(tmp_path):
    with pytest.raises(DatasetError, match="array of object"):
        of_images(archive(tmp_path / "a.npz", "images.npy", np.array([{}], dtype=object)), 1)


def test_F21_a_zip_bomb_is_refused_before_it_unpacks(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.npz", "images.npy", np.zeros((9, 40, 40), np.uint8))
    monkeypatch.setattr("gancli.data.arrays.MAX_BYTES", 1000)
    with pytest.raises(DatasetError, match="At most 1,000 bytes are read"):
        of_images(path, 1)


def test_a_file_of_another_kind_is_one_line(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DatasetError, match="is not a supported data set"):
        of_images(tmp_path / "a.txt", 1)


def test_pictures_of_another_shape_cannot_be_compared(model):
    with pytest.raises(UsageError, match=r"1x8x8, those of the data set 'mnist' 1x28x28\. Make them that size, or name"):
        refuse_other_shape(of_model(model, 3), (1, 28, 28), "mnist")


def test_the_size_of_images_is_that_of_their_files(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (90, 70)).save(tmp_path / "images" / "a.png")
    np.savez(tmp_path / "x.npz", images=np.zeros((3, 9, 7), np.uint8))
    assert size_at(tmp_path / "images") == (70, 90)
    assert size_at(tmp_path / "x.npz") == (9, 7)


def test_encoded_images_are_read_in_the_size_that_they_are_compared_in(tmp_path, monkeypatch):
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "images").mkdir()
    Image.new("RGB", (90, 70)).save(tmp_path / "images" / "a.png")
    data = DataConfig(dataset=str(tmp_path / "images"), fit="pad")
    assert of_size(data, (16, 24)).image_size == "16x24"
    assert of_size(data, (64, 64)) == data  # the size that it has anyway
    assert of_size(data.model_copy(update={"image_size": "32"}), (16, 24)).image_size == "32"
    assert of_size(DataConfig(dataset="mnist"), (16, 16)).image_size is None
