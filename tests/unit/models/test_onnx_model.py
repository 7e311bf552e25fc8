import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from gancli.errors import CheckpointError, PluginError, RunError, UsageError
from gancli.export.formats import choose, trained_generator
from gancli.images import to_bytes
from gancli.models.loading import load
from gancli.models.onnx_model import load_onnx, onnx_from_bytes
from gancli.sampling.sample import Request, write

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # whoever imports it, fails
from gancli.cli.app import run
code = run(["sample", "--checkpoint", "generator.onnx", *sys.argv[1:]])
assert not [name for name in sys.modules if name.startswith("torch.")]
sys.exit(code)
"""


@pytest.fixture(scope="module")
def model(small_conditional_run):
    return load(small_conditional_run)


@pytest.fixture(scope="module")
def data(encode):
    return encode()


@pytest.fixture(scope="module")
def encode(model, tmp_path_factory):
    """``(**options) -> bytes``: the model as an ONNX file."""

    def encode(**options):
        path = tmp_path_factory.mktemp("onnx") / "generator.onnx"
        choose(path, None, options).write(trained_generator(model), path)
        return path.read_bytes()

    return encode


@pytest.fixture
def path(data, tmp_path):
    (tmp_path / "generator.onnx").write_bytes(data)
    return tmp_path / "generator.onnx"


@pytest.fixture
def changed(data, path):
    """``(change) -> path``: the file after ``change(proto)``."""

    def changed(change):
        proto = onnx.load_model_from_string(data)
        change(proto)
        path.write_bytes(proto.SerializeToString())
        return path

    return changed


@pytest.mark.parametrize("labels", [None, [2] * 300])
def test_the_pictures_are_those_of_the_run(model, path, labels):
    exported = load_onnx(path)
    drawn = np.concatenate(list(exported.batches(range(5, 305), labels)))
    assert (drawn.dtype, drawn.shape) == (np.float32, (300, 1, 8, 8))
    expected = model.sample(300, seed=5, labels=labels)
    assert np.abs(drawn - expected.numpy()).max() < 1e-5
    assert (np.abs(to_bytes(drawn).astype(int) - to_bytes(expected)) > 0).mean() < 1e-3


def test_it_knows_where_it_comes_from(model, path):
    exported = load_onnx(path)
    names = ("run", "step", "digest", "weights")
    assert [getattr(exported.origin, name) for name in names] == [getattr(model.origin, name) for name in names]
    assert exported.origin.checkpoint == path
    assert (exported.class_names, exported.image, exported.latent_dim) == (model.class_names, model.image, model.latent_dim)


def test_bytes_are_drawn_as_they_are(model, encode, path):
    path.write_bytes(encode(uint8=True))
    drawn = np.concatenate(list(load_onnx(path).batches(range(64))))
    assert drawn.shape == (64, 1, 8, 8)
    difference = np.abs(to_bytes(drawn).astype(int) - to_bytes(model.sample(64)))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


@pytest.mark.parametrize("end", ["a.png", "a.npz", "folder/"])
def test_every_kind_of_output_is_written_as_from_a_run(model, path, tmp_path, end):
    for drawer, name in ((model, "run-"), (load_onnx(path), "onnx-")):
        write(drawer, Request(range(9), f"{tmp_path}/{name}{end}"))
    made = [
        sorted(file for file in tmp_path.rglob("*") if f"{name}{end.rstrip('/')}" in str(file)) for name in ("run-", "onnx-")
    ]
    assert len(made[0]) == len(made[1]) > 0
    for one, other in zip(*made, strict=True):
        assert one.is_dir() or one.read_bytes() == other.read_bytes(), "also what the picture says about itself"


@pytest.mark.parametrize("target", ["grid.png", "images.npz", "folder/", "-"])
def test_torch_is_not_imported(path, target):
    sample = [sys.executable, "-c", WITHOUT_TORCH, "-n", "3", "--class", "1", "-o", target]
    done = subprocess.run(sample, cwd=path.parent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b"drawn by small, step 4, ema weights\n"


def test_the_same_checks_as_for_a_run(path):
    exported = load_onnx(path)
    for wrong in (
        {"seeds": []},
        {"seeds": [-1]},
        {"seeds": [2**63]},
        {"seeds": [1], "labels": [3]},
        {"seeds": [1], "labels": []},
    ):
        with pytest.raises(UsageError):
            exported.batches(**wrong)


def test_a_missing_extra_is_one_line_with_the_command(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PluginError, match=r"pip install 'gancli\[onnx\]'"):
        load_onnx(path)


# -- files of strangers --


def external(proto):
    tensor = proto.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")
    tensor.ClearField("raw_data")


def external_in_a_constant(proto):
    tensor = numpy_helper.from_array(np.zeros(1, np.float32))
    onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")
    tensor.ClearField("raw_data")
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=tensor))


def custom(proto):
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    proto.graph.node[0].domain = "com.example"


def loop(proto):
    body = helper.make_graph([], "body", [], [])
    proto.graph.node.append(helper.make_node("Loop", ["", ""], ["never"], body=body))


def function(proto):
    proto.functions.append(helper.make_function("", "f", [], [], [], [helper.make_opsetid("", 18)]))


def said(text):
    def change(proto):
        next(entry for entry in proto.metadata_props if entry.key == "gancli").value = text

    return change


def renamed(proto):
    proto.graph.input[0].name = proto.graph.node[1].input[0] = "noise"


def unknown_operation(proto):
    proto.graph.node[0].op_type = "Conjure"


def another_class_count(proto):
    entry = next(entry for entry in proto.metadata_props if entry.key == "gancli")
    entry.value = entry.value.replace('"classes": ["0", "1", "2"]', '"classes": []')


def another_shape(proto):
    entry = next(entry for entry in proto.metadata_props if entry.key == "gancli")
    entry.value = entry.value.replace('"height": 8', '"height": 16')


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external, "keeps numbers in another file"),
        (external_in_a_constant, "keeps numbers in another file"),
        (custom, "needs operations of 'com.example'"),
        (loop, "control flow"),
        (function, "holds functions"),
        (lambda proto: proto.ClearField("metadata_props"), "does not say which model"),
        (said("{"), "not valid JSON"),
        (said("[" * 100), "nested deeper"),
        (said(" " * (2**20 + 1)), "At most 1,048,576 are read"),
        (said("{}"), "does not say what is needed: arch"),
        (unknown_operation, "is refused by ONNX Runtime: .*Conjure"),
        (another_class_count, "takes .* instead of"),
        (lambda proto: proto.graph.ClearField("node"), "is refused by ONNX Runtime"),
    ],
)
def test_F15_F19_what_reaches_beyond_the_file_or_makes_no_sense_is_refused(changed, change, words, capfd):
    with pytest.raises(CheckpointError, match=words) as raised:
        load_onnx(changed(change))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", ""), "ONNX Runtime's own log would be a second line"


def test_F20_pictures_of_another_size_than_it_says_are_refused(changed):
    exported = load_onnx(changed(another_shape))
    with pytest.raises(CheckpointError, match=r"drew \(2, 1, 8, 8\) instead of \(2, 1, 16, 8\)"):
        next(exported.batches([1, 2]))


def test_F16_a_pickle_is_not_opened(path):
    torch.save({"a": 1}, path)
    with pytest.raises(CheckpointError, match="is not an ONNX file"):
        load_onnx(path)


@pytest.mark.parametrize("length", [0, 1, 100, 0.5, 0.99])
def test_F12_a_truncated_file_is_refused(data, path, length):
    path.write_bytes(data[: length if isinstance(length, int) else int(length * len(data))])
    with pytest.raises(CheckpointError):
        load_onnx(path)


def test_F13_flipped_bits_never_end_in_anything_but_one_kind_of_error(data, path):
    numbers = np.random.default_rng(0)
    for position in numbers.integers(0, len(data), 60):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(numbers.integers(8))
        try:
            next(onnx_from_bytes(bytes(damaged), path).batches([0]))
        except CheckpointError:
            continue


def test_F19_a_fifo_makes_nobody_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(CheckpointError, match="is not a file"):
        load_onnx(tmp_path / "pipe.onnx")
    with pytest.raises(RunError):
        load_onnx(tmp_path / "folder.onnx")


@pytest.mark.parametrize("missing", [None, "onnxruntime"])
def test_there_is_no_such_file(tmp_path, monkeypatch, missing):
    """A missing file is no reason to install an extra."""
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(RunError, match=r"There is no file '.*none\.onnx'"):
        load_onnx(tmp_path / "none.onnx")


def test_python_says_who_draws_from_it(path):
    with pytest.raises(CheckpointError, match="Draw from it with `gancli sample`"):
        load(checkpoint=path)


def test_another_type_of_output_is_refused(changed):
    def change(proto):
        proto.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE

    with pytest.raises(CheckpointError):
        load_onnx(changed(change))
