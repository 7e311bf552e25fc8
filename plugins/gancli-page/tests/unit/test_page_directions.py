import numpy as np
import pytest
import torch
from torch import nn

from gancli.plugin import ImageSpec, TrainedGenerator
from gancli_page.directions import MOST, directions


class Linear(nn.Module):
    """``A z`` as an image, with the class added."""

    def __init__(self, latent_dim):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(16, latent_dim))

    def forward(self, z, labels=None):
        x = z @ self.weight.T
        return (x if labels is None else x + labels[:, None]).unflatten(1, (1, 4, 4))


@pytest.mark.parametrize(("latent_dim", "classes"), [(5, 0), (5, 3), (200, 0)])
def test_directions_are_the_right_singular_vectors_of_a_linear_generator(latent_dim, classes):
    network = Linear(latent_dim)
    found = directions(TrainedGenerator(network, latent_dim, ImageSpec(1, 4, 4, classes), tuple("abc"[:classes]), {}))
    most = min(MOST, latent_dim)
    assert found.shape == (most, latent_dim)
    np.testing.assert_allclose(found @ found.T, np.eye(most), atol=1e-6)
    vectors = torch.linalg.svd(network.weight.detach()).Vh[:most].numpy()
    np.testing.assert_allclose(np.abs((found * vectors).sum(1)), 1, atol=1e-3)


def test_directions_are_in_closed_form_where_the_first_layer_is_exposed():
    network = Linear(5)
    network.latent_weight = lambda: torch.arange(1.0, 6).diag()
    found = directions(TrainedGenerator(network, 5, ImageSpec(1, 4, 4), (), {}))
    strongest = network.weight.detach().norm(dim=0).argsort(descending=True)
    np.testing.assert_allclose(np.abs(found), np.eye(5)[strongest], atol=1e-6)
