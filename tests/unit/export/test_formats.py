import dataclasses

import numpy as np
import pytest
import torch

from gancli.errors import ExportError, PluginError, StorageError, UsageError
from gancli.export import formats, write
from gancli.export.formats import FORMATS, FP32_TOLERANCE, Options, choose, export, verified
from gancli.models.loading import load
from gancli.randomness.latents import latents

SUFFIXES = (".onnx", ".safetensors", ".pt2")


def test_the_formats_are_those_that_the_help_names():
    assert set(SUFFIXES) <= set(FORMATS)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["mnist", "dcgan"])
def test_every_format_of_real_runs_draws_the_generators_pictures(models, exported, name, suffix):
    from importlib import import_module

    model = models[name]
    draw = import_module(FORMATS[suffix].module).reload(exported(name, suffix))
    for n in (1, 3, 100):
        z, labels = latents(range(n), model.latent_dim), np.arange(n) % model.image.classes
        drawn = draw(z, labels)
        expected = model.draw(torch.from_numpy(z), torch.from_numpy(labels)).numpy()
        assert (drawn.dtype, drawn.shape) == (np.float32, expected.shape)
        assert np.abs(drawn - expected).max() < FP32_TOLERANCE
        assert (
            np.abs(drawn - model.draw(torch.from_numpy(z), torch.from_numpy((labels + 1) % 3)).numpy()).max() > FP32_TOLERANCE
        )


def test_an_export_is_one_file_and_tells_its_difference(models, tmp_path):
    target = tmp_path / "generator.safetensors"
    written = export(models["small"], target, FORMATS[".safetensors"], Options())
    assert (written.path, written.size, written.difference) == (target, target.stat().st_size, 0)
    assert list(tmp_path.iterdir()) == [target]


def test_a_library_call_writes_a_file_and_replaces_one_only_by_force(models, tmp_path):
    target = tmp_path / "generator.safetensors"
    assert write(models["small"], str(target)).path == target
    before = target.stat().st_ino
    with pytest.raises(StorageError, match="already there"):
        write(models["small"], target)
    with pytest.raises(StorageError, match="already there"):
        write(models["small"], tmp_path, kind="pt2", force=True)
    assert target.stat().st_ino == before
    write(models["small"], target, force=True)
    assert load(checkpoint=target).sample(2).equal(models["small"].sample(2))


def test_a_large_page_says_so(models, tmp_path):
    row = FORMATS[".html"]
    assert export(models["small"], tmp_path / "a.html", row, Options()).notes == ()
    small = dataclasses.replace(row, handy_bytes=1000)
    (note,) = export(models["small"], tmp_path / "b.html", small, Options()).notes
    assert "MB is large for a page" in note


@pytest.mark.parametrize(
    ("target", "name", "suffix"), [("a.onnx", None, ".onnx"), ("a.PT2", None, ".pt2"), ("a.bin", "onnx", ".onnx")]
)
def test_the_suffix_says_the_format_unless_a_name_does(tmp_path, target, name, suffix):
    assert choose(tmp_path / target, name, Options()) is FORMATS[suffix]


@pytest.mark.parametrize(
    ("target", "name", "words"), [("a.onx", None, "Did you mean '.onnx'"), ("a", None, "Known"), ("a.pt2", "pt", "--format pt")]
)
def test_an_unknown_format_is_refused(tmp_path, target, name, words):
    with pytest.raises(UsageError, match="is no kind of export") as raised:
        choose(tmp_path / target, name, Options())
    assert words in str(raised.value)


@pytest.mark.parametrize("options", [Options(opset=18), Options(uint8=True)])
def test_an_option_of_another_format_is_refused(tmp_path, options):
    with pytest.raises(UsageError, match=r"means nothing for \.pt2"):
        choose(tmp_path / "a.pt2", None, options)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_extra_is_one_line_with_the_command(tmp_path, monkeypatch, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(PluginError, match=rf"^{package} is not installed\. .*pip install 'gancli\[onnx\]'$"):
        choose(tmp_path / "a.onnx", None, Options())
    choose(tmp_path / "a.pt2", None, Options())


class Wrong:
    """A format whose files draw something else than the generator."""

    def __init__(self, change):
        self.change = change

    def encode(self, model):
        self.model = model
        return b"data"

    def reload(self, _data):
        return lambda z, labels: self.change(self.model.draw(torch.from_numpy(z), labels).numpy())


WRONGS = {
    "one pixel in one picture": lambda images: np.concatenate([images.ravel()[:-1], images.ravel()[-1:] + 1e-3]).reshape(
        images.shape
    ),
    "not a number": lambda images: images * np.float32("nan"),
    "another shape": lambda images: images[:, :, :1],
    "grey": lambda images: images * 0,
}


@pytest.fixture
def wrong(request, monkeypatch):
    """A row of the table for a format of that kind."""
    module = Wrong(WRONGS[request.param])
    monkeypatch.setattr(formats, "import_module", lambda _: module)
    return formats.Format(module="wrong", summary="")


@pytest.mark.parametrize("wrong", WRONGS, indirect=True)
def test_F48_what_differs_leaves_no_file_and_keeps_the_old_one(models, wrong, tmp_path):
    target = tmp_path / "generator.x"
    for before in (None, b"precious"):
        if before:
            target.write_bytes(before)
        with pytest.raises(ExportError) as raised:
            export(models["small"], target, wrong, Options())
        assert raised.value.exit_code == 9
        assert [path.read_bytes() for path in tmp_path.iterdir()] == ([before] if before else [])


def test_F48_what_is_damaged_on_its_way_to_the_disk_leaves_no_file(models, tmp_path, monkeypatch):
    """The comparison is of what was read again, not of what was in memory."""
    import gancli.storage.disk

    def damaged(path, data, *, durable):
        assert durable
        path.write_bytes(data[: len(data) // 2])

    monkeypatch.setattr(gancli.storage.disk, "write_file", damaged)
    with pytest.raises(ExportError, match=r"cannot be loaded again: 'generator.safetensors'"):
        export(models["small"], tmp_path / "a.safetensors", FORMATS[".safetensors"], Options())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_F48_a_generator_with_random_numbers_of_its_own_is_refused(made_up, suffix):
    with pytest.raises(ExportError, match="random numbers of its own"):
        verified(made_up(lambda x: x + torch.randn_like(x)), FORMATS[suffix], Options())


@pytest.mark.parametrize("name", ["none/a.safetensors", "file/a.safetensors"])
def test_F49_a_missing_folder_is_named_before_anything_is_computed(made_up, tmp_path, name):
    (tmp_path / "file").write_bytes(b"precious")
    row = dataclasses.replace(FORMATS[".safetensors"], module="never.imported")
    with pytest.raises(StorageError, match=f"{tmp_path}/{name.split('/', maxsplit=1)[0]}"):
        export(made_up(), tmp_path / name, row, Options())
