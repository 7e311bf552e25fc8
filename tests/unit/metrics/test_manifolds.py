import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from gancli.metrics import manifolds


def normal(n, d, seed, scale=1.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(manifolds, "BLOCK_NUMBERS", 1000)  # so that there are several


def by_sklearn(fake, real, k):
    """Precision, recall, density and coverage as their papers define them."""
    fake, real = fake.double().numpy(), real.double().numpy()
    distances = np.linalg.norm(fake[:, None] - real[None], axis=2)

    def balls(points):
        return NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points)[0][:, -1]

    inside_real = distances <= balls(real)
    return {
        "precision": inside_real.any(1).mean(),
        "recall": (distances <= balls(fake)[:, None]).any(0).mean(),
        "density": inside_real.sum(1).mean() / k,
        "coverage": inside_real.any(0).mean(),
    }


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_all_four_agree_with_their_definitions_on_scikit_learns_neighbours(scale):
    fake, real = normal(150, 5, 1, scale), normal(130, 5, 2)
    found = manifolds.compare(fake, real)
    three, five = by_sklearn(fake, real, 3), by_sklearn(fake, real, 5)
    assert found.precision.value == pytest.approx(three["precision"])
    assert found.recall.value == pytest.approx(three["recall"])
    assert found.density.value == pytest.approx(five["density"])
    assert found.coverage.value == pytest.approx(five["coverage"])
    assert manifolds.coverage(fake, real, manifolds.radii(real)[:, -1]) == pytest.approx(five["coverage"])


def test_radii_and_nearest_agree_with_scikit_learn():
    points, queries = normal(150, 6, 1), normal(40, 6, 2)
    expected = NearestNeighbors(n_neighbors=6).fit(points.numpy()).kneighbors(points.numpy())[0][:, 1:]
    np.testing.assert_allclose(manifolds.radii(points), expected, rtol=1e-4)
    distances, indices = NearestNeighbors(n_neighbors=3).fit(points.numpy()).kneighbors(queries.numpy())
    found = manifolds.nearest(queries, points, 3)
    np.testing.assert_allclose(found[0], distances, rtol=1e-5)
    assert (found[1].numpy() == indices).all()


def test_a_copy_is_at_distance_zero_even_far_from_the_origin():
    points = normal(100, 6, 1) + 1000
    distances, indices = manifolds.nearest(points[[7, 3]], points)
    assert distances.tolist() == [[0.0], [0.0]]
    assert indices.tolist() == [[7], [3]]


def test_what_is_far_away_is_neither_precise_nor_covers():
    real = normal(100, 4, 1)
    found = manifolds.compare(real + 100, real)
    assert [getattr(found, name).value for name in ("precision", "recall", "density", "coverage")] == [0, 0, 0, 0]


def test_the_same_pictures_are_perfect():
    real = normal(100, 4, 1)
    found = manifolds.compare(real, real)
    assert (found.precision.value, found.recall.value, found.coverage.value) == (1, 1, 1)


def test_a_dropped_half_shows_in_recall_and_coverage_but_not_in_precision():
    real = torch.cat([normal(100, 4, 1), normal(100, 4, 2) + 50])
    found = manifolds.compare(normal(200, 4, 3), real)
    assert found.precision.value > 0.8
    assert found.recall.value <= 0.5
    assert found.coverage.value <= 0.5


def test_too_few_points_have_no_neighbours():
    with pytest.raises(ValueError, match="5 points"):
        manifolds.radii(normal(5, 2, 1))
