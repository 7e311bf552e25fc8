"""What was promised to users and plugin authors: old runs load, go on and draw the same; public names stay."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

import gancli

HERE = Path(__file__).parent
RELEASES = sorted(path.name for path in HERE.iterdir() if (path / "manifest.json").exists() or (path / "run.json").exists())


def load_script(name):
    spec = importlib.util.spec_from_file_location(f"compatibility_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def golden(request, tmp_path, monkeypatch):
    """A copy of the run that a release has left, in a working directory with its pictures."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(HERE / request.param, "runs/golden")
    load_script("golden").write_pictures(Path("pictures"))
    return Path("runs/golden")


def test_there_is_a_golden_run_of_the_first_release():
    assert "0.1.0" in RELEASES


def test_a_golden_run_is_small_and_names_no_machine():
    files = [path for release in RELEASES for path in (HERE / release).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 50_000 * len(RELEASES)
    assert not [path for path in files if b"/home/" in path.read_bytes() or b"/tmp/" in path.read_bytes()]


@pytest.mark.parametrize("golden", RELEASES, indirect=True)
def test_its_pictures_are_the_same_to_rounding(golden):
    stored = json.loads((golden / "pictures.json").read_text())
    for drawn, expected in zip(load_script("golden").draw(golden), stored, strict=True):
        assert drawn == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("golden", RELEASES, indirect=True)
def test_it_goes_on_to_its_end(golden):
    from gancli.runs import RunDirectory
    from gancli.training.run import resume

    ended = resume(RunDirectory(golden))
    assert (ended.status, ended.step) == ("done", 6)
    assert gancli.load(golden).origin.step == 6


@pytest.mark.parametrize("golden", RELEASES, indirect=True)
def test_its_configuration_is_valid(golden):
    assert gancli.resolve(files=[golden / "config.json"], environment={}).config.arch.name == "dense"


def test_public_names_and_signatures_are_those_that_were_promised():
    promised = (HERE / "public.txt").read_text().splitlines()
    if importlib.util.find_spec("gancli_kit") is None:  # it can be removed
        promised = [line for line in promised if "gancli_kit" not in line]
    now = list(load_script("public").lines())
    assert now == promised, "python tests/compatibility/public.py; a changed or removed line breaks a promise"
