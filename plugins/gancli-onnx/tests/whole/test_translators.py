"""Exports of models that translate images: what a file makes of an image is what the model makes of it."""

import numpy as np
import pytest
import torch

from gancli.errors import UsageError
from gancli.exporting.formats import choose, export
from gancli.models.exported import load_export


def test_onnx_takes_images_of_any_size(translator, noise, tmp_path):
    path = tmp_path / "zebra.onnx"
    written = export(translator, path, choose(path))
    assert written.difference < 1e-4
    again = load_export(path)
    assert again.image == translator.image
    for size in ((16, 16), (21, 34), (40, 24)):
        np.testing.assert_allclose(again.translate(noise(*size)), translator.translate(noise(*size)), rtol=0, atol=1e-4)
    with pytest.raises(UsageError, match="makes none from a seed"):
        again.batches(range(2))
    with pytest.raises(UsageError, match="They have to be"):
        again.translate(noise(16, 16, channels=1))


def test_pytorch_without_gancli_takes_even_sizes(translator, noise, tmp_path):
    path = tmp_path / "zebra.pt2"
    assert export(translator, path, choose(path)).difference == 0
    network = torch.export.load(path).module()
    for size in ((16, 16), (40, 24)):
        np.testing.assert_array_equal(network(torch.from_numpy(noise(*size))), translator.translate(noise(*size)))
