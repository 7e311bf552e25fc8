"""Runs listed, shown, deleted, side by side, as films and as pages."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("copied")


@pytest.fixture
def copied(trained, clean_place, tmp_path):  # noqa: ARG001  (it comes first)
    """The trained runs, to be damaged and deleted."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return Path("runs")


def damage(run, **changes):
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, **changes}))


def test_list(cli, pictures):
    lines = cli("runs", "list").out.splitlines()
    assert lines[0].split() == ["name", "status", "data", "set", "arch", "objective", "epochs", "time", "best"]
    assert [line.split()[:6] for line in lines[1:]] == [
        ["plain", "done", pictures.name, "dense", "non-saturating", "2"],
        ["classes", "done", pictures.name, "dense", "non-saturating", "2"],
    ]
    assert lines[1].split()[-2].startswith("fd_")


def test_the_newest_is_first_whatever_its_name_and_others_may_be_asked_for(cli, copied):
    damage(copied / "plain", started="2026-01-01T00:00:00+00:00", best={"step": 8, "figure": "fd_x", "value": 3.0})
    damage(copied / "classes", started="2026-01-02T00:00:00+00:00", best=None)
    order = [[run["name"] for run in cli("runs", "list", "--json", "--sort", by).json] for by in ("started", "name", "best")]
    assert order == [["classes", "plain"], ["classes", "plain"], ["plain", "classes"]]
    assert cli("runs", "list", "--sort", "colour").code == 2


def test_list_json(cli):
    first, second = cli("runs", "list", "--json").json
    assert (first["name"], first["status"], first["step"], first["path"]) == ("plain", "done", 8, "runs/plain")
    assert second["name"] == "classes"


def test_list_of_nothing(cli):
    result = cli("runs", "list", "--runs-dir", "nowhere")
    assert result.code == 0
    assert "gancli train" in result.err
    assert cli("runs", "list", "--json", "--runs-dir", "nowhere").json == []


def test_list_elsewhere(cli, trained):
    assert "plain" in cli("runs", "list", "--runs-dir", trained / "runs").out


def test_a_damaged_run_is_listed(cli, copied):
    (copied / "plain" / "run.json").write_text("{")
    assert cli("runs", "list").out.splitlines()[-1].split() == ["plain", "damaged", "?", "?", "?", "?", "?", "-"]
    result = cli("runs", "show", "plain")
    assert result.code == 4
    assert "run.json" in result.err


def test_F22_foreign_values_do_no_harm(cli, copied):
    damage(copied / "plain", arch=[1], epochs="many", elapsed_seconds=None, dataset={"name": "\x1b[31mred"}, argv="x")
    row = cli("runs", "list").out.splitlines()[1]
    assert "\x1b" not in row
    assert row.split()[:4] == ["plain", "done", "\\x1b[31mred", "?"]
    assert row.split()[5:7] == ["?", "?"]
    assert "\x1b" not in cli("runs", "show", "plain").out


def test_a_run_whose_process_is_gone_was_killed(cli, copied):
    from gancli.storage.lock import run_lock

    damage(copied / "plain", status="running")
    with run_lock(copied / "plain" / "run.lock"):
        assert cli("runs", "list", "--json").json[0]["status"] == "running"
    assert cli("runs", "list", "--json").json[0]["status"] == "killed"
    assert cli("runs", "show", "plain", "--json").json["status"] == "killed"


def test_show_the_last(cli):
    shown = dict(line.split("  ", 1) for line in cli("runs", "show").out.splitlines())
    assert shown["name"].strip() == "plain"
    assert shown["steps"].strip() == "8"
    assert "gancli train" not in shown  # the command is a value
    assert shown["command"].strip().startswith("gancli train --dataset")
    assert shown["config"].strip() == "runs/plain/config.json"


def test_show_json(cli):
    shown = cli("runs", "show", "classes", "--json").json
    assert (shown["name"], shown["arch"]["name"], shown["preview"]) == ("classes", "dense", "runs/classes/samples/000008.png")
    assert shown["checkpoints"][-1] == "step-000000008"


def test_show_a_failed_run_with_its_reason(cli, copied):
    damage(copied / "plain", status="failed", error={"problem": "It diverged."})
    assert "It diverged." in cli("runs", "show", "plain").out


def test_show_what_is_not_there(cli):
    result = cli("runs", "show", "plein")
    assert result.code == 4
    assert "Did you mean 'plain'?" in result.err


def test_rm_asks_for_consent_where_nobody_can_be_asked(cli, copied):
    result = cli("runs", "rm", "plain")
    assert result.code == 2
    assert "Add -y" in result.err
    assert (copied / "plain").is_dir()


def test_rm(cli, copied):
    result = cli("runs", "rm", "plain", "-y")
    assert (result.code, result.out) == (0, "runs/plain\n")
    assert not (copied / "plain").exists()


def test_rm_json(cli):
    assert cli("runs", "rm", "plain", "--yes", "--json").json == {"removed": "runs/plain"}


@pytest.mark.parametrize(("answer", "stays"), [(True, False), (False, True)])
def test_rm_asks_on_a_terminal(cli, copied, monkeypatch, answer, stays):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer)
    assert cli("runs", "rm", "plain").code == 0
    assert (copied / "plain").exists() == stays


def test_F45_a_run_that_is_trained_is_not_deleted(cli, copied):
    from gancli.storage.lock import run_lock

    with run_lock(copied / "plain" / "run.lock"):
        assert cli("runs", "rm", "plain", "-y").code == 5
    assert (copied / "plain").is_dir()


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
