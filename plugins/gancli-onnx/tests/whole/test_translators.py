"""Exports of models that translate images: what a file makes of an image is what the model makes of it."""

import numpy as np
import pytest
import torch

from gancli.errors import UsageError
from gancli.exporting.formats import choose, export
from gancli.models.exported import load_export
from gancli.models.loading import load


@pytest.fixture
def model(translators):
    return load("cyclegan", runs_dir=translators)


def noise(*size, channels=3):
    return np.random.default_rng(0).uniform(-1, 1, (2, channels, *size)).astype(np.float32)


def difference(one, other):
    return float(np.abs(np.asarray(one) - np.asarray(other)).max())


def test_onnx_takes_images_of_any_size(model, tmp_path):
    path = tmp_path / "zebra.onnx"
    written = export(model, path, choose(path))
    assert written.difference < 1e-4
    again = load_export(path)
    assert again.image == model.image
    for size in ((16, 16), (21, 34), (40, 24)):
        assert difference(again.translate(noise(*size)), model.translate(noise(*size))) < 1e-4
    with pytest.raises(UsageError, match="makes none from a seed"):
        again.batches(range(2))
    with pytest.raises(UsageError, match="They have to be"):
        again.translate(noise(16, 16, channels=1))


def test_pytorch_without_gancli_takes_even_sizes(model, tmp_path):
    path = tmp_path / "zebra.pt2"
    assert export(model, path, choose(path)).difference == 0
    network = torch.export.load(path).module()
    for size in ((16, 16), (40, 24)):
        assert difference(network(torch.from_numpy(noise(*size))), model.translate(noise(*size))) == 0
