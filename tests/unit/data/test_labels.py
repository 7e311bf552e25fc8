import json

import pytest

from gancli.data.readers.labels import Labels, labels_from_names, sidecar_folders


def labels(*names):
    return labels_from_names(names)[0]


def test_sub_folders_are_classes_in_natural_order():
    assert labels("10/a.png", "9/a.png", "10/b/c.png") == Labels(("9", "10"), (1, 0, 1))


def test_folders_that_all_pictures_share_are_no_classes():
    assert labels("set/train/cat/1.png", "set/train/dog/2.png").names == ("cat", "dog")
    assert labels("only/1.png", "only/2.png") is None
    assert labels("1.png") is None
    assert labels() is None


def test_pictures_beside_the_folders_mean_no_classes_and_a_note():
    found, note = labels_from_names(["cat/1.png", "2.png", "dog/3.png"])
    assert found is None
    assert note.startswith("1 of 3 pictures lie in no sub-folder")


def test_a_stylegan_file_wins_over_folders():
    names = ["00000/a.png", "00001/b.png"]
    sidecar = json.dumps({"labels": [["00001/b.png", 0], ["00000/a.png", 2]]}).encode()
    assert labels_from_names(names, sidecar)[0] == Labels(("0", "1", "2"), (2, 0))


def test_a_stylegan_file_that_says_null_leaves_the_folders():
    assert labels_from_names(["a/1.png", "b/1.png"], b'{"labels": null}')[0].names == ("a", "b")


def test_the_thousands_of_an_unlabelled_stylegan_set_are_no_classes():
    names = ["00000/img00000000.png", "00001/img00001000.png"]
    found, note = labels_from_names(names, b'{"labels": null}')
    assert found is None
    assert "says that there are no classes" in note
    assert labels(*names).names == ("00000", "00001")


def test_a_stylegan_file_in_a_folder_of_its_own_has_names_below_that():
    names = ["faces/00000/a.png", "faces/00001/b.png"]
    assert sidecar_folders(names) == ["", "faces/"]
    sidecar = json.dumps({"labels": [["00001/b.png", 0], ["00000/a.png", 2]]}).encode()
    assert labels_from_names(names, sidecar, "faces/")[0] == Labels(("0", "1", "2"), (2, 0))


@pytest.mark.parametrize(
    ("sidecar", "words"),
    [
        (b"{", "holds no list"),
        (b"[" * 100_000, "holds no list"),
        (b'{"labels": [1]}', "holds no list"),
        (b"{}", "holds no list"),
        (b'{"labels": [["a/1.png", 1]]}', "has no label for 1 of 2"),
        (b'{"labels": [["a/1.png", [0.5]], ["b/1.png", [1]]]}', "no class numbers"),
        (b'{"labels": [["a/1.png", -1], ["b/1.png", 0]]}', "no class numbers"),
        (b'{"labels": [["a/1.png", true], ["b/1.png", 0]]}', "no class numbers"),
        (b'{"labels": [["a/1.png", 1e12], ["b/1.png", 99999999999]]}', "no class numbers"),
    ],
)
def test_a_stylegan_file_that_cannot_be_used_is_noted(sidecar, words):
    found, note = labels_from_names(["a/1.png", "b/1.png"], sidecar)
    assert found is None
    assert words in note
