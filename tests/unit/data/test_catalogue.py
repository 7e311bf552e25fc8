import pytest

from gancli.data.catalogue import SUFFIXES, Catalogue, Item, Part, is_image, part_of


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_letter_case_of_a_suffix_is_a_picture(suffix):
    assert is_image(f"cat{suffix.upper()}")
    assert is_image(f"a.b/c/cat{suffix.title()}")


@pytest.mark.parametrize(
    "name", ["cat.txt", "cat", "png", ".png", "._cat.png", "__MACOSX/cat.png", "a/.git/cat.png", "@eaDir/cat.png", "cat.png~"]
)
def test_litter_and_other_files_are_no_pictures(name):
    assert not is_image(name)


def catalogue(*names, start=b"", backslashes=False):
    return Catalogue.of([Item(name, 1, "", i) for i, name in enumerate(names)], lambda _: start, backslashes=backslashes)


def named(found, split, domain=""):
    return [item.path for item in found.parts.get(Part(split, domain), ())]


@pytest.mark.parametrize("top", ["", "pets/", "a/b/"])
@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training", "VAL"), ("train", "validation")])
def test_splits_are_found_at_any_depth_and_are_no_classes(top, train, test):
    found = catalogue(f"{top}{train}/cat/1.png", f"{top}{train}/dog/2.png", f"{top}{test}/cat/3.png")
    assert named(found, "train") == [f"{top}cat/1.png", f"{top}dog/2.png"]
    assert named(found, part_of(test).split) == [f"{top}cat/3.png"]


def test_splits_within_each_class_are_found_too():
    found = catalogue("cat/train/1.png", "cat/test/2.png", "dog/train/3.png", "dog/test/4.png")
    assert named(found, "train") == ["cat/1.png", "dog/3.png"]
    assert named(found, "test") == ["cat/2.png", "dog/4.png"]


@pytest.mark.parametrize("names", [("contest/1.png", "latest/2.png"), ("train/1.png", "car/2.png"), ("test/1.png", "x/2.png")])
def test_a_folder_is_no_split_because_of_a_part_of_its_name_or_without_its_like(names):
    assert named(catalogue(*names), "train") == list(names)


def test_what_lies_beside_the_splits_is_counted():
    names = [f"train/{i}.png" for i in range(5)] + [f"test/{i}.png" for i in range(2)]
    found = catalogue(*names, "preview.png", "extra/1.png", "val/1.png")
    assert len(named(found, "train")) == 5
    assert found.notes == (
        "2 images in no split, so not used (no folder 1, extra/ 1).",
        "1 image for validation not used: the test split is.",
    )


def test_the_four_parts_of_a_translation_data_set():
    found = catalogue(*(f"horse2zebra/{part}/1.jpg" for part in ("trainA", "trainB", "testA", "testB")))
    assert sorted(found.parts) == [Part("test", "A"), Part("test", "B"), Part("train", "A"), Part("train", "B")]
    assert named(found, "train", "B") == ["horse2zebra/B/1.jpg"]


def test_backslashes_separate_where_no_slash_does_in_an_archive_only():
    assert named(catalogue("a\\1.png", "2.png", backslashes=True), "train") == ["a/1.png", "2.png"]
    assert named(catalogue("a\\1.png", "b/2.png", backslashes=True), "train") == ["a\\1.png", "b/2.png"]
    assert named(catalogue("a\\1.png"), "train") == ["a\\1.png"]


def test_composed_and_decomposed_letters_are_one_name():
    assert named(catalogue("e\u0301/1.png", "\xe9/2.png"), "train") == ["\xe9/1.png", "\xe9/2.png"]


@pytest.mark.parametrize(
    "start",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"P5\n4 4",
        b"II*\0",
        b"\0\0\0\x1cftypavif",
        b"GIF89a",
    ],
)
def test_files_of_other_suffixes_are_told_by_their_first_bytes(start):
    assert named(catalogue("n0001", "a.jpg_large", start=start), "train") == ["n0001", "a.jpg_large"]
    assert named(catalogue("a.png~", "a.png.bak", "IMG.jpg_original", ".hidden", start=start), "train") == []


@pytest.mark.parametrize("start", [b"text", b"BMW is not a bitmap", b"", b"PK\x03\x04", b"P5 is a chord"])
def test_other_files_are_counted_by_suffix(start):
    found = catalogue("a.png", "b.txt", "c.txt", "README", start=start)
    assert named(found, "train") == ["a.png"]
    assert found.notes == ("3 other files not used (2 .txt, 1 without suffix).",)


def test_images_that_nobody_can_decode_are_counted_with_the_remedy():
    (note,) = catalogue("a/1.png", "b/1.HEIC", "b/2.heic", "b/3.nef").notes
    assert note.startswith("3 images in formats that cannot be read, such as HEIC, so not used (2 .heic, 1 .nef): convert")
    assert "HEIC" in catalogue("x", start=b"\0\0\0\x18ftypheic").notes[0]
