from pathlib import Path

import numpy as np
import pytest

import gancli
from gancli.errors import CheckpointError, ConfigError, ExportError, PluginError, StorageError, UsageError
from gancli.exporting.formats import Format, choose, export, trained_generator
from gancli.models.loading import load
from gancli.plugin import ArchConfig, Exporter
from gancli.plugins.registry import EXPORTERS


def test_the_formats_of_the_core_are_plugins():
    assert "safetensors" in EXPORTERS.names()


def test_an_export_is_one_file_and_states_its_difference(models, tmp_path):
    target = tmp_path / "generator.safetensors"
    written = export(models["small"], target, choose(target))
    assert (written.path, written.size, written.difference) == (target, target.stat().st_size, 0)
    assert list(tmp_path.iterdir()) == [target]


def test_a_library_call_writes_a_file_and_replaces_one_of_somebody_else_only_by_force(models, tmp_path):
    target = tmp_path / "generator.safetensors"
    target.write_bytes(b"mine")
    with pytest.raises(StorageError, match="already there"):
        gancli.export(target, models["small"], quiet=True)
    with pytest.raises(StorageError, match="already there"):
        gancli.export(tmp_path, models["small"], format="safetensors", force=True, quiet=True)
    assert target.read_bytes() == b"mine"
    assert gancli.export(str(target), models["small"], force=True, quiet=True).path == target
    assert load(checkpoint=target).sample(2).equal(models["small"].sample(2))


@pytest.fixture
def toy(install):
    """A format of a third party, which needs a package."""

    def toy(package="json"):
        source = TOY.replace("api = 1", f"api = 2; packages = ('json', '{package}')")
        install("gancli-toy", "gancli_toy", source, "toy", group="gancli.exporters", attribute="Toy")

    return toy


@pytest.mark.parametrize(
    ("target", "name", "form"),
    [
        ("a.toy", None, "toy"),
        ("a.SafeTensors", None, "safetensors"),
        ("a.bin", "toy", "toy"),
        ("a", ".SafeTensors", "safetensors"),
    ],
)
def test_the_suffix_says_the_format_unless_a_name_does(tmp_path, toy, target, name, form):
    toy()
    assert choose(tmp_path / target, name).name == form


@pytest.mark.parametrize(
    ("target", "name", "words"),
    [
        ("a.safetensor", None, "no exporter 'safetensor'. Did you mean 'safetensors'"),
        ("a", None, "no suffix that names a format. Known: "),
        ("a.toy", "tflite", "no exporter 'tflite'"),
        ("a.toy", "safetensors", "--format safetensors and the name"),
    ],
)
def test_an_unknown_format_is_refused(tmp_path, toy, target, name, words):
    toy()
    with pytest.raises(UsageError) as raised:
        choose(tmp_path / target, name)
    assert words in str(raised.value)


def test_a_format_of_the_projects_own_plugin_names_it_where_it_is_missing(monkeypatch):
    monkeypatch.setattr("gancli.plugins.distributions.read", lambda: ((), ()))
    with pytest.raises(PluginError, match=r"gancli-onnx provides it\. In a clone of gancli: .*gancli-onnx$"):
        choose(Path("demo.pt2"))


@pytest.mark.parametrize("options", [{"opset": 18}, {"uint8": True}])
def test_an_option_of_another_format_is_refused(options):
    with pytest.raises(ConfigError, match=f"Unknown key 'export.{next(iter(options))}'"):
        choose(Path("a.safetensors"), None, options)


def test_a_missing_package_is_one_line_with_the_command(toy):
    toy(package="no_such_package")
    with pytest.raises(PluginError, match=r"^no_such_package is not installed\. gancli-toy brings it: .*install gancli-toy$"):
        choose(Path("a.toy"))
    choose(Path("a.safetensors"))


TOY = """
import numpy as np
from pydantic import Field
from gancli.plugin import ArchConfig, Exporter

class ToyOptions(ArchConfig):
    digits: int = Field(17, ge=1, le=17, description="digits of each weight")

class Toy(Exporter[ToyOptions]):
    api = 1
    summary = "weights as text, one tensor per file"
    Options = ToyOptions

    def export(self, generator, path, options):
        path.mkdir()
        for name, tensor in generator.network.state_dict().items():
            np.savetxt(path / name, np.atleast_1d(tensor.double().numpy()), fmt=f"%.{options.digits}g")

    def load(self, path, generator):
        import copy, torch
        network = copy.deepcopy(generator.network)
        shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
        stored = {name: torch.tensor(np.loadtxt(path / name)).float().reshape(shapes[name]) for name in shapes}
        network.load_state_dict(stored)
        return lambda z, labels: network(torch.from_numpy(z)).detach().numpy()
"""


def test_a_third_partys_format_is_one_file(models, install, tmp_path):
    """A plugin of one module: found by its suffix, with options of its own, compared like any other; here it is a folder."""
    install("gancli-toy", "gancli_toy", TOY, "toy", group="gancli.exporters", attribute="Toy")
    target = tmp_path / "weights.toy"
    written = export(models["small"], target, choose(target, options={"digits": 9}))
    assert (written.path, written.difference < 1e-6) == (target, True)
    assert {path.name for path in target.iterdir()} == set(models["small"].generator.state_dict())
    assert written.size == sum(path.stat().st_size for path in target.iterdir())
    with pytest.raises(ExportError, match="differs from the generator"):
        export(models["small"], tmp_path / "coarse.toy", choose(target, options={"digits": 1}))
    assert not (tmp_path / "coarse.toy").exists()
    with pytest.raises(ConfigError, match="digits"):
        choose(target, None, {"digits": 99})


class Wrong(Exporter[ArchConfig]):
    """A format whose files draw something else than the generator."""

    summary = "wrong"

    def __init__(self, change):
        self.change = change

    def export(self, _generator, path, _options):
        path.write_bytes(b"data")

    def load(self, _path, generator):
        return lambda z, labels: self.change(generator.draw(z, labels))


WRONGS = {
    "one pixel in one picture": lambda images: np.concatenate([images.ravel()[:-1], images.ravel()[-1:] + 1e-3]).reshape(
        images.shape
    ),
    "not a number": lambda images: images * np.float32("nan"),
    "another shape": lambda images: images[:, :, :1],
    "grey": lambda images: images * 0,
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_F48_what_differs_leaves_no_file_and_keeps_the_old_one(models, wrong, tmp_path):
    target = tmp_path / "generator.x"
    for before in (None, b"precious"):
        if before:
            target.write_bytes(before)
        with pytest.raises(ExportError) as raised:
            export(models["small"], target, Format("wrong", Wrong(WRONGS[wrong]), ArchConfig()))
        assert raised.value.exit_code == 9
        assert [path.read_bytes() for path in tmp_path.iterdir()] == ([before] if before else [])


def test_F48_what_is_damaged_on_its_way_to_the_disk_leaves_no_file(models, tmp_path, monkeypatch):
    """The comparison is of what is read again, not of what was in memory."""

    def damaged(path, data):
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])

    monkeypatch.setattr(Path, "write_bytes", damaged)
    with pytest.raises(ExportError, match=r"cannot be loaded again: 'generator.safetensors'"):
        export(models["small"], tmp_path / "a.safetensors", choose(Path("a.safetensors")))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["none/a.safetensors", "file/a.safetensors"])
def test_F49_a_missing_folder_is_named_before_anything_is_computed(made_up, tmp_path, name):
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(StorageError, match=f"{tmp_path}/{name.split('/', maxsplit=1)[0]}"):
        export(made_up(), tmp_path / name, Format("never", None, ArchConfig()))


def drawing(model, calls):
    def draw(z, labels):
        calls.append((z, labels))
        return trained_generator(model).draw(z, labels)

    return draw


@pytest.fixture
def compared(tmp_path):
    """``(model, draw, tolerance) -> difference``: between a generator and whatever is drawn instead."""

    class Drawing(Wrong):
        def load(self, _path, _generator):
            return self.change

        def tolerance(self, _options):
            return self.allowed

    def compared(model, draw, tolerance=2.0):
        exporter = Drawing(draw)
        exporter.allowed = tolerance
        return Format("drawing", exporter, ArchConfig()).write(trained_generator(model), tmp_path / "drawing")

    return compared


def test_batches_of_several_sizes_of_latents_that_are_all_different(models, compared):
    calls = []
    assert compared(models["small"], drawing(models["small"], calls)) == 0
    assert [len(z) for z, _ in calls] == [1, 2, 7, 64]
    assert len(np.unique(np.concatenate([z for z, _ in calls]), axis=0)) == 74


def test_every_class_is_drawn(models, compared):
    calls = []
    compared(models["mnist"], drawing(models["mnist"], calls))
    assert set(np.concatenate([labels for _, labels in calls])) == set(range(10))
    assert all(labels.dtype == np.int64 for _, labels in calls)


@pytest.mark.parametrize("label", range(3))
def test_a_single_wrong_class_is_found(models, compared, label):
    draw = drawing(models["classes"], [])
    assert compared(models["classes"], lambda z, labels: draw(z, np.where(labels == label, (label + 1) % 3, labels))) > 1e-3


def test_a_batch_that_cannot_be_drawn_is_named(models, compared):
    def draw(z, labels):
        if len(z) > 2:
            raise CheckpointError("Too many.")
        return trained_generator(models["small"]).draw(z, labels)

    with pytest.raises(ExportError, match="cannot be loaded again: Too many"):
        compared(models["small"], draw)


@pytest.mark.parametrize("change", [1.1e-3, float("nan"), float("inf")])
def test_a_difference_above_the_tolerance_is_refused(models, compared, change):
    draw = drawing(models["small"], [])
    with pytest.raises(ExportError, match="nothing was written"):
        compared(models["small"], lambda z, labels: draw(z, labels) + np.float32(change), 1e-3)
    compared(models["small"], lambda z, labels: draw(z, labels) + np.float32(0.9e-3), 1e-3)


def test_what_lies_beyond_the_range_of_pixels_is_compared_as_it_is_seen(made_up, compared):
    model = made_up()
    model.generator.register_forward_hook(lambda _module, _given, images: 3 * images)
    draw = drawing(model, [])
    assert compared(model, lambda z, labels: draw(z, labels).clip(-1, 1)) == 0
    assert compared(model, lambda z, labels: draw(z, labels).clip(-0.9, 0.9)) > 0.09
