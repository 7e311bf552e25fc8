import os
from pathlib import Path

import numpy as np
import pytest

from gancli.data import open_source
from gancli.data.arrays import find_images, find_labels, load_idx
from gancli.data.source import title
from gancli.errors import DatasetError

GREY = np.arange(4 * 3 * 5, dtype=np.uint8).reshape(4, 3, 5)
LABELS = np.array([2, 0, 2, 1], np.uint8)


@pytest.fixture
def mnist_like(tmp_path, write_idx):
    """A folder as MNIST's relatives come: four files, gzip."""
    for split in ("train", "t10k"):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte.gz", GREY)
        write_idx(tmp_path / f"{split}-labels-idx1-ubyte.gz", LABELS)
    return tmp_path


def load_pictures(images, labels):
    return load_idx(images, "train", labels and str(labels))[0]


def touch(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"?")


@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_a_folder_means_the_file_of_the_split(mnist_like, split, prefix):
    assert find_images(mnist_like, split).name == f"{prefix}-images-idx3-ubyte.gz"


@pytest.mark.parametrize(
    ("names", "split", "chosen"),
    [
        (["emnist-letters-train-images-idx3-ubyte", "emnist-letters-test-images-idx3-ubyte"], "test", 1),
        (["images-idx3-ubyte", "cat.png"], "train", 0),
        (["train-images-idx3-ubyte.xz", "train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"], "train", 2),
        (["train-images-idx3-ubyte", "emnist-train-images-idx3-ubyte"], "train", 0),
        (["train-images.idx3-ubyte", "t10k-images.idx3-ubyte"], "train", 0),
        (["latest-train-images-idx3-ubyte", "latest-test-images-idx3-ubyte"], "train", 0),
        (["extra-images-idx4-ubyte", "my-train-images-idx4-ubyte"], "train", 1),
    ],
)
def test_the_best_of_several_names_is_chosen(tmp_path, names, split, chosen):
    touch(tmp_path, *names)
    assert find_images(tmp_path, split).name == names[chosen]


def test_two_equally_good_names_are_listed(tmp_path):
    touch(tmp_path, "b-train-images-idx3-ubyte", "a-train-images-idx3-ubyte.gz")
    with pytest.raises(DatasetError, match=r"but a-train-images-idx3-ubyte\.gz, b-train-images-idx3-ubyte\. Give the path"):
        find_images(tmp_path, "train")


def test_grey_and_colour_of_one_name_are_not_confused(tmp_path):
    touch(tmp_path, "train-images-idx3-ubyte.gz", "train-images-idx4-ubyte")
    with pytest.raises(DatasetError, match=r"but train-images-idx3-ubyte\.gz, train-images-idx4-ubyte"):
        find_images(tmp_path, "train")


def test_a_folder_without_the_split_says_what_it_has(tmp_path):
    touch(tmp_path, "train-images-idx3-ubyte")
    with pytest.raises(DatasetError, match="exactly one file of test images, but train-images-idx3-ubyte"):
        find_images(tmp_path, "test")


def test_a_file_means_itself_whatever_its_name(tmp_path):
    touch(tmp_path, "digits", "t10k-images-idx3-ubyte")
    assert find_images(tmp_path / "digits", "train") == tmp_path / "digits"
    assert find_images(tmp_path / "t10k-images-idx3-ubyte", "test") == tmp_path / "t10k-images-idx3-ubyte"


def test_a_file_has_no_second_split(tmp_path):
    touch(tmp_path, "digits")
    with pytest.raises(DatasetError, match="is one file, without a test split"):
        find_images(tmp_path / "digits", "test")


def test_an_unknown_split_names_the_known_ones(tmp_path):
    with pytest.raises(DatasetError, match=r"no split 'valid'\. Choose one of train, test\."):
        open_source(str(tmp_path), "valid")


def test_F27_a_link_that_leads_to_itself_is_one_error(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DatasetError, match="leads back to itself"):
        find_images(tmp_path / "loop", "train")


def test_F27_a_pipe_with_a_well_known_name_is_refused(tmp_path):
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(DatasetError, match="is a named pipe"):
        load_pictures(find_images(tmp_path, "train"), None)


def test_F28_odd_names_in_a_folder_are_escaped(tmp_path):
    touch(tmp_path, "x\x1b[2J.p\nng", os.fsdecode(b"\xff.\xfe"))
    with pytest.raises(DatasetError) as caught:
        find_images(tmp_path, "train")
    assert str(caught.value).isprintable()


def test_F28_odd_names_keep_their_labels(tmp_path, write_idx):
    stem = "ü \n" + os.fsdecode(b"\xff")
    images = write_idx(tmp_path / f"{stem}images-idx3-ubyte", GREY)
    labels = write_idx(tmp_path / f"{stem}labels-idx1-ubyte.xz", LABELS)
    assert find_images(tmp_path, "train") == images
    assert find_labels(images) == labels


def test_a_missing_folder_is_one_error(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        find_images(tmp_path / "nowhere", "train")
    touch(tmp_path, "file")
    with pytest.raises(DatasetError, match="does not exist"):
        load_pictures(find_images(tmp_path / "file" / "below", "train"), None)


@pytest.mark.parametrize("compression", ["", ".gz", ".xz"])
@pytest.mark.parametrize("other", ["", ".gz", ".xz"])
def test_labels_are_found_in_any_compression(tmp_path, write_idx, compression, other):
    images = write_idx(tmp_path / f"train-images-idx3-ubyte{compression}", GREY)
    labels = write_idx(tmp_path / f"train-labels-idx1-ubyte{other}", LABELS)
    assert find_labels(images) == labels


def test_labels_in_the_pictures_own_compression_come_first(mnist_like, write_idx):
    write_idx(mnist_like / "train-labels-idx1-ubyte", LABELS)
    assert find_labels(mnist_like / "train-images-idx3-ubyte.gz") == mnist_like / "train-labels-idx1-ubyte.gz"


def test_labels_of_an_ordinary_name_are_not_guessed(mnist_like):
    assert find_labels(mnist_like / "digits") is None


def test_grey_pictures_and_their_labels(mnist_like):
    loaded = load_pictures(mnist_like / "train-images-idx3-ubyte.gz", mnist_like / "train-labels-idx1-ubyte.gz")
    assert loaded.images.numpy().tolist() == GREY[:, np.newaxis].tolist()
    assert loaded.labels.tolist() == LABELS.tolist()
    assert loaded.class_names == ("0", "1", "2")
    assert loaded.notes == ()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_colour_pictures_come_channels_first(tmp_path, write_idx, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 5, channels), np.uint8)
    loaded = load_pictures(write_idx(tmp_path / "colour", pixels), None)
    assert loaded.images.shape == (2, channels, 3, 5)
    assert loaded.images.is_contiguous()
    assert loaded.images[1, channels - 1].tolist() == pixels[1, :, :, -1].tolist()


def test_without_labels_a_note_says_so(tmp_path, write_idx):
    loaded = load_pictures(write_idx(tmp_path / "grey", GREY), None)
    assert loaded.labels is None
    assert loaded.class_names == ()
    assert loaded.notes == ("There are no labels, so the classes cannot be learned.",)


def test_classes_without_pictures_are_noted(tmp_path, write_idx):
    labels = write_idx(tmp_path / "labels", np.array([1, 3, 3, 1], np.uint8))
    loaded = load_pictures(write_idx(tmp_path / "grey", GREY), labels)
    assert loaded.class_names == ("0", "1", "2", "3")
    assert loaded.notes == ("No image is labelled 0, 2: 2 classes of 4 would learn nothing.",)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (LABELS, "holds labels, not images"),
        (GREY[0], "holds an array 3 x 5, which is not images"),
        (np.zeros((2, 3, 4, 5), np.uint8), "holds an array 2 x 3 x 4 x 5, which is not images"),
    ],
)
def test_what_is_not_pictures_is_said_to_be_so(tmp_path, write_idx, array, words):
    with pytest.raises(DatasetError, match=words):
        load_pictures(write_idx(tmp_path / "x", array), None)


@pytest.mark.parametrize(
    ("array", "words"),
    [(LABELS[:3], "holds labels 3 for 4 images"), (GREY, "holds labels 4 x 3 x 5 for 4 images")],
)
def test_labels_that_do_not_fit_are_one_error(tmp_path, write_idx, array, words):
    with pytest.raises(DatasetError, match=words):
        load_pictures(write_idx(tmp_path / "x", GREY), write_idx(tmp_path / "y", array))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz", "fashion-mnist"),
        ("/data/EMNIST Letters/test/emnist_letters-train-images-idx3-ubyte", "emnist-letters"),
        ("/data/my digits.idx", "my-digits"),
        ("/data/latest.idx", "latest"),
        ("/数/数.idx", "images"),
        ("/train-images-idx3-ubyte", "images"),
        ("/x/" + "long" * 50, "long" * 10),
    ],
)
def test_a_title_is_a_short_slug(path, name):
    assert title(Path(path)) == name
