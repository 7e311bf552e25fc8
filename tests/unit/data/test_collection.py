"""From folders and archives to a set that is trained on: what is kept, gone on with, left out, refused."""

import fcntl
import json
import os
import re
import shutil
import tarfile

import numpy as np
import pytest
import torch

from gancli.config.schema import DataConfig
from gancli.data import cache, load_images
from gancli.data.collection import Collection
from gancli.errors import ConfigError, DatasetError, StorageError


def loaded(path, watch=lambda *_: None, **settings):
    return load_images(DataConfig(dataset=str(path), **settings), watch=watch)


def decodings(path, **settings):
    """How many pictures were decoded in order to load these."""
    numbers = []
    loaded(path, lambda what, done, _: numbers.append(done) if what.startswith("decoding") else None, **settings)
    return len(numbers)


def test_a_folder_of_pictures_is_a_data_set(photos):
    data = loaded(photos)
    assert (data.name, data.source) == ("my-photos", str(photos))
    assert data.images.images.shape == (12, 3, 10, 12)
    assert data.images.class_names == ("blue", "green", "red")
    assert data.images.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert data.images.images[0, :, 0, 0].tolist() == [0, 0, 250]
    assert data.images.notes == ()


def test_a_zip_of_it_is_the_same_data_set(photos, zipped, tmp_path):
    archive = zipped(photos, tmp_path / "x.zip")
    assert loaded(archive).fingerprint == loaded(photos).fingerprint
    assert loaded(archive).name == "x"


def test_pictures_are_decoded_once(photos):
    assert decodings(photos) == 12
    assert decodings(photos) == 0
    assert decodings(photos.rename(photos.with_name("moved"))) == 0


def test_another_setting_or_another_file_is_another_set(photos, picture_bytes):
    assert decodings(photos) == 12
    assert decodings(photos, image_size="8") == 12
    assert decodings(photos, allow_broken=0.5) == 0
    (photos / "red" / "new.png").write_bytes(picture_bytes())
    assert decodings(photos) == 13


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_F26_other_pictures_of_the_same_names_sizes_and_times_are_another_set(picture_bytes, kind, tmp_path):
    def picture(colour):
        folder = tmp_path / colour
        folder.mkdir()
        (folder / "x.bmp").write_bytes(picture_bytes("BMP", colour=colour))
        os.utime(folder / "x.bmp", ns=(0, 0))
        if kind == "folder":
            return folder
        with tarfile.open(tmp_path / f"{colour}.tar", "w") as archive:
            archive.add(folder / "x.bmp", "x.bmp")
        os.utime(tmp_path / f"{colour}.tar", ns=(0, 0))
        return tmp_path / f"{colour}.tar"

    red, blue = picture("red"), picture("blue")
    assert loaded(red).images.images[0, :, 0, 0].tolist() == [255, 0, 0]
    assert loaded(blue).images.images[0, :, 0, 0].tolist() == [0, 0, 255]


def test_F45_what_another_process_makes_is_not_cleared_away(photos):
    found = []

    def clear_while_decoding(what, done, _):
        if (what, done) == ("decoding images", 7):
            found.append(cache.clear())

    assert loaded(photos, clear_while_decoding).images.images.shape[0] == 12
    assert found == [(0, 0)]
    assert decodings(photos) == 0


def test_a_lock_that_was_cleared_away_while_it_was_waited_for_is_no_lock(monkeypatch):
    flock, path = fcntl.flock, cache.folder("pictures") / ".lock-key"
    calls = []

    def slow(descriptor, how):
        flock(descriptor, how)
        if not calls:
            path.unlink()
        calls.append(how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with cache.locked("key"):
        assert len(calls) == 2
        assert path.exists()


def test_clearing_removes_all_and_it_is_made_again(photos):
    before = loaded(photos)
    removed, size = cache.clear()
    assert (removed, size > 0) == (1, True)
    assert before.images.images.sum() > 0  # what is mapped stays
    assert cache.clear() == (0, 0)
    assert decodings(photos) == 12
    assert loaded(photos).fingerprint == before.fingerprint


def test_F01_an_interrupted_decoding_is_begun_anew(photos):
    whole = loaded(photos).fingerprint
    cache.clear()

    def interrupt(what, done, _):
        if (what, done) == ("decoding images", 7):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loaded(photos, interrupt)
    assert decodings(photos) == 12
    assert loaded(photos).fingerprint == whole
    assert not [path for path in (cache.root() / "pictures").iterdir() if path.name.startswith((".part-", ".tmp-"))]


@pytest.mark.parametrize(("name", "content"), [("facts.json", b"{"), ("facts.json", b"[]"), ("pixels.bin", b"short")])
def test_F12_a_damaged_set_is_made_again(photos, name, content):
    whole = loaded(photos).fingerprint
    (kept,) = [path for path in (cache.root() / "pictures").iterdir() if path.is_dir()]
    (kept / name).write_bytes(content)
    assert decodings(photos) == 12
    assert loaded(photos).fingerprint == whole


@pytest.mark.parametrize("place", [0, 5, -1])
def test_F13_a_flipped_bit_in_a_kept_set_makes_it_anew(photos, place):
    whole = loaded(photos).fingerprint
    (kept,) = [path for path in (cache.root() / "pictures").iterdir() if path.is_dir()]
    data = bytearray((kept / "pixels.bin").read_bytes())
    data[place] ^= 1
    (kept / "pixels.bin").write_bytes(data)
    assert decodings(photos) == 12
    assert loaded(photos).fingerprint == whole


@pytest.mark.parametrize(("old", "new"), [('"red"', '"rad"'), ("[0, 0,", "[0, 1,"), ('"notes": []', '"notes": [""]')])
def test_F13_a_changed_fact_of_a_kept_set_makes_it_anew(photos, old, new):
    loaded(photos)
    (facts,) = (cache.root() / "pictures").glob("*/facts.json")
    assert old in facts.read_text()
    facts.write_text(facts.read_text().replace(old, new, 1))
    assert decodings(photos) == 12
    assert loaded(photos).images.class_names == ("blue", "green", "red")


def test_F06_too_little_room_is_known_beforehand(photos, monkeypatch):
    monkeypatch.setattr("gancli.storage.disk.Storage.free_bytes", lambda *_: 2**20)
    with pytest.raises(StorageError, match=r"12 images need 67 MB .* where 1 MB are free.*GANCLI_CACHE"):
        loaded(photos)


def test_F09_a_cache_that_cannot_be_made_names_the_variable(photos, monkeypatch):
    monkeypatch.setenv("GANCLI_CACHE", "/proc/nowhere")
    with pytest.raises(StorageError, match="GANCLI_CACHE names another place"):
        loaded(photos)


def test_F52_without_a_home_the_variable_is_named(monkeypatch):
    monkeypatch.delenv("GANCLI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    with pytest.raises(StorageError, match="GANCLI_CACHE"):
        cache.root()
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.root().as_posix() == "/xdg/gancli"


def broken(folder, number):
    for i in range(number):
        (folder / "red" / f"broken{i}.png").write_bytes(b"no picture")


def test_F25_a_few_broken_pictures_are_left_out_and_named(photos):
    for i in range(8):
        shutil.copy(photos / "red" / "0.png", photos / "red" / f"copy{i}.png")
    broken(photos, 1)
    data = loaded(photos)
    assert len(data.images.images) == len(data.images.labels) == 20
    assert data.images.notes[-1].startswith("1 broken image left out (red/broken0.png: not an image in a format")
    assert data.skipped[0][0] == "red/broken0.png"


def test_F25_more_than_5_percent_broken_are_an_error_unless_allowed(photos):
    broken(photos, 3)
    with pytest.raises(DatasetError, match=r"3 images of 15 .* are broken, more than 5% \(red/broken0\.png: no") as caught:
        loaded(photos)
    assert "-s data.allow_broken=0.21" in caught.value.remedy
    assert len(loaded(photos, allow_broken=0.21).images.images) == 12
    with pytest.raises(DatasetError, match="more than 5%"):  # although what was decoded is kept
        loaded(photos)


def test_F25_the_share_that_the_error_names_is_enough_whatever_is_wrong_with_the_pictures(photos):
    from PIL import Image

    broken(photos, 3)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for i in range(5):  # their headers are whole
        Image.fromarray(noise).save(photos / "red" / f"cut{i}.png")
        data = (photos / "red" / f"cut{i}.png").read_bytes()
        (photos / "red" / f"cut{i}.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DatasetError, match="8 images of 20") as caught:
        loaded(photos)
    share = float(re.search(r"data.allow_broken=([0-9.]+) ", caught.value.remedy)[1])
    assert decodings(photos, allow_broken=share) == 0  # they were decoded already


def test_a_class_whose_pictures_are_all_broken_is_noted(photos):
    for file in (photos / "red").iterdir():
        file.write_bytes(b"no picture")
    data = loaded(photos, allow_broken=0.5)
    assert data.images.class_names == ("blue", "green", "red")
    assert any(note.startswith("No image is labelled red: 1 class of 3") for note in data.images.notes)


def test_F25_truncated_pictures_count_although_their_headers_are_whole(photos):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    from PIL import Image

    Image.fromarray(noise).save(photos / "red" / "cut.png")
    data = (photos / "red" / "cut.png").read_bytes()
    (photos / "red" / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DatasetError, match=r"1 image of 13 .* is broken, more than 5% \(red/cut\.png: truncated\)"):
        loaded(photos)
    assert len(loaded(photos, allow_broken=0.1).images.images) == 12


def test_F29_a_collection_without_a_picture_says_what_it_holds(tmp_path, zipped):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    with pytest.raises(DatasetError, match=r"holds no image\. Images end in"):
        loaded(folder)
    with pytest.raises(DatasetError, match="holds no image"):
        loaded(zipped(folder, tmp_path / "x.zip"))


def test_F29_one_picture_is_a_collection(tmp_path, picture_bytes):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(picture_bytes())
    assert loaded(tmp_path / "one").images.images.shape == (1, 3, 10, 12)


def test_all_broken_is_an_error_whatever_is_allowed(photos):
    for file in photos.rglob("*.png"):
        file.write_bytes(b"x")
    with pytest.raises(DatasetError, match="12 images of 12"):
        loaded(photos, allow_broken=1.0)


def test_F22_F28_odd_names_are_told_safely_and_read(photos, picture_bytes):
    odd = ["a\nb.png", "x\x1b[2J.png", os.fsdecode(b"\xff\xfe.png"), "ü 数.png", "-rf.png", "$(x).png"]
    for name in odd:
        (photos / "red" / name).write_bytes(picture_bytes())
    assert len(loaded(photos).images.images) == 18
    for name in odd:
        (photos / "red" / name).write_bytes(b"x")
    with pytest.raises(DatasetError) as caught:
        loaded(photos)
    assert str(caught.value).isprintable()


def test_F26_a_picture_that_vanishes_meanwhile_is_left_out(photos, monkeypatch):
    find = Collection._key

    def and_remove(source, config):
        key = find(source, config)
        (photos / "red" / "0.png").unlink()
        return key

    monkeypatch.setattr(Collection, "_key", and_remove)
    assert loaded(photos, allow_broken=0.2).skipped == (("red/0.png", "does not exist"),)


def test_notes_tell_what_was_done(photos, picture_bytes):
    (photos / "red" / "big.png").write_bytes(picture_bytes(size=(90, 90), mode="RGBA", colour=(1, 2, 3, 4)))
    (photos / "red" / "grey.png").write_bytes(picture_bytes(mode="L", colour=7))
    size, alpha, grey = loaded(photos).images.notes
    assert size.startswith("Images are of 2 sizes (shorter sides 10 to 90, median 10), and are resized to 8x8: centre-cropped")
    assert alpha == "1 image with transparency, composited onto white; -s data.alpha=keep learns it."
    alpha = loaded(photos, alpha="keep", channels=3).images.notes[1]
    assert alpha == "1 image with transparency, composited onto white; data.channels is 3, without alpha."
    assert grey == "1 of 14 images are grey; all are taken as colour."


def test_a_split_is_a_sub_folder(photos, tmp_path):
    whole = tmp_path / "whole"
    shutil.copytree(photos, whole / "train")
    shutil.copytree(photos / "red", whole / "valid" / "red")
    assert len(loaded(whole).images.images) == 12
    assert len(load_images(DataConfig(dataset=str(whole)), "test").images.images) == 4
    with pytest.raises(DatasetError, match="no test split, such as a sub-folder of test images"):
        load_images(DataConfig(dataset=str(photos)), "test")


def test_one_picture_is_no_data_set(photos):
    with pytest.raises(DatasetError, match="is one image"):
        loaded(photos / "red" / "0.png")


def test_labels_of_a_collection_cannot_be_given(photos):
    with pytest.raises(ConfigError, match=r"sub-folders or in files beside the images"):
        loaded(photos, labels="x")


def test_two_processes_do_not_decode_the_same(photos):
    """The second waits for the first, and finds its work done."""
    import threading

    numbers = []
    watch = lambda what, done, _: numbers.append(done) if what.startswith("decoding") else None  # noqa: E731  (one line where it is used)
    threads = [threading.Thread(target=loaded, args=(photos, watch)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(numbers) == 12


def test_other_sizes_and_channels_of_arrays(tmp_path, write_idx):
    path = write_idx(tmp_path / "grey.idx", np.full((3, 10, 10), 200, np.uint8))
    assert loaded(path).images.images.shape == (3, 1, 10, 10)
    data = loaded(path, image_size="8x6", channels=3)
    assert data.images.images.shape == (3, 3, 8, 6)
    assert set(data.images.images.flatten().tolist()) == {200}
    assert data.images.notes[-1] == "Images are 1x10x10 and are resized to 3x8x6."


def test_the_mapped_block_trains_like_one_in_memory(photos):
    from gancli.data.batches import Batches
    from gancli.training.setup import mean_image

    mapped = loaded(photos).images.images
    copy = mapped.clone()
    for step in range(5):
        assert torch.equal(Batches(mapped, None, 5, 0)[step][0], Batches(copy, None, 5, 0)[step][0])
    assert torch.equal(mean_image(mapped), mean_image(copy))


def test_facts_are_json(photos):
    loaded(photos)
    (facts,) = (cache.root() / "pictures").glob("*/facts.json")
    assert json.loads(facts.read_text())["shape"] == [12, 3, 10, 12]


def test_F25_a_file_of_anything_else_says_what_would_be_right(tmp_path):
    (tmp_path / "x").write_bytes(b"%PDF-1.7 and so on")
    with pytest.raises(DatasetError, match=r"it starts with the bytes 25 50 44 46\. Give a folder, zip or tar"):
        loaded(tmp_path / "x")


def test_whatever_is_not_used_or_changed_is_counted(photos, picture_bytes):
    from PIL import Image

    frames = [Image.new("RGB", (12, 10), colour) for colour in ("red", "blue", "green")]
    frames[0].save(photos / "red" / "moving.gif", save_all=True, append_images=frames[1:])
    (photos / "red" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (photos / "red" / "notes.txt").write_bytes(b"about")
    (photos / "red" / "n0001").write_bytes(picture_bytes())
    notes = " ".join(loaded(photos).images.notes)
    assert "1 animation or stack: the first frame of each is used, 2 further frames not." in notes
    assert "1 image in formats that cannot be read, such as HEIC" in notes
    assert "1 other file not used (1 .txt)" in notes


def test_sixteen_bits_that_hold_twelve_are_not_nearly_black(tmp_path):
    from PIL import Image

    (tmp_path / "x").mkdir()
    for i in range(4):
        Image.fromarray(np.full((8, 8), 1000 * (i + 1), np.uint16)).save(tmp_path / "x" / f"{i}.png")
    data = loaded(tmp_path / "x").images
    assert data.images[:, 0, 0, 0].tolist() == [62, 125, 187, 249]
    assert data.notes[0].startswith("4 images whose 16 bits per channel hold 12 at most (largest value 4,000): 4,095")


def test_only_heic_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DatasetError, match=r"such as HEIC, so not used .*: convert them to JPEG or PNG"):
        loaded(tmp_path / "x")


def test_more_pixels_than_are_decoded_name_the_setting(photos, picture_bytes):
    (photos / "red" / "big.png").write_bytes(picture_bytes(size=(40, 30)))
    with pytest.raises(
        DatasetError,
        match=r"1 image of 13 in .* is too large .*more than 1,000 pixels \(data\.max_pixels\).*-s data\.max_pixels=N",
    ):
        loaded(photos, max_pixels=1000)
    assert len(loaded(photos, max_pixels=1200).images.images) == 13
