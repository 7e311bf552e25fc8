import json
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache, monkeypatch):
    monkeypatch.setenv("GANCLI_CACHE", str(cache))


@pytest.fixture
def small(trained, clean_place, tmp_path, monkeypatch):  # noqa: ARG001  (it comes first)
    """A copy of the trained runs, to write into."""
    import shutil

    shutil.copytree(trained / "runs", tmp_path / "place" / "runs")
    monkeypatch.chdir(tmp_path / "place")


@pytest.mark.usefixtures("small")
def test_the_last_run_is_measured_and_keeps_its_report(cli):
    result = cli("evaluate", "-n", "50")
    assert result.code == 0, result.err
    assert "plain, step 8, ema weights: 50 images, compared with 64 of tiny" in result.err
    assert "Measured against the training images" in result.err
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == ["metric", "value", "interval", "N", "better"]
    names = [line[0] for line in lines[1:]]
    assert names == ["FD-random", "KD-random", "precision", "recall", "density", "coverage"]
    assert lines[1][-2:] == ["50", "lower"]
    kept = json.loads(Path("runs/plain/evaluation.json").read_text())
    assert kept["figures"]["FD-random"]["value"] == pytest.approx(float(lines[1][1]), rel=1e-2)
    assert cli("runs", "show", "plain", "--json").json["evaluation"] == "runs/plain/evaluation.json"
    with Image.open("runs/plain/nearest.png") as picture:
        assert picture.size == (16 * 10 + 2, 3 * 10 + 2)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["-n", "0"], 2, "-n 0 is out of range"),
        (["-n", "5"], 2, "5 images are too few"),
        (["-n", "many"], 2, "'many' is not a whole number"),
        (["nowhere"], 2, "'nowhere'"),
        (["nowhere", "--dataset", "mnist"], 2, "'nowhere' does not exist"),
        (["runs/plain"], 2, "Name it with --run"),
        (["runs", "--run", "plain"], 2, "exclude each other"),
        (["--run", "nowhere"], 4, "no run 'nowhere'"),
        (["--modes", "-n", "50"], 2, "--modes needs an extractor that knows classes"),
        (["--modes", "--nearest", "x.png"], 2, "Leave --modes or --nearest out"),
        (["--nearest", "x.bmp"], 2, "is not a PNG"),
        (["--nearest", "runs/plain/losses.png"], 6, "is already there"),
        (["--against", "test", "-n", "50"], 3, "test"),
        (["--extractor", "mnist", "-n", "50"], 2, "cannot read images of 1x8x8"),
        (["--dataset", "mnist", "-n", "50"], 2, "1x8x8, those of the data set 'mnist' 1x28x28"),
        (["--dataset", "mnits", "-n", "50"], 3, "Did you mean 'mnist'?"),
        (["--seed", "-1", "-n", "50"], 2, "out of range"),
        (["--device", "abacus"], 2, "abacus"),
    ],
)
def test_what_cannot_be_is_one_line(cli, words, code, told):
    result = cli("evaluate", *words)
    assert (result.code, result.err.count("\n")) == (code, 1), result.err
    assert told in result.err
    assert result.out == ""


@pytest.mark.usefixtures("small")
def test_F09_a_run_that_cannot_be_written_to_is_measured_all_the_same(cli):
    Path("runs/plain/evaluation.json").mkdir()
    result = cli("evaluate", "-n", "50")
    assert result.code == 0
    assert "The report was not kept" in result.err


@pytest.mark.usefixtures("small")
def test_a_conditional_model_is_asked_for_all_classes(cli):
    assert cli("evaluate", "--run", "classes", "-n", "60").code == 0


@pytest.mark.usefixtures("small")
def test_inception_without_its_extra_is_one_line(cli, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    result = cli("evaluate", "-n", "50", "--extractor", "inception")
    assert (result.code, result.err.count("\n")) == (8, 1)
    assert 'pip install "./plugins/gancli-evaluate[fid]"' in result.err


def test_translations_are_measured_beside_their_input(cli, translators):
    which = ("--run", "cyclegan", "--runs-dir", translators, "--device", "cpu")
    evaluated = cli("evaluate", "--against", "train", "--json", *which).json
    distance = f"FD-{evaluated['extractor']['name']}"  # random, or lite where it is installed
    assert {distance, f"{distance} of the input"} <= set(evaluated["figures"])
    refused = cli("evaluate", "--seed", "3", *which)
    assert (refused.code, "--seed 3 means nothing" in refused.err) == (2, True)


def test_the_function_returns_the_report(small_run, tmp_path):
    import shutil

    import gancli

    shutil.copytree(small_run, tmp_path / "run")
    report = gancli.evaluate(tmp_path / "run", count=12, quiet=True)
    assert "FD-random" in report.figures
    assert (tmp_path / "run" / "evaluation.json").is_file()
    assert "<td>FD-random</td>" in report._repr_html_()
    assert "<td>lower</td>" in report._repr_html_()
    with pytest.raises(gancli.GancliError, match=r"evaluate\(\) has no option 'counts'\. Did you mean 'count'"):
        gancli.evaluate(counts=10)
