"""From a folder of images to samples, and on from there."""

import shutil

import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Thirty pictures in two classes, one copy, and one that is none."""
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GANCLI_LOG__EXTRACTOR", "random")  # a pretrained one, where there is one, would take half a minute
    for i in range(30):
        name = "cats" if i < 25 else "dogs"
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB" if i % 2 else "L", (20 + i, 40), 8 * i).save(tmp_path / "photos" / name / f"{i}.png")
    shutil.copy(tmp_path / "photos/cats/3.png", tmp_path / "photos/dogs/copy.png")
    (tmp_path / "photos/dogs/text\x1b[2J.png").write_text("text")
    return tmp_path / "photos"


def test_what_training_would_refuse_is_shown_with_the_way_out(cli, photos):
    pytest.importorskip("gancli_reports")
    for i in range(10):
        (photos / "dogs" / f"bad{i}.png").write_text("text")
    result = cli("dataset", "show", photos)
    assert result.code == 0
    assert "-s data.allow_broken=0.27" in result.out
    refused = cli("train", "--dataset", photos, "--images", 10)
    assert refused.code == 3
    assert "11 images of 42" in refused.err


def test_train_sample_resume_on_a_folder(cli, photos, small):
    """The whole way of a newcomer with pictures of their own; and that changed pictures are noticed."""
    train = cli("train", "--dataset", photos, "--conditional", "--images", 64, "--image-size", "8x12", "--name", "mine", *small)
    assert train.code == 0, train.err
    assert "reading headers" in train.err
    assert "1 broken image left out" in train.err
    assert cli("sample", "-n", 4, "--class", "dogs", "-o", "grid.png").code == 0
    with Image.open("grid.png") as grid:
        assert (grid.mode, grid.size) == ("RGB", (2 * 14 + 2, 2 * 10 + 2))
    again = cli("train", "--resume", "mine", "--images", 96)
    assert again.code == 0, again.err
    assert "reading headers" not in again.err
    Image.new("RGB", (9, 9), "red").save(photos / "cats" / "0.png")
    changed = cli("train", "--resume", "mine", "--images", 128)
    assert changed.code == 2
    assert "is not the one that this run was trained on" in changed.err


def test_resuming_with_another_size_is_another_training(cli, photos, small):
    assert cli("train", "--dataset", photos, "--images", 32, "--image-size", 8, "--name", "mine", *small).code == 0
    refused = cli("train", "--resume", "mine", "--image-size", 16)
    assert refused.code == 2
    assert "data.image_size" in refused.err


def test_the_class_that_was_sampled_is_named(cli, photos, small):
    assert (
        cli("train", "--dataset", photos, "--conditional", "--images", 32, "--image-size", 8, "--name", "mine", *small).code
        == 0
    )
    assert "class 1 (dogs)" in cli("sample", "-n", 4, "--class", "1", "-o", "grid.png").err


def test_a_conditional_training_says_why_there_are_no_labels(cli, tmp_path, monkeypatch, small):
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    for i in range(4):
        (tmp_path / "x").mkdir(exist_ok=True)
        Image.new("L", (8, 8), 40 * i).save(tmp_path / "x" / f"{i}.png")
    (tmp_path / "x" / "labels.csv").write_text("id,label\n0,a\n")
    refused = cli("train", "--dataset", tmp_path / "x", "--conditional", "--images", 32, *small)
    assert refused.code == 3
    assert "labels.csv has no label for 3 of 4 images, so it is not used." in refused.err
