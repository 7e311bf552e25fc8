import shutil

import pytest


def test_list(cli):
    assert any(line.split()[:2] == ["mnist", "gancli"] for line in cli("dataset", "list").out.splitlines())


def test_list_json(cli):
    assert "mnist" in [entry["name"] for entry in cli("dataset", "list", "--json").json]


def test_show_a_path(cli, pictures):
    result = cli("dataset", "show", pictures)
    shown = result.out.splitlines()
    assert "images       64 of 1x8x8, 0.0 MB" in shown
    assert "classes      3" in shown
    assert "licence      unknown" in shown
    assert [line.split() for line in shown[-3:]] == [["0", "22", "34.4"], ["1", "21", "32.8"], ["2", "21", "32.8"]]


def test_show_json(cli, pictures):
    shown = cli("dataset", "show", pictures, "--json").json
    assert (shown["images"], shown["channels"], shown["height"], shown["width"]) == (64, 1, 8, 8)
    assert shown["classes"] == {"0": 22, "1": 21, "2": 21}
    assert len(shown["fingerprint"]) == 64


def test_pictures_without_labels(cli, pictures, tmp_path):
    shutil.copy(pictures / "train-images-idx3-ubyte", tmp_path / "images")
    shown = cli("dataset", "show", "./images", "--json").json
    assert shown["classes"] == {}
    assert shown["notes"]
    assert "note" in cli("dataset", "show", "./images").out


@pytest.mark.parametrize(("name", "code"), [("mnits", 3), ("./nothing", 3)])
def test_what_is_not_there(cli, name, code):
    result = cli("dataset", "show", name)
    assert (result.code, result.out) == (code, "")
    assert name.strip("./") in result.err


def test_an_unknown_split(cli, pictures):
    assert cli("dataset", "show", pictures, "--split", "validation").code == 3
