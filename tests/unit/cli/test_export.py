import sys
from pathlib import Path

import pytest

FORMS = "Give --checkpoint best, latest, or the path of a checkpoint, .safetensors or .onnx file."
pytestmark = pytest.mark.usefixtures("at_trained")

AGREES = "loaded again and compared with the generator: "


@pytest.fixture
def target(tmp_path):
    return tmp_path / "generator.safetensors"


def test_a_file_and_its_path(cli, target):
    result = cli("export", "-o", target)
    assert (result.code, result.out) == (0, f"{target}\n")
    first, second = result.err.splitlines()
    assert first == f"exported plain, step 8, ema weights, {target.stat().st_size / 1e6:.1f} MB"
    assert second == f"{AGREES}its images are bit-exact (1.0e-04 is allowed, of -1 to 1)"


def test_quiet(cli, target):
    assert cli("export", "-o", target, "-q").err == ""


def test_json(cli, target):
    document = cli("export", "-o", target, "--json").json
    assert document == {
        "path": str(target),
        "bytes": target.stat().st_size,
        "difference": 0.0,
        "tolerance": 1e-4,
        "model": "plain, step 8, ema weights",
    }


@pytest.mark.parametrize(
    ("words", "code", "words_of_error"),
    [
        ([], 2, "Missing -o/--output"),
        (["-o", "a.bmp"], 2, "There is no exporter 'bmp'"),
        (["-o", "a"], 2, "'a' has no suffix that names a format"),
        (["-o", "a.onnx", "--format", "tflite"], 2, "There is no exporter 'tflite'"),
        (["-o", "a.safetensors", "-s", "uint8=true"], 2, "Unknown key 'export.uint8'"),
        (["-o", "a.safetensors", "-s", "opset=18"], 2, "Unknown key 'export.opset'"),
        (["-o", "a.onnx", "-s", "opset"], 2, "sets nothing"),
        (["-o", "a.safetensors", "--checkpoint", "no/such/folder/"], 4, "no/such/folder"),
        (["-o", "-", "--format", "html"], 2, "an export is a file"),
        (["-o", ""], 2, "the name is empty"),
        (["-o", "b/", "-s", "uint8=true"], 2, "A folder has no"),
        (["-o", "b/", "-s", "opset=0"], 2, "A folder has no"),
        (["-o", "no/such/place/a.safetensors"], 6, "no/such/place"),
        (["-o", "runs/.latest/a.safetensors"], 6, "is a file where a directory is needed"),
        (["-o", "runs"], 6, "'runs' is already there. Choose another name."),
        (["-o", "runs/"], 6, "'runs/' is already there"),
        (["-o", "runs/", "--force"], 6, "holds other things"),
        (["-o", "a.safetensors", "--run", "nowhere"], 4, "no run 'nowhere'"),
        (["-o", "a.safetensors", "--checkpoint", "nowhere"], 4, "nowhere"),
        (["-o", "a.safetensors", "--device", "cpu"], 2, "--device"),
    ],
)
def test_what_cannot_be_is_one_line_and_no_file(cli, words, code, words_of_error):
    before = sorted(Path().rglob("*"))
    result = cli("export", *words)
    assert result.code == code
    assert words_of_error in result.err
    assert result.err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_F49_a_file_is_replaced_only_by_force(cli, target):
    target.write_text("mine")
    result = cli("export", "-o", target)
    assert (result.code, target.read_text()) == (6, "mine")
    assert "--force" in result.err
    assert cli("export", "-o", target, "--force").code == 0
    assert cli("sample", "--checkpoint", target, "-n", "1", "-o", target.with_suffix(".png")).code == 0


def test_the_help_lists_the_formats_that_are_installed(cli, install):
    install("gancli-toy", "gancli_toy", "", "toy", group="gancli.exporters", attribute="Toy")
    text = cli("export", "--help").out
    for line in (".safetensors", ".toy"):
        assert f"\n  {line} " in text
    assert "toy" in cli("plugin", "list").out


def test_a_page_without_its_plugin_names_it(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("gancli.plugins.distributions.read", lambda: ((), ()))
    result = cli("export", "-o", tmp_path / "demo.html")
    assert result.code == 8
    assert "gancli-page provides it. In a clone of gancli: " in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("missing", [None, "onnxruntime"])
def test_a_missing_file_is_a_missing_file(cli, tmp_path, monkeypatch, missing):
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    result = cli("sample", "--checkpoint", "nosuch.onnx", "-o", tmp_path / "a.png")
    assert (result.code, result.err) == (4, f"error: There is no file or folder 'nosuch.onnx'. {FORMS}\n")


def test_F31_ctrl_c_leaves_nothing_behind(cli, target, monkeypatch):
    from gancli.exporting.safetensors import Safetensors

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Safetensors, "load", interrupted)
    assert cli("export", "-o", target).code == 130
    assert not list(target.parent.iterdir())


def test_F49_a_link_to_nothing_is_replaced_only_by_force(cli, target):
    target.symlink_to(target.with_name("gone"))
    assert cli("export", "-o", target).code == 6
    assert target.is_symlink()
    assert cli("export", "-o", target, "--force").code == 0


def test_a_file_that_no_model_is_loaded_from_is_named(cli, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<html>")
    result = cli("sample", "--checkpoint", page, "-o", tmp_path / "a.png")
    assert result.code == 4
    assert "is not a file that a model is loaded from. Give a .safetensors" in result.err
