"""Exports of models that translate images: what a file makes of an image is what the model makes of it."""

import numpy as np
import pytest

from gancli.errors import ExportError, UsageError
from gancli.exporting.folder import write_folder
from gancli.exporting.formats import choose, export
from gancli.exporting.safetensors import Safetensors
from gancli.models.loading import load


@pytest.fixture
def model(translators):
    return load("cyclegan", runs_dir=translators)


def noise(*size, channels=3):
    return np.random.default_rng(0).uniform(-1, 1, (2, channels, *size)).astype(np.float32)


def difference(one, other):
    return float(np.abs(np.asarray(one) - np.asarray(other)).max())


def test_the_weights_are_a_model_again(model, tmp_path):
    path = tmp_path / "zebra.safetensors"
    assert export(model, path, choose(path)).difference == 0
    again = load(checkpoint=path)
    assert again.image == model.image
    assert difference(again.translate(noise(19, 23)), model.translate(noise(19, 23))) == 0
    with pytest.raises(UsageError, match="without a way back"):
        load(checkpoint=path, back=True)


def test_what_has_no_form_is_refused_in_a_line(model, tmp_path, monkeypatch):
    path = tmp_path / "zebra.safetensors"
    monkeypatch.setattr(Safetensors, "translates", False)
    with pytest.raises(ExportError, match=r"\.safetensors has no form for a model that translates images"):
        export(model, path, choose(path))
    with pytest.raises(UsageError, match="Give a file"):
        write_folder(model, tmp_path / "zebra")
    assert not list(tmp_path.iterdir())
