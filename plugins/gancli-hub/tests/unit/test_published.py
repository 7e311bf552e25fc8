"""Data sets that are found on the disk, known by their hashes, or downloaded."""

import gzip
from hashlib import sha256

import numpy as np
import pytest

from gancli.errors import DatasetError, DownloadError
from gancli.plugins.registry import DATASETS
from gancli_hub.mnist import FashionMnist, Kmnist, Published

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
LABELS = (np.arange(12) % 10).astype(np.uint8)


@pytest.fixture
def small(tmp_path, idx_bytes, monkeypatch):
    """A relative of twelve pictures, whose published files lie in the folder of the second value."""
    monkeypatch.setenv("GANCLI_OFFLINE", "1")
    published, contents = {}, {}
    place = tmp_path / "place"
    place.mkdir()
    for name, array in {"train-images-idx3-ubyte": PIXELS, "train-labels-idx1-ubyte": LABELS}.items():
        content = idx_bytes(array)
        packed = gzip.compress(content, mtime=0)
        (place / f"{name}.gz").write_bytes(packed)
        published[name] = (len(packed), sha256(packed).hexdigest())
        contents[name] = sha256(content).hexdigest()

    class Small(Published):
        api, summary, folder = 1, "", "small"
        mirrors, classes = ("http://127.0.0.1:9/",), tuple("0123456789")

        def places(self):
            yield place

    Small.published, Small.contents = published, contents
    return Small, place


def test_files_on_the_disk_are_known_by_their_hash(small):
    data = small[0]().load()
    assert data.images.shape == (12, 1, 28, 28)
    assert data.labels.tolist() == LABELS.tolist()


def test_files_that_were_compressed_again_are_known_by_their_content(small, idx_bytes):
    (small[1] / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(PIXELS), 1, mtime=1))
    assert small[0]().load().images.shape == (12, 1, 28, 28)


def test_files_of_other_content_are_refused(small, idx_bytes):
    (small[1] / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(PIXELS[::-1].copy())))
    with pytest.raises(DatasetError, match="is not small's train-images-idx3-ubyte"):
        small[0]().load()


def test_files_that_are_nowhere_have_to_be_downloaded(small):
    (small[1] / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DownloadError, match="GANCLI_OFFLINE forbids it"):
        small[0]().load()


@pytest.mark.parametrize(("name", "plugin"), [("fashion-mnist", FashionMnist), ("kmnist", Kmnist)])
def test_they_are_found_by_name(name, plugin):
    assert DATASETS.load(name) is plugin
    assert len(plugin.classes) == 10
    assert plugin.licence
    for file, (size, digest) in plugin.published.items():
        assert size > 5000
        assert len(digest) == 64
        assert len(plugin.contents.get(file, digest)) == 64


def test_an_unknown_split_of_the_others_names_the_known_ones():
    with pytest.raises(DatasetError, match="Choose one of train, test"):
        FashionMnist().load("valid")


def test_fashion_mnist_as_debian_packs_it():
    from pathlib import Path

    if not Path("/usr/share/datasets/fashion-mnist").is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    data = FashionMnist().load("test")
    assert data.images.shape == (10_000, 1, 28, 28)
    assert data.class_names[int(data.labels[0])] == "Ankle boot"


@pytest.mark.parametrize(("words", "announced"), [([], 1), (["-q"], 0)])
def test_a_download_is_announced_unless_quiet(cli, monkeypatch, caplog, tmp_path, words, announced):
    caplog.set_level("WARNING", "gancli")  # puts back afterwards what -q sets
    monkeypatch.delenv("GANCLI_OFFLINE", raising=False)
    monkeypatch.setattr(Kmnist, "places", lambda _: iter(()))
    monkeypatch.setattr(Kmnist, "mirrors", ("http://127.0.0.1:9/",))
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    refused = cli(*words, "train", "--dataset", "kmnist", "--device", "cpu")
    assert refused.code == 10
    assert len([said for said in caplog.messages if said.startswith("downloading")]) == announced
