import numpy as np
import pytest
import torch

from gancli.metrics import manifolds


def normal(n, d, seed, scale=1.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(manifolds, "BLOCK_NUMBERS", 1000)  # so that there are several


def distances_between(a, b):
    return np.linalg.norm(a.double().numpy()[:, None] - b.double().numpy()[None], axis=2)


def test_coverage_and_radii_agree_with_their_definitions():
    fake, real = normal(150, 5, 1), normal(130, 5, 2)
    balls = np.sort(distances_between(real, real))[:, 1:6]
    np.testing.assert_allclose(manifolds.radii(real), balls, rtol=1e-4)
    covered = (distances_between(fake, real) <= balls[:, -1]).any(0).mean()
    assert manifolds.coverage(fake, real, manifolds.radii(real)[:, -1]) == pytest.approx(covered)


def test_too_few_points_have_no_neighbours():
    with pytest.raises(ValueError, match="5 points"):
        manifolds.radii(normal(5, 2, 1))
