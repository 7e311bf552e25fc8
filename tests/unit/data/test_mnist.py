import lzma
import socket
from hashlib import sha256
from importlib.resources import files

import pytest
import torch

from gancli.data import mnist
from gancli.data.mnist import StackedMnist
from gancli.errors import DatasetError

CANONICAL = {
    "train-images-idx3-ubyte": (47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": (60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": (7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": (10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
FOLDER = files("gancli.data") / "files"


@pytest.mark.parametrize("name", CANONICAL)
def test_embedded_files_are_the_canonical_ones_byte_for_byte(name):
    data = lzma.decompress((FOLDER / f"{name}.xz").read_bytes())
    assert (len(data), sha256(data).hexdigest()) == CANONICAL[name]


def test_embedded_files_are_small():
    sizes = {name: len((FOLDER / f"{name}.xz").read_bytes()) for name in CANONICAL}
    assert sum(sizes[name] for name in sizes if name.startswith("train")) < 8e6
    assert sum(sizes.values()) < 10e6
    assert {path.name for path in FOLDER.iterdir()} == {"NOTICE", *(f"{name}.xz" for name in CANONICAL)}


def test_the_notice_names_licence_authors_origin_and_changes():
    notice = (FOLDER / "NOTICE").read_text()
    for words in ("Yann LeCun", "Corinna Cortes", "NIST", "Attribution-Share Alike 3.0", "by-sa/3.0", "Changes made"):
        assert words in notice


@pytest.fixture(scope="module")
def train():
    return mnist.Mnist().load()


@pytest.fixture(scope="module")
def test():
    return mnist.Mnist().load("test")


def test_training_set_is_as_published(train):
    assert train.images.shape == (60_000, 1, 28, 28)
    assert train.images.dtype == torch.uint8
    assert train.images.is_contiguous()
    assert train.labels.dtype == torch.int64
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.images.float().mean().item() == pytest.approx(33.3184, abs=1e-3)
    assert train.class_names == tuple("0123456789")
    assert train.spec(conditional=True).classes == 10


def test_test_set_is_as_published(test):
    assert test.images.shape == (10_000, 1, 28, 28)
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_loading_touches_no_network(monkeypatch):
    def refused(*_, **__):
        raise AssertionError("the network was touched")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refused)
    assert len(mnist.Mnist().load("test").images) == 10_000


def test_a_changed_file_is_found_at_load(monkeypatch):
    monkeypatch.setitem(mnist.SHA256, "t10k-labels-idx1-ubyte", "0" * 64)
    with pytest.raises(DatasetError, match=r"It should be 0{64}\. Install gancli again\."):
        mnist.Mnist().load("test")


def test_an_unknown_split_names_the_known_ones():
    with pytest.raises(DatasetError, match=r"no split 'valid'\. Choose one of train, test\."):
        mnist.Mnist().load("valid")


@pytest.fixture(scope="module")
def stacked():
    return StackedMnist().load("test")


def test_every_channel_is_a_digit_of_its_split_with_the_label_that_the_class_says(stacked):
    digits = mnist.Mnist().load("test")
    known = {picture.numpy().tobytes(): int(label) for picture, label in zip(digits.images[:, 0], digits.labels, strict=True)}
    for picture, label in zip(stacked.images[:200], stacked.labels[:200], strict=True):
        assert "".join(str(known[channel.numpy().tobytes()]) for channel in picture) == stacked.class_names[label]


def test_it_is_the_same_set_every_time(stacked):
    again = StackedMnist().load("test")
    assert torch.equal(again.images, stacked.images)
    assert stacked.labels[:6].tolist() == again.labels[:6].tolist()


def test_channels_are_independent(stacked):
    tens, units = stacked.labels // 10 % 10, stacked.labels % 10
    assert float((tens == units).float().mean()) == pytest.approx(0.1, abs=0.01)


def test_an_unknown_split_of_stacked_mnist():
    with pytest.raises(DatasetError, match="no split 'valid'"):
        StackedMnist().load("valid")
