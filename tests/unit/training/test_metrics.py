import json
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from gancli.errors import StorageError
from gancli.events import Alarm, CheckpointSaved, EpochEnded, IntervalEnded
from gancli.training.metrics import MetricsLog, plot_losses, read_rows, row_of, time_of


def row(step, **values):
    return {"kind": "interval", "step": step, "epochs": step / 10, "images_seen": step * 2, **values}


def interval(step, **metrics):
    return IntervalEnded(step, step / 10, step * 2, metrics, 100.0, step * 0.5)


def write(path, steps, after_step=0):
    with closing(MetricsLog(path, after_step)) as log:
        for step in steps:
            log.log(interval(step))


def test_rows_come_back(tmp_path):
    write(tmp_path / "m.jsonl", [1, 2])
    assert read_rows(tmp_path / "m.jsonl") == [row(1), row(2)]


def test_every_row_is_on_the_disk_as_soon_as_it_is_written(tmp_path):
    with closing(MetricsLog(tmp_path / "m.jsonl")) as log:
        log.log(interval(1))
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


@pytest.mark.parametrize("damage", [b"\xff\xfe\n", b"null\n", b"[1, 2]\n", b"{}\n"])
def test_a_damaged_row_ends_the_rows(tmp_path, damage):
    path = tmp_path / "m.jsonl"
    write(path, [1])
    path.write_bytes(path.read_bytes() + damage)
    assert read_rows(path) == [row(1)]


def test_rows_are_one_json_object_per_line(tmp_path):
    write(tmp_path / "m.jsonl", [1, 2])
    assert [json.loads(line)["step"] for line in (tmp_path / "m.jsonl").read_text().splitlines()] == [1, 2]


def test_a_directory_in_the_way_is_explained(tmp_path):
    (tmp_path / "m.jsonl").mkdir()
    with pytest.raises(StorageError):
        MetricsLog(tmp_path / "m.jsonl")


def test_no_file_means_no_rows(tmp_path):
    assert read_rows(tmp_path / "none.jsonl") == []


def test_an_event_is_a_row_that_does_not_depend_on_the_clock():
    epoch = EpochEnded(9, 1.0, 18, {"d_loss": 1.0}, 123.0, 4.5, {"diversity": 0.5, "fd_x": 7.0}, 1, 3, "fd_x")
    assert row_of(epoch) == {
        "kind": "epoch", "step": 9, "epochs": 1.0, "images_seen": 18, "d_loss": 1.0, "diversity": 0.5, "fd_x": 7.0,
    }  # fmt: skip
    assert time_of(epoch) == {"step": 9, "elapsed_seconds": 4.5}
    assert row_of(interval(3, cycle=2.0)) == row(3, cycle=2.0)
    assert row_of(Alarm("collapse", 9, "Why.", 18, 1.0))["alarm"] == "collapse"


@pytest.mark.parametrize("event", [Alarm("logger", 9, "Why."), Alarm("storage", 9, "Why."), CheckpointSaved(9, Path("a"))])
def test_what_the_machine_does_is_no_row(event):
    assert row_of(event) is None


@pytest.mark.parametrize("count", [0, 50])
@pytest.mark.parametrize("names", [("d_loss", "g_loss", "real_score", "fake_score"), ("cycle", "r1")])
def test_the_plot_is_an_image_whatever_a_training_reports(tmp_path, count, names):
    rows = [row(i, **dict.fromkeys(names, 0.5)) for i in range(count)]
    rows += [{**row(i), "kind": "epoch", "fd_mnist": 100.0 - i} for i in range(0, count, 10)]
    plot_losses(rows, tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as picture:
        assert picture.size == (800, 600)
