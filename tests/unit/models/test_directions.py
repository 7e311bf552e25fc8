from pathlib import Path

import pytest
import torch
from torch import nn

from gancli.checkpoint.provenance import Origin
from gancli.errors import PluginError, UsageError
from gancli.models import directions
from gancli.models.directions import find_directions
from gancli.models.model import Model
from gancli.plugin import ImageSpec


@pytest.fixture(params=[0, 3])
def model(request, tanh_model):
    return tanh_model(request.param)


def test_directions_are_the_principal_components_of_a_linear_generator(monkeypatch):
    """Of G(z) = A z they are the right singular vectors of A, with its singular values / sqrt(pixels) as strengths."""
    monkeypatch.setattr(directions, "SEEDS", 16)
    image = ImageSpec(1, 4, 4)

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.weight = nn.Parameter(torch.randn(16, 5))

        def forward(self, z):
            return (z @ self.weight.T).unflatten(1, image.shape)

    provenance = {"arch": {"name": "x"}, "dataset": {"name": "none"}}
    model = Model(Linear(), 5, image, (), Origin("run", Path("run"), 1, "0" * 64, "ema", provenance))
    found = find_directions(model, 3)
    _, values, vectors = torch.linalg.svd(model.generator.weight.detach())
    torch.testing.assert_close(found.strengths, values[:3] / 4, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close((found.vectors * vectors[:3]).sum(1).abs(), torch.ones(3), rtol=1e-4, atol=1e-4)
    assert (found.space, found.method) == ("z", "Jacobian")


def test_directions_are_in_closed_form_where_the_first_layer_is_exposed(model, monkeypatch):
    """The eigenvectors of A^T A (SeFa), here the axes; their order is that of the effect on images."""
    monkeypatch.setattr(directions, "SEEDS", 16)
    model.generator.latent_weight = lambda: torch.arange(1.0, 7).diag()
    found = find_directions(model, 6)
    torch.testing.assert_close(found.vectors.sort(0).values[-1], torch.ones(6))
    torch.testing.assert_close(found.vectors.sum(1), torch.ones(6))
    assert found.strengths.tolist() == sorted(found.strengths.tolist(), reverse=True)
    assert (found.space, found.method) == ("z", "closed form")
    torch.testing.assert_close(find_directions(model, 2).vectors, found.vectors[:2])


def test_exposed_weights_that_do_not_fit_the_latent_are_refused(model, monkeypatch):
    monkeypatch.setattr(directions, "SEEDS", 1)
    model.generator.latent_weight = lambda: torch.ones(3, 5)
    with pytest.raises(PluginError, match=r"is \(3, 5\), not \(m, 6\)"):
        find_directions(model, 1)


def test_too_many_directions_are_refused(model):
    with pytest.raises(UsageError, match="has 6 dimensions"):
        find_directions(model, 7)
