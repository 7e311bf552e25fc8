import pytest
import torch

from gancli.errors import UsageError
from gancli.images import normalise
from gancli.models.loading import load
from gancli.plugins.registry import DATASETS
from gancli_evaluate import projection
from gancli_evaluate.projection import project


@pytest.fixture(params=[0, 3])
def model(request, tanh_model, monkeypatch):
    monkeypatch.setattr(projection, "CANDIDATES", 128)
    return tanh_model(request.param)


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
