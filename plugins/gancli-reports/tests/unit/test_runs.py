"""Runs side by side, as an image and as pages."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("copied")


@pytest.fixture
def copied(trained, clean_place, tmp_path):  # noqa: ARG001  (it comes first)
    """The trained runs, to be damaged and deleted."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return Path("runs")


def test_a_comparison_is_an_image_or_a_page(cli):
    assert cli("runs", "compare", "plain", "classes", "-o", "c.png").out == "c.png\n"
    with Image.open("c.png") as image:
        assert image.size == (1100, 700)
    assert cli("runs", "compare", "plain", "classes", "-o", "c.html").code == 0
    page = Path("c.html").read_text()
    assert "<td>model.conditional</td><td>False</td><td>True</td>" in page
    assert "data:image/png;base64," in page


def test_a_damaged_preview_is_named(cli, copied):
    first = min((copied / "plain/samples").glob("*.png"))
    first.write_bytes(b"no image")
    for command in ("report plain -o r.html", "film plain -o f.gif"):
        result = cli("runs", *command.split())
        assert result.code == 4
        assert f"The preview '{first}' cannot be read" in result.err


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_a_film_shows_every_preview_with_its_step(cli, copied, suffix):
    count = len(list((copied / "plain/samples").glob("*.png")))
    assert cli("runs", "film", "plain", "-o", f"t.{suffix}", "--fps", "4").out == f"t.{suffix}\n"
    with Image.open(f"t.{suffix}") as film:
        width, height = film.size
        assert height > width
        assert film.n_frames in {count, count + 1, count + 8}, "the last stays"
        film.seek(0)
        caption = film.convert("L").crop((0, width, width, height))
        assert caption.getextrema()[0] < 100, "something is written below"


def test_a_film_of_nothing_is_refused(cli, copied):
    assert cli("runs", "film", "plain", "-o", "t.txt").code == 2
    assert cli("runs", "film", "plain", "-o", "t.gif", "--fps", "0").code == 2
    shutil.rmtree(copied / "plain/samples")
    assert cli("runs", "film", "plain", "-o", "t.gif").code == 4
    assert not Path("t.gif").exists()


def test_a_report_is_one_page(cli, copied):
    with (copied / "plain/metrics.jsonl").open("a") as file:
        row = {"kind": "alarm", "step": 8, "epochs": 2.0, "images_seen": 256, "alarm": "collapse", "message": "<b>Alike.</b>"}
        file.write(json.dumps(row) + "\n")
    assert cli("runs", "report", "plain", "-o", "r.html").out == "r.html\n"
    page = Path("r.html").read_text()
    assert "&lt;b&gt;Alike." in page
    for part in ("train.batch_size", "gancli train -c", "Environment", "step 0"):
        assert part in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page


def test_compare(cli):
    found = cli("runs", "compare", "plain", "classes", "--json").json
    assert [run["name"] for run in found["runs"]] == ["plain", "classes"]
    assert found["settings"]["model.conditional"] == [False, True]
    assert found["runs"][0]["best"] > 0
    assert found["runs"][0]["best_seconds"] > 0
    assert "model.conditional" in cli("runs", "compare", "plain", "classes").out
    assert cli("runs", "compare", "plain", "nosuch").code == 4
    assert cli("runs", "compare", "plain", "-o", "c.txt").code == 2
