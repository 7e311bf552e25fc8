import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from gancli.metrics import distances
from gancli.metrics.distances import Moments, coverage, frechet_distance, radii


def normal(n, d, seed, scale=1.0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=torch.Generator().manual_seed(9))
    return (torch.randn(n, d, generator=generator) @ mixing) * scale + shift


def by_scipy(a, b):
    root = sqrtm(a.covariance.numpy() @ b.covariance.numpy()).real
    means = ((a.mean - b.mean) ** 2).sum()
    return float(means + np.trace(a.covariance.numpy() + b.covariance.numpy() - 2 * root))


def test_frechet_agrees_with_scipys_matrix_root():
    a, b = Moments.of([normal(500, 16, 1)]), Moments.of([normal(400, 16, 2, 1.3, 0.4)])
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-10)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-10)


@pytest.mark.parametrize("shift", [0.0, 2.5])
def test_frechet_of_two_gaussians_on_a_line(shift):
    a = Moments(10, torch.zeros(1).double(), torch.full((1, 1), 4.0).double())
    b = Moments(10, torch.full((1,), shift).double(), torch.full((1, 1), 9.0).double())
    assert frechet_distance(a, b) == pytest.approx(shift**2 + (2 - 3) ** 2)


def test_frechet_of_equal_sets_and_of_singular_ones_is_sound():
    points = normal(50, 16, 1)
    flat = points.clone()
    flat[:, 4:] = 0
    one = points[:1].expand(50, -1)
    assert frechet_distance(Moments.of([points]), Moments.of([points])) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(Moments.of([flat]), Moments.of([flat])) == pytest.approx(0, abs=1e-6)
    collapsed = frechet_distance(Moments.of([one]), Moments.of([points]))
    expected = float((points.double().mean(0) - points[0].double()).square().sum() + Moments.of([points]).covariance.trace())
    assert collapsed == pytest.approx(expected, rel=1e-6)


def test_frechet_of_what_is_not_finite_is_infinite():
    points = normal(50, 4, 1)
    broken = points.clone()
    broken[3, 2] = math.nan
    assert frechet_distance(Moments.of([broken]), Moments.of([points])) == math.inf


def test_moments_do_not_depend_on_batches_nor_on_a_large_mean():
    points = normal(101, 5, 1) + 1e4
    whole, parts = Moments.of([points]), Moments.of(points.split(7))
    assert whole.count == parts.count == 101
    torch.testing.assert_close(parts.covariance, points.double().T.cov(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(parts.mean, whole.mean)


def test_one_sample_has_no_covariance():
    with pytest.raises(ValueError, match="1 samples"):
        Moments.of([torch.zeros(1, 3)])


def points(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(distances, "BLOCK_NUMBERS", 1000)  # so that there are several


def distances_between(a, b):
    return np.linalg.norm(a.double().numpy()[:, None] - b.double().numpy()[None], axis=2)


def test_coverage_and_radii_agree_with_their_definitions():
    fake, real = points(150, 5, 1), points(130, 5, 2)
    balls = np.sort(distances_between(real, real))[:, 1:6]
    np.testing.assert_allclose(radii(real), balls, rtol=1e-4)
    covered = (distances_between(fake, real) <= balls[:, -1]).any(0).mean()
    assert coverage(fake, real, radii(real)[:, -1]) == pytest.approx(covered)


def test_too_few_points_have_no_neighbours():
    with pytest.raises(ValueError, match="5 points"):
        radii(points(5, 2, 1))
