import json
import sys
from pathlib import Path

import onnxruntime
import pytest

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


def test_an_exported_model_is_sampled(cli, tmp_path):
    for name in ("g.onnx", "g.safetensors"):
        assert cli("export", "--run", "classes", "--weights", "raw", "-o", tmp_path / name).code == 0
        drawn = cli("sample", "--checkpoint", tmp_path / name, "-n", "4", "--class", "1", "-o", tmp_path / f"{name}.npz")
        assert drawn.err == "drawn by classes, step 8, raw weights\n"
    cli("sample", "--run", "classes", "--weights", "raw", "-n", "4", "--class", "1", "-o", tmp_path / "run.npz")
    assert (tmp_path / "g.safetensors.npz").read_bytes() == (tmp_path / "run.npz").read_bytes()


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory):
    """An ONNX file, made once."""
    from gancli.cli.app import run

    path = tmp_path_factory.mktemp("exported") / "generator.onnx"
    assert run(["export", "-o", str(path), "-q", "--run", "classes", "--runs-dir", str(trained / "runs")]) == 0
    return path


def test_the_pictures_of_an_export_are_drawn_again_from_the_run_and_from_the_export(cli, exported, tmp_path):
    first = tmp_path / "a.png"
    cli("sample", "--checkpoint", exported, "-n", "5", "--columns", "2", "-o", first)
    for name, options in (("b.png", ()), ("c.png", ("--checkpoint", exported))):
        result = cli("sample", "--like", first, "-o", tmp_path / name, *options)
        assert (result.code, result.err) == (0, "drawn by classes, step 8, ema weights\n")
        assert (tmp_path / name).read_bytes() == first.read_bytes()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--class", "9"], 2, "Give 0 to 2"),
        (["--weights", "raw"], 4, "holds the ema weights"),
        (["--arch", "x.py:X"], 2, "--arch x.py:X does nothing"),
        (["--device", "cuda"], 2, "--device cuda does nothing"),
        (["--run", "plain"], 2, "exclude each other"),
    ],
)
def test_what_an_exported_model_cannot(cli, exported, tmp_path, options, code, words):
    result = cli("sample", "--checkpoint", exported, "-o", tmp_path / "x.png", *options)
    assert result.code == code
    assert words in result.err
    assert not (tmp_path / "x.png").exists()


def test_format_opset_and_bytes(cli, tmp_path):
    target = tmp_path / "model.bin"
    document = cli("export", "-o", target, "--format", "onnx", "--uint8", "--opset", "20", "--json").json
    assert document["tolerance"] == pytest.approx(0.5 / 127.5 + 1e-4)
    (output,) = onnxruntime.InferenceSession(target.read_bytes()).get_outputs()
    assert (output.type, output.shape) == ("tensor(uint8)", ["batch", 3, 8, 8])


def test_a_folder(cli, tmp_path):
    target = tmp_path / "model"
    result = cli("export", "--to-folder", f"{target}/")
    assert (result.code, result.out) == (0, f"{target}\n")
    assert AGREES in result.err
    assert f"share it: hf upload USER/NAME {target}" in result.err
    document = cli("export", "-o", f"{target}/", "--force", "--json").json
    assert document["files"] == sorted(path.name for path in target.iterdir())
    assert document["bytes"] == sum(path.stat().st_size for path in target.iterdir())
    assert 0 <= document["difference"] <= document["tolerance"]
    assert json.loads((target / "config.json").read_text())["run"] == "plain"


@pytest.mark.parametrize(
    ("words", "code", "words_of_error"),
    [
        ([], 2, "Missing -o/--output"),
        (["-o", "a.onnx", "--to-folder", "b"], 2, "exclude each other"),
        (["-o", "a.bmp"], 2, "There is no exporter 'bmp'"),
        (["-o", "a"], 2, "'a' has no suffix that names a format"),
        (["-o", "a.onnx", "--format", "tflite"], 2, "There is no exporter 'tflite'"),
        (["-o", "a.pt2", "--uint8"], 2, "'uint8' means nothing for .pt2"),
        (["-o", "a.safetensors", "--opset", "18"], 2, "'opset' means nothing"),
        (["-o", "a.onnx", "--opset", "3"], 2, "--opset 3 cannot be written"),
        (["-o", "a.onnx", "--opset", "x"], 2, "'x' is not a whole number"),
        (["-o", "a.pt2", "--opset", "0"], 2, "'opset' means nothing"),
        (["-o", "a.pt2", "--format", "onnx"], 2, "contradict each other"),
        (["-o", "a.onnx", "-s", "opset"], 2, "sets nothing"),
        (["-o", "a.onnx", "-s", "opset=many"], 2, "export.opset"),
        (["-o", "a.pt2", "--checkpoint", "no/such/folder/"], 4, "no/such/folder"),
        (["-o", "-", "--format", "html"], 2, "an export is a file"),
        (["-o", ""], 2, "the name is empty"),
        (["--to-folder", ""], 2, "the name is empty"),
        (["--to-folder", "b", "--uint8"], 2, "A folder has no"),
        (["--to-folder", "b", "--opset", "0"], 2, "A folder has no"),
        (["-o", "no/such/place/a.pt2"], 6, "no/such/place"),
        (["-o", "runs/.latest/a.pt2"], 6, "is a file where a directory is needed"),
        (["-o", "runs"], 6, "'runs' is already there. Choose another name."),
        (["--to-folder", "runs"], 6, "'runs' is already there"),
        (["--to-folder", "runs", "--force"], 6, "holds other things"),
        (["-o", "a.pt2", "--run", "nowhere"], 4, "no run 'nowhere'"),
        (["-o", "a.pt2", "--checkpoint", "nowhere"], 4, "nowhere"),
        (["-o", "a.pt2", "--device", "cpu"], 2, "--device"),
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
    for line in (".onnx", ".pt2", ".safetensors", ".toy"):
        assert f"\n  {line} " in text
    assert "toy" in cli("plugin", "list").out


def test_a_page_without_its_plugin_names_it(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("gancli.plugins.registry.read", lambda: ((), ()))
    result = cli("export", "-o", tmp_path / "demo.html")
    assert result.code == 8
    assert "gancli-page provides it; install that: " in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("missing", [None, "onnxruntime"])
def test_a_missing_file_is_a_missing_file(cli, tmp_path, monkeypatch, missing):
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    result = cli("sample", "--checkpoint", "nosuch.onnx", "-o", tmp_path / "a.png")
    assert (result.code, result.err) == (4, "error: There is no file 'nosuch.onnx'. Check its name and the directory (ls).\n")


def test_a_missing_extra(cli, tmp_path, monkeypatch, exported):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for words in (("export", "-o", tmp_path / "a.onnx"), ("sample", "--checkpoint", exported, "-o", tmp_path / "a.png")):
        result = cli(*words)
        assert result.code == 8
        assert result.err == (
            "error: onnxruntime is not installed. What is needed comes with the extra: pip install 'gancli[onnx]'\n"
        )
    assert not list(tmp_path.iterdir())


def test_F31_ctrl_c_leaves_nothing_behind(cli, target, monkeypatch):
    from gancli.export.safetensors import Safetensors

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Safetensors, "stamp", interrupted)
    assert cli("export", "-o", target).code == 130
    assert not list(target.parent.iterdir())


def test_a_pt2_is_no_checkpoint(cli, target):
    """P4: it may hold a pickle."""
    path = target.with_suffix(".pt2")
    assert cli("export", "-o", path).code == 0
    result = cli("sample", "--checkpoint", path, "-o", target.with_suffix(".png"))
    assert result.code == 4
    assert "is no file that a model is loaded from" in result.err


def test_F49_a_link_to_nothing_is_replaced_only_by_force(cli, target):
    target.symlink_to(target.with_name("gone"))
    assert cli("export", "-o", target).code == 6
    assert target.is_symlink()
    assert cli("export", "-o", target, "--force").code == 0


@pytest.mark.parametrize("name", ["G.ONNX", "G.SafeTensors"])
def test_a_suffix_may_be_in_capitals(cli, tmp_path, name):
    assert cli("export", "-o", tmp_path / name).code == 0
    assert cli("sample", "-n", "1", "--checkpoint", tmp_path / name, "-o", tmp_path / "a.png").code == 0


def test_a_folder_to_share_is_a_checkpoint(cli, tmp_path):
    cli("export", "--run", "classes", "--weights", "raw", "--to-folder", tmp_path / "model")
    result = cli("sample", "-n", "2", "--checkpoint", tmp_path / "model", "-o", tmp_path / "a.npz")
    assert (result.code, result.err) == (0, "drawn by classes, step 8, raw weights\n")
    cli("sample", "-n", "2", "--run", "classes", "--weights", "raw", "-o", tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_file_that_no_model_is_loaded_from_is_named(cli, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<html>")
    result = cli("sample", "--checkpoint", page, "-o", tmp_path / "a.png")
    assert result.code == 4
    assert "is no file that a model is loaded from. Give a .safetensors" in result.err
