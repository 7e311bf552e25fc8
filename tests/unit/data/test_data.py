from hashlib import sha256

import numpy as np
import pytest
import torch

from gancli import data
from gancli.config.schema import DataConfig
from gancli.data import fingerprint, load_images
from gancli.errors import ConfigError, DatasetError, PluginError
from gancli.plugin import Dataset, ImageSet
from gancli.plugins import registry
from gancli.plugins.registry import Entry, dataset_defaults

GREY = np.arange(4 * 3 * 5, dtype=np.uint8).reshape(4, 3, 5)
LABELS = np.array([2, 0, 2, 1], np.uint8)


class Tiny(Dataset):
    api = 1
    summary = "four pictures"
    licence = "CC0"
    defaults = {"train.batch_size": 2}  # noqa: RUF012  (as a plugin writes it)

    def load(self, split="train"):
        return ImageSet(torch.zeros(4, 1, 3, 5, dtype=torch.uint8), notes=(split,))


@pytest.fixture
def tiny(monkeypatch):
    """The only registered data set: ``tiny``, of the distribution ``acme`` 2.0."""
    entry = Entry("tiny", "gancli.datasets", "acme:Tiny", "acme", "2.0")
    monkeypatch.setattr(registry.DATASETS, "entries", lambda: [entry])
    monkeypatch.setattr(registry.DATASETS, "load_entry", lambda _: Tiny)


@pytest.fixture
def folder(tmp_path, write_idx):
    write_idx(tmp_path / "My Digits" / "train-images-idx3-ubyte.gz", GREY)
    write_idx(tmp_path / "My Digits" / "train-labels-idx1-ubyte.gz", LABELS)
    return tmp_path / "My Digits"


def test_mnist_by_name():
    loaded = load_images(DataConfig(dataset="mnist"), "test")
    assert (loaded.name, loaded.source.split()[0]) == ("mnist", "mnist")
    assert loaded.images.images.shape == (10_000, 1, 28, 28)
    assert "BY-SA" in loaded.licence


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", ["tiny", "acme/tiny"])
def test_a_plugin_by_name_or_by_distribution_and_name(name):
    loaded = load_images(DataConfig(dataset=name), "test")
    assert (loaded.name, loaded.source, loaded.licence) == ("tiny", "tiny (acme 2.0)", "CC0")
    assert loaded.images.notes == ("test",)
    assert dataset_defaults(name) == {"train.batch_size": 2}


@pytest.mark.usefixtures("tiny")
def test_a_registered_name_wins_over_a_file_of_that_name_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    *_, note = load_images(DataConfig(dataset="tiny")).images.notes
    assert note == "This is the data set tiny; for the file or folder of that name, write ./tiny."
    with pytest.raises(DatasetError, match="holds no image\\. Images end in"):
        load_images(DataConfig(dataset="./tiny"))


def test_a_folder_of_idx_files(folder):
    loaded = load_images(DataConfig(dataset=str(folder)))
    assert loaded.name == "my-digits"
    assert loaded.source == str(folder / "train-images-idx3-ubyte.gz")
    assert loaded.images.labels.tolist() == LABELS.tolist()
    assert loaded.licence == ""
    assert dataset_defaults(str(folder)) == {}


def test_one_file_with_labels_given(folder, write_idx):
    labels = write_idx(folder.parent / "mine", LABELS[::-1])
    config = DataConfig(dataset=str(folder / "train-images-idx3-ubyte.gz"), labels=str(labels))
    assert load_images(config).images.labels.tolist() == LABELS[::-1].tolist()


def test_labels_that_are_given_but_missing_are_an_error(folder):
    with pytest.raises(DatasetError, match="nowhere' does not exist"):
        load_images(DataConfig(dataset=str(folder), labels=str(folder / "nowhere")))


def test_a_bare_name_that_exists_here_is_a_path(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert load_images(DataConfig(dataset=folder.name)).name == "my-digits"


def test_a_tilde_is_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load_images(DataConfig(dataset=f"~/{folder.name}")).name == "my-digits"


@pytest.mark.parametrize("path", ["./mnits", "~nobody-of-that-name/x", "/nowhere/at/all", "a/b", "c300.npz", "PICTURES.ZIP"])
def test_what_looks_like_a_path_is_missed_as_one(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="does not exist"):
        load_images(DataConfig(dataset=path))


def test_F27_a_link_that_leads_to_itself_is_one_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DatasetError, match="leads back to itself"):
        load_images(DataConfig(dataset="loop"))


@pytest.mark.parametrize("name", ["mnits", "nul\0byte"])
def test_an_unknown_name_is_the_registrys_error(name):
    with pytest.raises(DatasetError, match="There is no data set"):
        load_images(DataConfig(dataset=name))
    with pytest.raises(DatasetError, match="There is no data set"):
        dataset_defaults(name)


@pytest.mark.usefixtures("tiny")
def test_labels_for_a_data_set_that_has_its_own():
    with pytest.raises(ConfigError, match=r"data\.labels is 'x', but the data set 'tiny' has labels of its own"):
        load_images(DataConfig(dataset="tiny", labels="x"))


def test_F29_one_picture_is_a_data_set(tmp_path, write_idx):
    path = write_idx(tmp_path / "one.idx", GREY[:1])
    assert load_images(DataConfig(dataset=str(path))).images.images.shape == (1, 1, 3, 5)


PIXELS = torch.zeros(4, 1, 3, 5, dtype=torch.uint8)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (ImageSet(PIXELS.float()), "images of type torch.float32"),
        (ImageSet(PIXELS.numpy()), "ndarray, not torch.Tensor"),
        (ImageSet(PIXELS, np.zeros(4, np.int64), ("a",)), "ndarray, not torch.Tensor"),
        (ImageSet(PIXELS[0]), r"shape \(1, 3, 5\), not uint8 \(n, c, h, w\)"),
        (ImageSet(PIXELS[:0]), r"shape \(0, 1, 3, 5\)"),
        (ImageSet(PIXELS, torch.zeros(4), ("a",)), "labels of type torch.float32"),
        (ImageSet(PIXELS, torch.zeros(3, dtype=torch.int64), ("a",)), r"not int64 \(4,\)"),
        (ImageSet(PIXELS, torch.arange(4) - 1, ("a", "b", "c")), "labels from -1 to 2, with 3 names"),
        (ImageSet(PIXELS, torch.arange(4), ("a", "b", "c")), "labels from 0 to 3, with 3 names"),
    ],
)
def test_F38_a_plugin_that_breaks_the_contract_is_named(monkeypatch, broken, words):
    monkeypatch.setattr(Tiny, "load", lambda *_: broken)
    with pytest.raises(PluginError, match=f"The data set 'tiny' returned .*{words}.*authors of acme/tiny"):
        load_images(DataConfig(dataset="tiny"))


def test_the_fingerprint_is_documented_bytes():
    images = ImageSet(torch.from_numpy(GREY).unsqueeze(1), torch.from_numpy(LABELS).long(), ("0", "1", "2"))
    expected = sha256(b"torch.uint8 (4, 1, 3, 5)\n" + GREY.tobytes() + b"torch.int64 (4,)\n" + LABELS.astype("<i8").tobytes())
    assert fingerprint(images) == expected.hexdigest()


def test_the_fingerprint_tells_shapes_pixels_and_labels_apart():
    pixels = torch.from_numpy(GREY.copy()).unsqueeze(1)
    changed = pixels.clone()
    changed[3, 0, 2, 4] ^= 1
    zeros, ones = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    sets = [(pixels, None), (changed, None), (pixels.reshape(4, 1, 5, 3), None), (pixels, zeros), (pixels, ones)]
    assert len({fingerprint(ImageSet(*some)) for some in sets}) == len(sets)
    assert fingerprint(ImageSet(pixels)) == fingerprint(ImageSet(pixels.clone().permute(0, 1, 3, 2).permute(0, 1, 3, 2)))


def test_public_names():
    assert data.__all__ == [
        *("Loaded", "Source", "Watch", "fingerprint", "load_images", "open_data", "open_source", "unwatched"),
    ]
