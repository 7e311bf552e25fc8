import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gancli.errors import CheckpointError, ExportError, PluginError, UsageError
from gancli.exporting.formats import choose, export
from gancli.exporting.safetensors import Safetensors
from gancli.models.loading import load
from gancli.storage.tensors import read_metadata

SIX_LINES = """
import torch
from safetensors.torch import load_file
w, x = load_file("generator.safetensors"), torch.randn(64, 64)
for i in (0, 2, 4):
    x = torch.nn.functional.leaky_relu(x @ w[f"hidden.{i}.weight"].T + w[f"hidden.{i}.bias"], 0.2)
images = (x @ w["output.weight"].T + w["output.bias"]).tanh().view(-1, 1, 28, 28)  # in [-1, 1]
"""


def test_six_lines_of_plain_pytorch_draw_the_same(models, tmp_path, monkeypatch):
    model = models["plain"]
    export(model, tmp_path / "generator.safetensors", choose(Path("g.safetensors")))
    monkeypatch.chdir(tmp_path)
    there = {}
    torch.manual_seed(3)
    exec(SIX_LINES, there)  # noqa: S102  (the README's own lines)
    torch.manual_seed(3)
    torch.testing.assert_close(there["images"], model.draw(torch.randn(64, 64)))


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_it_is_loaded_as_the_model_that_it_was(small_conditional_run, tmp_path, weights):
    model = load(small_conditional_run, weights=weights)
    export(model, tmp_path / "g.safetensors", choose(Path("g.safetensors")))
    again = load(checkpoint=tmp_path / "g.safetensors")
    torch.testing.assert_close(again.sample(9), model.sample(9), rtol=0, atol=0)
    told = ("run", "step", "digest", "weights")
    assert [getattr(again.origin, name) for name in told] == [getattr(model.origin, name) for name in told]


def test_the_other_weights_are_not_in_it(small_run, tmp_path):
    export(load(small_run), tmp_path / "g.safetensors", choose(Path("g.safetensors")))
    with pytest.raises(CheckpointError, match="holds the ema weights, not the raw ones"):
        load(checkpoint=tmp_path / "g.safetensors", weights="raw")


def test_an_export_can_be_exported(write, exported, tmp_path):
    (tmp_path / "g.safetensors").write_bytes(exported("classes", ".safetensors"))
    again, _ = write(load(checkpoint=tmp_path / "g.safetensors"), ".safetensors")
    assert again == exported("classes", ".safetensors")


def test_the_facts_are_in_the_header(exported, models):
    facts = json.loads(read_metadata(exported("mnist", ".safetensors"), "it")["gancli"])
    assert (facts["run"], facts["digest"]) == ("mnist", models["mnist"].origin.digest)
    assert "environment" not in facts
    assert "config" not in facts


def test_an_architecture_that_is_not_installed_cannot_be_compared(write, made_up):
    with pytest.raises(PluginError, match="none/made-up"):
        write(made_up(), ".safetensors")


def test_the_weights_of_a_translator_are_a_model_again(translator, noise, tmp_path):
    path = tmp_path / "zebra.safetensors"
    assert export(translator, path, choose(path)).difference == 0
    again = load(checkpoint=path)
    assert again.image == translator.image
    np.testing.assert_array_equal(again.translate(noise(19, 23)), translator.translate(noise(19, 23)))
    with pytest.raises(UsageError, match="without a way back"):
        load(checkpoint=path, back=True)


def test_a_translator_that_has_no_form_is_refused_in_a_line(translator, tmp_path, monkeypatch):
    path = tmp_path / "zebra.safetensors"
    monkeypatch.setattr(Safetensors, "translates", False)
    with pytest.raises(ExportError, match=r"\.safetensors has no form for a model that translates images"):
        export(translator, path, choose(path))
    assert not list(tmp_path.iterdir())
