from pathlib import Path

import pytest
import torch
from torch import nn

from gancli.checkpoint.provenance import Origin
from gancli.errors import UsageError
from gancli.images import normalise
from gancli.models.loading import load
from gancli.models.model import Model
from gancli.plugin import ImageSpec
from gancli.plugins.registry import DATASETS
from gancli_evaluate import projection
from gancli_evaluate.projection import project


class Smooth(nn.Module):
    """``tanh(W z + V y)``."""

    def __init__(self, image, latent_dim=6):
        super().__init__()
        self.image = image
        torch.manual_seed(3)
        self.linear = nn.Linear(latent_dim, image.channels * image.height * image.width)
        self.embedding = nn.Embedding(image.classes, self.linear.out_features) if image.classes else None

    def forward(self, z, labels=None):
        x = self.linear(z)
        return (x if labels is None else x + self.embedding(labels)).tanh().unflatten(1, self.image.shape)


@pytest.fixture(params=[0, 3])
def model(request, monkeypatch):
    monkeypatch.setattr(projection, "CANDIDATES", 128)
    image = ImageSpec(1, 8, 8, request.param)
    provenance = {"arch": {"name": "x"}, "dataset": {"name": "none"}}
    origin = Origin("run", Path("run"), 1, "0" * 64, "ema", provenance)
    return Model(Smooth(image), 6, image, tuple(map(str, range(request.param))), origin)


def test_generated_images_are_found_again(model):
    targets = model.sample(seeds=[5000, 5001, 5002, 5003])
    told = []
    found = project(model, targets, steps=200, progress=lambda done, total: told.append((done, total)))
    assert float(found.error.max()) < 2e-3
    torch.testing.assert_close(found.images, model.render(found.points, found.labels))
    assert told[-1] == (200, 200)


def test_digits_are_found_in_the_model_of_the_package():
    mnist = load(checkpoint="mnist")
    digits = normalise(DATASETS.load("mnist")().load("test").images[:16])
    assert project(mnist, digits).error.median() < 0.03  # 0.02; the mean image of the digits is at 0.22
    generated = project(mnist, mnist.sample(8, seed=7000))
    assert generated.error.median() < 0.003
    assert generated.error.max() < 0.02


def test_the_same_search_ends_the_same(model):
    targets = model.sample(2, seed=900)
    assert torch.equal(project(model, targets, steps=5).points, project(model, targets, steps=5).points)


def test_images_of_another_shape_are_refused(model):
    with pytest.raises(UsageError, match="Give at least one image of 1x8x8"):
        project(model, torch.zeros(1, 3, 8, 8))


def test_seeds_that_there_are_not_are_refused(model):
    for seed in (-1, 2**64):
        with pytest.raises(UsageError, match="are out of range"):
            project(model, torch.zeros(1, 1, 8, 8), steps=1, seed=seed)
