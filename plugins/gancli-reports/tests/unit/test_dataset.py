import shutil
import zipfile
from pathlib import Path

import pytest
from PIL import Image


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


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Thirty pictures in two classes, one copy, and one that is none."""
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    for i in range(30):
        name = "cats" if i < 25 else "dogs"
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB" if i % 2 else "L", (20 + i, 40), 8 * i).save(tmp_path / "photos" / name / f"{i}.png")
    shutil.copy(tmp_path / "photos/cats/3.png", tmp_path / "photos/dogs/copy.png")
    (tmp_path / "photos/dogs/text\x1b[2J.png").write_text("text")
    return tmp_path / "photos"


def test_the_doctor_counts_everything(cli, photos):
    shown = cli("dataset", "show", photos, "--json").json
    assert (shown["kind"], shown["files"], shown["images"]) == ("folder", 32, 31)
    assert (shown["channels"], shown["height"], shown["width"]) == (3, 32, 32)
    assert shown["classes"] == {"cats": 25, "dogs": 6}
    assert shown["modes"] == {"RGB": 16, "L": 15}
    assert shown["grey"] == 15
    assert shown["sizes"]["shorter_side"] == {"smallest": 20, "median": 34, "largest": 40}
    assert shown["duplicates"] == [["cats/3.png", "dogs/copy.png"]]
    (flaw,) = shown["broken"]
    assert flaw["name"].startswith("dogs/text")
    assert flaw["reason"].startswith("not an image in a format")
    assert any("overfit" in advice for advice in shown["advice"])
    assert any("copy" in advice for advice in shown["advice"])


def test_F12_copies_are_looked_for_in_a_zip_with_damaged_members(cli, photos, tmp_path):
    data = (photos / "cats" / "3.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("a.png", "b.png", "c.png"):
            archive.writestr(name, data)
    damaged = bytearray((tmp_path / "x.zip").read_bytes())
    damaged[damaged.index(b"IDAT") + 6] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(damaged)
    shown = cli("dataset", "show", tmp_path / "x.zip", "--json").json
    assert shown["duplicates"] == [["b.png", "c.png"]]
    assert [flaw["name"] for flaw in shown["broken"]] == ["a.png"]


def test_the_doctor_speaks_safely_to_a_terminal(cli, photos):
    result = cli("dataset", "show", photos)
    assert result.code == 0
    assert "\x1b" not in result.out
    assert "cats/3.png" in result.out
    assert "text\\x1b[2J.png" in result.out


def test_a_sheet_shows_what_a_network_would_see(cli, photos):
    result = cli("dataset", "show", photos, "--sheet", "sheet.png", "--image-size", 16)
    assert "sheet        sheet.png" in result.out.splitlines()
    with Image.open("sheet.png") as sheet:
        assert sheet.size == (6 * 18 + 2, 6 * 18 + 2)
    assert cli("dataset", "show", photos, "--sheet", "sheet.png").code == 0, "gancli made it"
    Path("mine.png").write_text("mine")
    assert cli("dataset", "show", photos, "--sheet", "mine.png").code == 6
    assert cli("dataset", "show", photos, "--sheet", "mine.png", "--force").code == 0
    assert cli("dataset", "show", photos, "--sheet", "sheet.jpg").code == 2


def test_the_doctor_looks_with_the_settings_of_a_training(cli, photos):
    shown = cli("dataset", "show", photos, "-s", "data.channels=1", "-s", "data.fit=pad", "--json").json
    assert shown["channels"] == 1
    assert cli("dataset", "show", photos, "-s", "data.fit=squeeze").code == 2
