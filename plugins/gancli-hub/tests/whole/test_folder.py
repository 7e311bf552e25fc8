import errno
import json
import re
import resource
from contextlib import contextmanager

import pytest
import torch
from PIL import Image

from gancli.errors import StorageError
from gancli.models.loading import load
from gancli.storage.disk import DISK
from gancli_hub.folder import write_folder

FILES = ["README.md", "config.json", "generator.pt2", "generator.safetensors", "index.html", "samples.png"]


@pytest.fixture(scope="module")
def folder(models, tmp_path_factory):
    target = tmp_path_factory.mktemp("hub") / "model"
    write_folder(models["mnist"], target)
    return target


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def largest_file(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_it_holds_what_a_hub_expects_and_nothing_else(folder):
    assert names(folder) == FILES
    assert names(folder.parent) == ["model"]


def test_the_weights_are_the_models(folder, models):
    torch.testing.assert_close(load(checkpoint=folder / "generator.safetensors").sample(5), models["mnist"].sample(5))


def test_the_config_says_what_the_model_is_and_how_it_was_trained(folder):
    config = json.loads((folder / "config.json").read_text())
    assert (config["latent_dim"], config["range"], len(config["classes"])) == (64, [-1, 1], 10)
    assert config["arch"]["options"]["generator_widths"] == [256, 512, 1024]
    assert config["training"]["train.images"] == 256
    elsewhere = ("data.", "runtime.", "model.parent")
    assert not [key for key in config["training"] if key.startswith(elsewhere)], "paths and devices of this machine"


def test_the_picture_is_a_grid_of_64(folder):
    with Image.open(folder / "samples.png") as picture:
        assert picture.size == (242, 242)


def test_the_python_in_the_card_draws_pictures(folder, monkeypatch):
    monkeypatch.chdir(folder)
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        there = {}
        exec(block, there)  # noqa: S102  (what a reader of the card would run)
        assert there["images"].shape == (64, 1, 28, 28)


def test_the_command_in_the_card_works(folder, tmp_path, monkeypatch):
    from gancli.cli.app import run

    monkeypatch.chdir(folder)
    (command,) = re.findall(r"^    gancli (.*)$", (folder / "README.md").read_text(), re.MULTILINE)
    assert run(command.replace("grid.png", str(tmp_path / "grid.png")).split()) == 0
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (242, 242)


def test_a_generator_without_a_trace_is_shared_without_pt2(models, tmp_path, monkeypatch):
    from gancli.errors import ExportError

    def refuse(*_):
        raise ExportError("The generator cannot be traced: it looks.", "")

    monkeypatch.setattr(pytest.importorskip("gancli_onnx.pt2").Pt2, "export", refuse)
    written = write_folder(models["small"], tmp_path / "model")
    assert written.notes == ("There is no generator.pt2: The generator cannot be traced: it looks.",)
    assert names(tmp_path / "model") == [name for name in FILES if name != "generator.pt2"]
    assert "nothing but PyTorch" not in (tmp_path / "model" / "README.md").read_text()


def test_what_plugins_add_is_left_out_where_they_are_not_installed(models, tmp_path, monkeypatch):
    monkeypatch.setenv("GANCLI_PLUGINS", "")
    written = write_folder(models["small"], tmp_path / "model")
    assert (written.notes, written.difference) == ((), 0)
    assert names(tmp_path / "model") == [name for name in FILES if name not in {"index.html", "generator.pt2"}]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "index.html" not in card
    assert "generator.pt2" not in card


def test_F49_a_folder_that_is_there_is_replaced_only_by_force(models, tmp_path):
    target = tmp_path / "model"
    write_folder(models["small"], target)
    (target / "samples.png").write_bytes(b"old")
    with pytest.raises(StorageError, match="already there"):
        write_folder(models["small"], target)
    assert (target / "samples.png").read_bytes() == b"old"
    write_folder(models["small"], target, force=True)
    assert (target / "samples.png").read_bytes() != b"old"
    assert names(tmp_path) == ["model"]


def test_F49_replacing_a_folder_leaves_but_one_moment_without_one(models, tmp_path, monkeypatch):
    target, moments = tmp_path / "model", []
    write_folder(models["small"], target)
    (target / "samples.png").write_bytes(b"old")

    def watched(name):
        operation = getattr(DISK, name)

        def watch(*arguments):
            result = operation(*arguments)
            moments.append((name, (target / "samples.png").is_file()))
            return result

        return watch

    monkeypatch.setattr(DISK, "rename", watched("rename"))
    write_folder(models["small"], target, force=True)
    assert moments == [("rename", False), ("rename", True)]
    assert (target / "samples.png").read_bytes() != b"old"
    assert names(tmp_path) == ["model"]


def test_F49_what_cannot_be_put_in_place_leaves_the_old_folder(models, tmp_path, monkeypatch):
    target, rename = tmp_path / "model", DISK.rename
    write_folder(models["small"], target)
    (target / "samples.png").write_bytes(b"old")

    def fail(source, to):
        if source.name.startswith(".tmp-"):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, to)

    monkeypatch.setattr(DISK, "rename", fail)
    with pytest.raises(StorageError, match="Input/output error"):
        write_folder(models["small"], target, force=True)
    assert (target / "samples.png").read_bytes() == b"old"
    assert names(tmp_path) == ["model"]


def test_F49_force_never_removes_what_is_somebody_elses(models, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.tex").write_text("precious")
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to("model")
    for name in ("model", "file", "link"):
        with pytest.raises(StorageError, match="holds other things"):
            write_folder(models["small"], tmp_path / name, force=True)
    assert (tmp_path / "model" / "thesis.tex").read_text() == (tmp_path / "file").read_text() == "precious"


def test_F49_what_does_not_fit_leaves_the_old_folder(models, tmp_path):
    target = tmp_path / "model"
    write_folder(models["small"], target)
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    with largest_file(1000), pytest.raises(StorageError, match="File too large"):
        write_folder(models["small"], target, force=True)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert names(tmp_path) == ["model"]


def test_metrics_of_these_weights_are_in_the_card(small_run, tmp_path):
    import shutil

    run = shutil.copytree(small_run, tmp_path / "run")
    model = load(run)
    figures = {"FD-mnist": {"value": 8.25, "low": 8, "high": 8.5, "count": 10000}}
    for digest, there in ((model.origin.digest, True), ("f" * 64, False)):
        measured = {"against": "test", "dataset": "x", "images": 10000, "facts": {"digest": digest}, "figures": figures}
        (run / "evaluation.json").write_text(json.dumps(measured))
        write_folder(model, tmp_path / f"model-{there}")
        text = (tmp_path / f"model-{there}" / "README.md").read_text()
        assert ("| FD-mnist | 8.25 (8 to 8.5), 10,000 |" in text) is there
    for i, damaged in enumerate(
        ("[", "[]", json.dumps({**measured, "facts": {"digest": model.origin.digest}, "figures": {"a": 3}}))
    ):
        (run / "evaluation.json").write_text(damaged)
        write_folder(model, tmp_path / f"damaged-{i}")
        assert "## Metrics" not in (tmp_path / f"damaged-{i}" / "README.md").read_text()


AGREES = "loaded again and compared with the generator: "


@pytest.mark.usefixtures("at_trained")
def test_the_command_writes_one(cli, tmp_path):
    target = tmp_path / "model"
    result = cli("export", "-o", f"{target}/")
    assert (result.code, result.out) == (0, f"{target}\n")
    assert AGREES in result.err
    assert f"share it: hf upload USER/NAME {target}" in result.err
    document = cli("export", "-o", f"{target}/", "--force", "--json").json
    assert document["files"] == sorted(path.name for path in target.iterdir())
    assert document["bytes"] == sum(path.stat().st_size for path in target.iterdir())
    assert 0 <= document["difference"] <= document["tolerance"]
    assert json.loads((target / "config.json").read_text())["run"] == "plain"


@pytest.mark.usefixtures("at_trained")
def test_a_folder_to_share_is_a_checkpoint(cli, tmp_path):
    cli("export", "--run", "classes", "--weights", "raw", "-o", f"{tmp_path}/model/")
    result = cli("sample", "-n", "2", "--checkpoint", tmp_path / "model", "-o", tmp_path / "a.npz")
    assert (result.code, result.err) == (0, "generated by classes, step 8, raw weights\n")
    cli("sample", "-n", "2", "--run", "classes", "--weights", "raw", "-o", tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
