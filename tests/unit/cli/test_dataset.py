from PIL import Image

from gancli.config.schema import DataConfig
from gancli.data import load_images


def test_list(cli):
    assert any(line.split()[:2] == ["mnist", "gancli"] for line in cli("dataset", "list").out.splitlines())


def test_list_json(cli):
    assert "mnist" in [entry["name"] for entry in cli("dataset", "list", "--json").json]


def test_clear_says_what_it_removed(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (20, 40), "red").save(tmp_path / "photos" / "red.png")
    load_images(DataConfig(dataset=str(tmp_path / "photos")))
    assert cli("dataset", "clear", "--json").json["removed"] == 1
    assert cli("dataset", "clear").out.startswith("0 removed from")
    load_images(DataConfig(dataset=str(tmp_path / "photos")))
