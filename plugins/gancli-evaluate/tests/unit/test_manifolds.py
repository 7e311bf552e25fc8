import numpy as np
import pytest
import torch

from gancli.metrics import distances as of_gancli
from gancli_evaluate import manifolds


def normal(n, d, seed, scale=1.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    for module in (manifolds, of_gancli):
        monkeypatch.setattr(module, "BLOCK_NUMBERS", 1000)  # so that there are several


def distances_between(a, b):
    return np.linalg.norm(a.double().numpy()[:, None] - b.double().numpy()[None], axis=2)


def by_definition(fake, real, k):
    """Precision, recall, density and coverage as their papers define them."""
    distances = distances_between(fake, real)

    def balls(points):
        return np.sort(distances_between(points, points))[:, k]

    inside_real = distances <= balls(real)
    return {
        "precision": inside_real.any(1).mean(),
        "recall": (distances <= balls(fake)[:, None]).any(0).mean(),
        "density": inside_real.sum(1).mean() / k,
        "coverage": inside_real.any(0).mean(),
    }


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_all_four_agree_with_their_definitions(scale):
    fake, real = normal(150, 5, 1, scale), normal(130, 5, 2)
    found = manifolds.compare(fake, real)
    three, five = by_definition(fake, real, 3), by_definition(fake, real, 5)
    assert found["precision"].value == pytest.approx(three["precision"])
    assert found["recall"].value == pytest.approx(three["recall"])
    assert found["density"].value == pytest.approx(five["density"])
    assert found["coverage"].value == pytest.approx(five["coverage"])


def test_nearest_agrees_with_sorted_distances():
    points, queries = normal(150, 6, 1), normal(40, 6, 2)
    distances = distances_between(queries, points)
    found = manifolds.nearest(queries, points, 3)
    np.testing.assert_allclose(found[0], np.sort(distances)[:, :3], rtol=1e-5)
    assert (found[1].numpy() == distances.argsort()[:, :3]).all()


def test_a_copy_is_at_distance_zero_even_far_from_the_origin():
    points = normal(100, 6, 1) + 1000
    distances, indices = manifolds.nearest(points[[7, 3]], points)
    assert distances.tolist() == [[0.0], [0.0]]
    assert indices.tolist() == [[7], [3]]


def test_what_is_far_away_is_neither_precise_nor_covers():
    real = normal(100, 4, 1)
    found = manifolds.compare(real + 100, real)
    assert [found[name].value for name in ("precision", "recall", "density", "coverage")] == [0, 0, 0, 0]


def test_the_same_pictures_are_perfect():
    real = normal(100, 4, 1)
    found = manifolds.compare(real, real)
    assert (found["precision"].value, found["recall"].value, found["coverage"].value) == (1, 1, 1)


def test_a_dropped_half_shows_in_recall_and_coverage_but_not_in_precision():
    real = torch.cat([normal(100, 4, 1), normal(100, 4, 2) + 50])
    found = manifolds.compare(normal(200, 4, 3), real)
    assert found["precision"].value > 0.8
    assert found["recall"].value <= 0.5
    assert found["coverage"].value <= 0.5
