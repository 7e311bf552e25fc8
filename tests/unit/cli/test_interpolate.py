import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancli.images import read_metadata

pytestmark = pytest.mark.usefixtures("at_trained")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "walk.gif"


def frames(path):
    with Image.open(path) as film:
        return film.n_frames


def walk(path):
    with Image.open(path) as film:
        return json.loads(film.info["comment"])["walk"]


def test_a_film_of_the_last_run(cli, target):
    result = cli("interpolate", "-o", target)
    assert (result.code, result.out) == (0, f"{target}\n")
    assert result.err == "60 frames of 256x256, 3 s; keyframes: seeds 0-5\ndrawn by plain, step 8, ema weights\n"
    assert frames(target) == 60


def test_without_a_name_the_next_free_one_is_taken(cli, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = ("--runs-dir", trained / "runs", "--frames", "3")
    assert [cli("interpolate", *where).out for _ in range(3)] == ["walk.gif\n", "walk-2.gif\n", "walk-3.gif\n"]


def test_quiet(cli, target):
    assert cli("interpolate", "--frames", "2", "-o", target, "-q").err == ""


def test_json(cli, target):
    words = ("--frames", "8", "--seeds", "5,7", "--method", "lerp", "--no-loop", "--fps", "12.5", "--truncation", "0.5")
    assert cli("interpolate", *words, "-o", target, "--json").json == {
        "path": str(target),
        "frames": 8,
        "width": 256,
        "height": 256,
        "scale": 32,
        "fps": 12.5,
        "seconds": 0.64,
        "loop": False,
        "method": "lerp",
        "seeds": "5,7",
        "classes": None,
        "between_classes": None,
        "truncation": 0.5,
        "direction": None,
        "model": "plain, step 8, ema weights",
    }
    assert walk(target)["truncation"] == 0.5


@pytest.mark.parametrize("name", ["walk.webp", "walk.apng", "walk.mp4", "walk.png", "walk/"])
def test_other_kinds_of_output(cli, tmp_path, name):
    if name == "walk.mp4":
        pytest.importorskip("av")
    result = cli("interpolate", "--frames", "4", "-o", f"{tmp_path}/{name}")
    assert (result.code, result.out) == (0, f"{tmp_path}/{name}\n")
    assert Path(tmp_path / name).exists()


def test_a_strip_has_no_duration(cli, tmp_path):
    result = cli("interpolate", "--frames", "4", "-o", tmp_path / "a.png")
    assert result.err.splitlines()[0] == "4 frames in 42x12; keyframes: seeds 0-5"


def test_walks_in_step(cli, target):
    cli("interpolate", "--frames", "3", "--grid", "2x3", "--keyframes", "4", "--scale", "1", "-o", target)
    with Image.open(target) as film:
        assert film.size == (3 * 10 + 2, 2 * 10 + 2)
    assert (walk(target)["seeds"], walk(target)["cells"]) == ("0-23", 6)


@pytest.mark.parametrize(
    ("given", "labels", "seeds"),
    [("1", [1], "0-5"), ("0,2", [0, 2], "0"), ("0-2", [0, 1, 2], "0"), ("2-1, 0", [2, 1, 0], "0")],
)
def test_classes(cli, target, given, labels, seeds):
    result = cli("interpolate", "--run", "classes", "--class", given, "--frames", "4", "-o", target, "--json")
    assert (result.json["classes"], result.json["seeds"]) == (labels, seeds)
    assert result.json["between_classes"] == ("embeddings" if len(labels) > 1 else None)
    assert walk(target)["labels"] == labels


def test_the_first_frame_is_what_sample_draws(cli, tmp_path):
    cli("sample", "-n", "4", "--columns", "2", "--truncation", "0.7", "-o", tmp_path / "sample.png")
    cli("interpolate", "--grid", "2x2", "--frames", "5", "--truncation", "0.7", "-o", f"{tmp_path}/walk/")
    with Image.open(tmp_path / "sample.png") as one, Image.open(tmp_path / "walk" / "frame0000.png") as other:
        assert (np.asarray(one) == np.asarray(other)).all()


@pytest.mark.parametrize(
    ("words", "code", "words_of_error"),
    [
        (["--frames", "1"], 2, "1 frames"),
        (["--frames", "many"], 2, "'many' is not a whole number"),
        (["--keyframes", "0"], 2, "--keyframes 0"),
        (["--keyframes", "1"], 2, "stands still"),
        (["--keyframes", "99999999"], 2, "--keyframes 99999999"),
        (["--keyframes", "3", "--seeds", "1-4"], 2, "does not fit the 4 seeds"),
        (["--seeds", "1-3", "--grid", "2x2"], 2, "3 seeds cannot be the keyframes of 4 walks"),
        (["--seeds", "x"], 2, "'x' is no seed"),
        (["--grid", "4"], 2, "--grid 4 is no grid"),
        (["--grid", "0x4"], 2, "--grid 0x4 is no grid"),
        (["--grid", "9999x9999"], 2, "--grid 9999x9999 has 99,980,001 walks"),
        (["--grid", "100x100", "--keyframes", "11"], 2, "Choose 1 to 10"),
        (["--method", "jump"], 2, "'jump' is not one of 'slerp', 'lerp'"),
        (["--fps", "fast"], 2, "--fps fast is not a number"),
        (["--fps", "1/0"], 2, "--fps 1/0 is not a number"),
        (["--fps", "nan"], 2, "--fps nan is not a number"),
        (["--fps", "1e999999999"], 2, "--fps 1e999999999 is not a number"),
        (["--fps", "0.000001"], 2, "1e-06 frames per second"),
        (["--fps", "60"], 2, "60 frames per second"),
        (["--scale", "0"], 2, "0 times"),
        (["--scale", "99999999"], 2, "64 megapixels"),
        (["--truncation", "0"], 2, "Truncation 0.0 is out of range"),
        (["--truncation", "nan"], 2, "Truncation nan is out of range"),
        (["--truncation", "x"], 2, "'x' is not a number"),
        (["--class", "1"], 2, "knows no classes"),
        (["--class", "1,2"], 2, "knows no classes"),
        (["--run", "classes", "--class", "0-9"], 2, "Give 0 to 2"),
        (["--run", "classes", "--class", "0,,1"], 2, "no such class"),
        (["--run", "classes", "--class", "2,2"], 2, "stands still"),
        (["--run", "classes", "--class", ",".join(["0-2"] * 400)], 2, "more than 1,000 classes"),
        (["--run", "nowhere"], 4, "no run 'nowhere'"),
        (["--device", "abacus"], 2, "abacus"),
        (["-o", "walk.bmp"], 2, "walk.bmp"),
        (["-o", ""], 2, "the name is empty"),
        (["-o", "-"], 2, "'-' is no kind"),
        (["-o", "no/such/place/walk.gif"], 6, "no/such/place"),
        (["-o", "runs/.latest/walk.gif"], 6, "A part of 'runs/.latest' is a file"),
    ],
)
def test_what_cannot_be_is_one_line_and_no_file(cli, words, code, words_of_error):
    before = sorted(Path().iterdir())
    result = cli("interpolate", *words)
    assert (result.code, result.out) == (code, "")
    assert words_of_error in result.err
    assert result.err.count("\n") == 1
    assert sorted(Path().iterdir()) == before


def test_F49_a_film_is_replaced_only_by_force(cli, target):
    target.write_text("mine")
    result = cli("interpolate", "--frames", "2", "-o", target)
    assert (result.code, target.read_text()) == (6, "mine")
    assert "--force" in result.err
    assert cli("interpolate", "--frames", "2", "-o", target, "--force").code == 0
    assert frames(target) == 2


def test_F49_the_frames_in_a_folder_are_replaced_only_by_force(cli, tmp_path):
    folder = tmp_path / "walk"
    assert cli("interpolate", "--frames", "3", "-o", f"{folder}/").code == 0
    result = cli("interpolate", "--frames", "2", "-o", f"{folder}/")
    assert (result.code, len(list(folder.iterdir()))) == (6, 3)
    assert cli("interpolate", "--frames", "2", "-o", f"{folder}/", "--force").code == 0
    assert len(list(folder.iterdir())) == 2


def test_no_metadata(cli, tmp_path):
    cli("interpolate", "--frames", "2", "-o", f"{tmp_path}/walk/", "--no-metadata")
    with Image.open(tmp_path / "walk" / "frame0001.png") as frame:
        assert frame.info == {}


def test_sample_truncates_and_says_so(cli, tmp_path):
    path, again = tmp_path / "a.png", tmp_path / "b.png"
    cli("sample", "-n", "3", "--truncation", "0.5", "-o", path)
    assert read_metadata(path)["truncation"] == 0.5
    cli("sample", "--like", path, "-o", again)
    assert path.read_bytes() == again.read_bytes()
    cli("sample", "-n", "3", "-o", tmp_path / "c.png")
    assert path.read_bytes() != (tmp_path / "c.png").read_bytes()
    cli("sample", "--like", path, "--truncation", "1", "-o", tmp_path / "d.png")
    assert read_metadata(tmp_path / "d.png")["truncation"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_F30_F32_a_walk_that_is_ended_leaves_nothing_behind(cli, target, monkeypatch, number):
    from gancli.models.frames import Tour

    before, draw = signal.getsignal(number), Tour.at

    def at(self, indices):
        os.kill(os.getpid(), number)
        yield from draw(self, indices)

    monkeypatch.setattr(Tour, "at", at)
    result = cli("interpolate", "--frames", "4", "-o", target)
    assert (result.code, result.err) == (128 + number, f"stopped: Interrupted by {number.name}.\n")
    assert list(target.parent.iterdir()) == []
    assert signal.getsignal(number) == before
