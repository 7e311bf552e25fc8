import tarfile

import numpy as np
import pytest

from gancli.config.schema import DataConfig
from gancli.data import load_images
from gancli.errors import DatasetError, GancliError


def rows(n, labels):
    rng = np.random.default_rng(n)
    table = rng.integers(0, 256, (n, labels + 3072), np.uint8)
    table[:, :labels] = rng.integers(0, 10, (n, labels))
    return table


@pytest.fixture
def ten(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for i in range(1, 6):
        (folder / f"data_batch_{i}.bin").write_bytes(rows(20 + i, 1).tobytes())
    (folder / "test_batch.bin").write_bytes(rows(10, 1).tobytes())
    (folder / "batches.meta.txt").write_text("airplane automobile bird cat deer dog frog horse ship truck\n")
    return folder


def loaded(path, split="train"):
    return load_images(DataConfig(dataset=str(path)), split).images


def test_cifar_10(ten):
    data, first = loaded(ten), rows(21, 1)
    assert data.images.shape == (115, 3, 32, 32)
    assert data.class_names[3] == "cat"
    assert data.labels[:21].tolist() == first[:, 0].tolist()
    assert data.images[0].flatten().tolist() == first[0, 1:].tolist()
    assert len(loaded(ten, "test").images) == 10


def test_the_archive_as_it_is_downloaded(ten, tmp_path):
    with tarfile.open(tmp_path / "cifar.tar.gz", "w:gz") as archive:
        archive.add(ten, ten.name)
    assert loaded(tmp_path / "cifar.tar.gz").images.equal(loaded(ten).images)


def test_cifar_100_has_the_fine_labels(tmp_path):
    table = rows(30, 2)
    (tmp_path / "train.bin").write_bytes(table.tobytes())
    assert loaded(tmp_path).labels.tolist() == table[:, 1].tolist()
    with pytest.raises(DatasetError, match="holds no test batch of CIFAR"):
        loaded(tmp_path, "test")


def test_without_this_distribution_it_is_named(ten, monkeypatch):
    monkeypatch.setenv("GANCLI_PLUGINS", "")
    with pytest.raises(GancliError, match="gancli-hub"):
        loaded(ten)


def test_F12_half_a_row_is_one_error(ten):
    (ten / "data_batch_2.bin").write_bytes(b"x" * 100)
    with pytest.raises(DatasetError, match="not a whole number of rows of 3,073"):
        loaded(ten)


def test_F13_a_label_beyond_the_classes_is_one_error(ten):
    table = rows(5, 1)
    table[2, 0] = 200
    (ten / "data_batch_2.bin").write_bytes(table.tobytes())
    with pytest.raises(DatasetError, match="hold the label 200, of 10 classes"):
        loaded(ten)


def test_a_missing_batch_is_noted(ten):
    (ten / "data_batch_4.bin").unlink()
    data = loaded(ten)
    assert data.images.shape[0] == 115 - 24
    assert any(note.startswith("Only 4 of 5 batches are there: data_batch_1.bin,") for note in data.notes)
