import json

import pytest

from gancli.data.labels import Labels, labels_of


def labels(*names):
    return labels_of(names)[0]


def beside(names, content, file="dataset.json"):
    return labels_of(names, {file}, lambda _: content)


def test_sub_folders_are_classes_in_natural_order():
    assert labels("10/a.png", "9/a.png", "10/b/c.png") == Labels(("9", "10"), (1, 0, 1))


def test_folders_that_all_pictures_share_are_no_classes():
    assert labels("set/train/cat/1.png", "set/train/dog/2.png").names == ("cat", "dog")
    assert labels("only/1.png", "only/2.png") is None
    assert labels("1.png") is None
    assert labels() is None


def test_pictures_beside_the_folders_mean_no_classes_and_a_note():
    found, (note,) = labels_of(["cat/1.png", "2.png", "dog/3.png"])
    assert found is None
    assert note.startswith("1 of 3 images lie in no sub-folder")


def test_a_stylegan_file_wins_over_folders():
    names = ["00000/a.png", "00001/b.png"]
    sidecar = json.dumps({"labels": [["00001/b.png", 0], ["00000/a.png", 2]]}).encode()
    assert beside(names, sidecar)[0] == Labels(("0", "1", "2"), (2, 0))


def test_a_stylegan_file_that_says_null_leaves_the_folders():
    assert beside(["a/1.png", "b/1.png"], b'{"labels": null}')[0].names == ("a", "b")


def test_the_thousands_of_an_unlabelled_stylegan_set_are_no_classes():
    names = ["00000/img00000000.png", "00001/img00001000.png"]
    found, (note,) = beside(names, b'{"labels": null}')
    assert found is None
    assert "says that there are no classes" in note
    assert labels(*names).names == ("00000", "00001")


def test_a_stylegan_file_in_a_folder_of_its_own_has_names_below_that():
    names = ["faces/00000/a.png", "faces/00001/b.png"]
    sidecar = json.dumps({"labels": [["00001/b.png", 0], ["00000/a.png", 2]]}).encode()
    assert beside(names, sidecar, "faces/dataset.json")[0] == Labels(("0", "1", "2"), (2, 0))


@pytest.mark.parametrize(
    ("sidecar", "words"),
    [
        (b"{", "holds no list"),
        (b"[" * 100_000, "holds no list"),
        (b'{"labels": [1]}', "holds no list"),
        (b"{}", "holds no list"),
        (b'{"labels": [["a/1.png", 1]]}', "has no label for 1 of 2"),
        (b'{"labels": [["a/1.png", [0.5]], ["b/1.png", [1]]]}', "neither class numbers"),
        (b'{"labels": [["a/1.png", -1], ["b/1.png", 0]]}', "neither class numbers"),
        (b'{"labels": [["a/1.png", true], ["b/1.png", 0]]}', "neither class numbers"),
        (b'{"labels": [["a/1.png", 1e12], ["b/1.png", 99999999999]]}', "neither class numbers"),
    ],
)
def test_a_stylegan_file_that_cannot_be_used_is_noted(sidecar, words):
    found, (note,) = beside(["a/1.png", "b/1.png"], sidecar)
    assert found is None
    assert words in note


def test_names_of_classes_in_a_stylegan_file_are_read_with_backslashes_and_a_byte_order_mark():
    names = ["00000/a.png", "00000/b.png"]
    sidecar = json.dumps({"labels": [["00000\\a.png", "dog"], ["00000\\b.png", "cat"]]}).encode("utf-8-sig")
    assert beside(names, sidecar)[0] == Labels(("cat", "dog"), (1, 0))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metadata.jsonl", b'{"file_name": "1.png", "label": "b"}\n{"file_name": "2.png", "label": "a"}\n'),
        ("metadata.csv", b"file_name,label\r\n1.png,b\r\n2.png,a\r\n"),
        ("labels.csv", b"id,breed\n1,b\n2,a\n"),
        ("train.csv", b"\xef\xbb\xbfweight;Filename;Class\n1;1.png;b\n2;2.png;a\n"),
    ],
)
def test_tables_of_labels_beside_the_images_win_over_folders(file, content):
    assert beside(["x/1.png", "x/2.png"], content, f"x/{file}")[0] == Labels(("a", "b"), (1, 0))
    assert beside(["x/1.png", "x/2.png"], content.replace(b"1.png", b"x/1.png").replace(b"2.png", b"x/2.png"), file)[
        0
    ] == Labels(("a", "b"), (1, 0))


def test_whole_numbers_stay_the_numbers_of_their_classes():
    lines = b'{"file_name": "1.png", "label": 2}\n{"file_name": "2.png", "label": 0}'
    assert beside(["1.png", "2.png"], lines, "metadata.jsonl")[0] == Labels(("0", "1", "2"), (2, 0))


def test_metadata_in_the_folder_of_each_class_is_read_together():
    contents = {
        "a/metadata.csv": b"file_name,label\n1.png,x\n",
        "b/metadata.csv": b"file_name,label\n1.png,y\n",
    }
    assert labels_of(["a/1.png", "b/1.png"], contents, contents.__getitem__)[0] == Labels(("x", "y"), (0, 1))


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("metadata.jsonl", b"{", "metadata.jsonl cannot be read"),
        ("metadata.jsonl", b"[1]", "metadata.jsonl cannot be read"),
        ("metadata.csv", b"file_name,text\n1.png,a cat\n2.png,a dog\n", "has no label"),
        ("metadata.csv", b"file_name,text,size\n1.png,a cat,3\n", "has no column of labels (it has file_name, text, size)"),
        ("labels.csv", b"id,label\n1,a\n", "labels.csv has no label for 1 of 2 images"),
    ],
)
def test_a_table_of_labels_that_cannot_be_used_is_noted_and_the_folders_count(file, content, words):
    found, notes = beside(["c/1.png", "d/2.png"], content, file)
    assert (found is not None and found.names == ("c", "d")) or "a cat" in found.names
    assert any(words in note for note in notes) or "a cat" in found.names


def test_the_parts_of_a_webdataset_sample_belong_together():
    contents = {"0001.cls": b"1\n", "0002.cls": b"0"}
    assert labels_of(["0001.jpg", "0002.seg.png"], contents, contents.__getitem__)[0].numbers == (1, 0)
