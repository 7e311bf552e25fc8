import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancli.images import read_metadata

pytestmark = pytest.mark.usefixtures("at_trained")


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture).copy()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out.png"


def test_a_grid_of_the_last_run(cli, target):
    result = cli("sample", "-n", "4", "-o", target)
    assert (result.code, result.out) == (0, f"{target}\n")
    assert result.err == "drawn by plain, step 8, ema weights\n"
    assert pixels(target).shape == (22, 22)


def test_without_a_name_the_next_free_one_is_taken(cli, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = ("--runs-dir", trained / "runs", "-n", "1")
    assert [cli("sample", *where).out for _ in range(3)] == ["grid.png\n", "grid-2.png\n", "grid-3.png\n"]


def test_quiet(cli, target):
    assert cli("sample", "-n", "1", "-o", target, "-q").err == ""


def test_json(cli, target):
    document = cli("sample", "-n", "3", "--seed", "5", "-o", target, "--json").json
    assert document == {"path": str(target), "images": 3, "seeds": "5-7", "model": "plain, step 8, ema weights"}


def test_seeds_address_pictures(cli, tmp_path):
    cli("sample", "-n", "10", "-o", f"{tmp_path}/ten/")
    cli("sample", "--seeds", "7,2-3", "-o", f"{tmp_path}/three/")
    names = [path.name for path in sorted((tmp_path / "three").iterdir())]
    assert names == ["seed0002.png", "seed0003.png", "seed0007.png"]
    assert all((pixels(tmp_path / "ten" / name) == pixels(tmp_path / "three" / name)).all() for name in names)


def test_an_archive(cli, tmp_path):
    cli("sample", "-n", "5", "-o", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        assert archive["images"].shape == (5, 8, 8)


def test_columns(cli, target):
    cli("sample", "-n", "6", "--columns", "6", "-o", target)
    assert pixels(target).shape == (12, 62)


@pytest.mark.parametrize("options", [["--run", "classes"], ["--run", "runs/classes"]])
def test_another_run(cli, target, options):
    assert cli("sample", "-n", "1", "-o", target, *options).err.startswith("drawn by classes, step 8")


def test_a_checkpoint(cli, target):
    path = Path("runs/classes/checkpoints/step-000000008")
    assert cli("sample", "-n", "1", "-o", target, "--checkpoint", path).err.startswith("drawn by classes, step 8")


def test_the_run_of_the_environment(cli, target, monkeypatch):
    monkeypatch.setenv("GANCLI_RUN", "classes")
    assert cli("sample", "-n", "1", "-o", target).err.startswith("drawn by classes")


def test_raw_weights(cli, target):
    assert "raw weights" in cli("sample", "-n", "1", "-o", target, "--weights", "raw").err


@pytest.mark.parametrize("label", ["2", "1"])
def test_a_class(cli, target, label):
    cli("sample", "-n", "2", "-o", target, "--run", "classes", "--class", label)
    assert read_metadata(target)["labels"] == [int(label)] * 2


def test_no_metadata(cli, target):
    cli("sample", "-n", "1", "-o", target, "--no-metadata")
    with Image.open(target) as picture:
        assert picture.info == {}


@pytest.mark.parametrize(
    "options", [["-n", "3"], ["--seeds", "4,9", "--columns", "1"], ["--weights", "raw"], ["--run", "classes", "--class", "1"]]
)
def test_a_picture_is_drawn_again(cli, target, tmp_path, options):
    cli("sample", "-o", target, *options)
    again = tmp_path / "again.png"
    assert cli("sample", "--like", target, "-o", again).code == 0
    assert (pixels(again) == pixels(target)).all()


def test_like_takes_what_is_said_besides(cli, target, tmp_path):
    cli("sample", "-n", "3", "-o", target)
    again = tmp_path / "again.png"
    assert cli("sample", "--like", target, "-n", "2", "--run", "classes", "-o", again, "--json").json["seeds"] == "0-1"


def test_like_refuses_other_weights(cli, target, tmp_path, monkeypatch):
    cli("sample", "-n", "1", "-o", target)
    import gancli.sampling.sample as sampling

    recipe = sampling.like(target)
    monkeypatch.setattr(sampling, "like", lambda _: type(recipe)(**{**_fields(recipe), "digest": "0" * 64}))
    result = cli("sample", "--like", target, "-o", tmp_path / "again.png")
    assert (result.code, result.out) == (4, "")
    assert "other weights" in result.err


def _fields(recipe):
    return {name: getattr(recipe, name) for name in recipe.__slots__}


def test_standard_output(cli, monkeypatch):
    buffer = BytesIO()
    stream = type("Stream", (), {"buffer": buffer, "isatty": lambda _: False, "flush": lambda _: None})()
    monkeypatch.setattr(sys, "stdout", stream)
    assert cli("sample", "-n", "1", "-o", "-").code == 0
    assert buffer.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "code", "words_of_error"),
    [
        (["-n", "0"], 2, "-n 0 pictures"),
        (["-n", "-5"], 2, "-n -5 pictures"),
        (["-n", "10000000"], 2, "1 to 1,000,000"),
        (["-n", "1e3"], 2, "'1e3' is not a whole number"),
        (["--seed", "-1"], 2, "--seed -1"),
        (["--seed", "9223372036854775807"], 2, "out of range"),
        (["--seeds", "5-1"], 2, "'5-1'"),
        (["--seeds", "1", "-n", "2"], 2, "excludes"),
        (["--class", "1"], 2, "knows no classes"),
        (["--run", "classes", "--class", "9"], 2, "Give 0 to 2"),
        (["--run", "classes", "--class", "cat"], 2, "no such class"),
        (["--columns", "0"], 2, "--columns 0"),
        (["--run", "plain", "--checkpoint", "x"], 2, "exclude each other"),
        (["--run", "nowhere"], 4, "no run 'nowhere'"),
        (["--checkpoint", "nowhere"], 4, "nowhere"),
        (["--like", "nowhere.png"], 3, "nowhere.png"),
        (["-o", "-", "--json"], 2, "both want stdout"),
        (["-o", "picture.bmp"], 2, "picture.bmp"),
        (["-o", "no/such/place/x.png"], 6, "no/such/place"),
        (["--device", "abacus"], 2, "abacus"),
    ],
)
def test_what_cannot_be_is_one_line_and_no_file(cli, words, code, words_of_error):
    before = sorted(Path().iterdir())
    result = cli("sample", *words)
    assert result.code == code
    assert words_of_error in result.err
    assert result.err.count("\n") == 1
    assert sorted(Path().iterdir()) == before


def test_a_terminal_gets_no_png(cli, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli("sample", "-o", "-").code == 2


def test_F49_a_file_is_replaced_only_by_force(cli, target):
    target.write_text("mine")
    result = cli("sample", "-n", "1", "-o", target)
    assert (result.code, target.read_text()) == (6, "mine")
    assert "--force" in result.err
    assert cli("sample", "-n", "1", "-o", target, "--force").code == 0
    assert pixels(target).shape == (12, 12)


def test_no_runs_yet(cli):
    result = cli("sample", "--runs-dir", "nowhere")
    assert result.code == 4
    assert "gancli train" in result.err
