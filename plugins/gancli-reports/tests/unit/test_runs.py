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
