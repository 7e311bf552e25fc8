import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from gancli.errors import StorageError
from gancli.training.metrics import MetricsLog, plot_losses, read_rows


def row(step, **values):
    return {"kind": "interval", "step": step, "epochs": step / 10, "images_seen": step * 2, **values}


def write(path, steps, after_step=0):
    with MetricsLog(path, after_step) as log:
        for step in steps:
            log.append(row(step))


def test_rows_come_back(tmp_path):
    write(tmp_path / "m.jsonl", [1, 2])
    assert read_rows(tmp_path / "m.jsonl") == [row(1), row(2)]


def test_every_row_is_on_the_disk_as_soon_as_it_is_written(tmp_path):
    with MetricsLog(tmp_path / "m.jsonl") as log:
        log.append(row(1))
        assert len(read_rows(tmp_path / "m.jsonl")) == 1


def test_rows_after_the_checkpoint_are_dropped_on_resume(tmp_path):
    write(tmp_path / "m.jsonl", [1, 2, 3])
    write(tmp_path / "m.jsonl", [3, 4], after_step=2)
    assert [r["step"] for r in read_rows(tmp_path / "m.jsonl")] == [1, 2, 3, 4]


def test_F01_a_row_that_a_kill_cut_off_is_left_out(tmp_path):
    path = tmp_path / "m.jsonl"
    write(path, [1, 2])
    path.write_text(path.read_text()[:-9])
    assert [r["step"] for r in read_rows(path)] == [1]


def test_rows_are_one_json_object_per_line(tmp_path):
    write(tmp_path / "m.jsonl", [1, 2])
    assert [json.loads(line)["step"] for line in (tmp_path / "m.jsonl").read_text().splitlines()] == [1, 2]


def test_a_directory_in_the_way_is_explained(tmp_path):
    (tmp_path / "m.jsonl").mkdir()
    with pytest.raises(StorageError):
        MetricsLog(tmp_path / "m.jsonl")


def test_no_file_means_no_rows(tmp_path):
    assert read_rows(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("count", [0, 1, 50])
def test_the_plot_is_a_picture(tmp_path, count):
    rows = [row(i, d_loss=1.4, g_loss=0.7, real_score=0.5, fake_score=0.5) for i in range(count)]
    plot_losses(rows, tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as picture:
        assert picture.size == (800, 450)


HOSTILE = """
import os, sys
from pathlib import Path
from gancli.training.metrics import plot_losses
plot_losses([], Path(sys.argv[1]))
assert os.environ["MPLBACKEND"] == "module://no_such_notebook.backend"
assert "matplotlib.pyplot" not in sys.modules
"""


def test_the_plot_ignores_a_notebooks_backend_and_the_users_settings(tmp_path):
    """In a process of its own, where matplotlib is not imported yet."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfigure.facecolor: red\n")
    hostile = {"MPLBACKEND": "module://no_such_notebook.backend", "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, str(tmp_path / "losses.png")],
        env=os.environ | hostile,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(tmp_path / "losses.png") as picture:
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
