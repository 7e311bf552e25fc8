import math

import pytest
import torch

from gancli.data.mnist import Mnist
from gancli.metrics.extractor import batches
from gancli.metrics.probe import Probe


@pytest.fixture(scope="module")
def mnist():
    return Mnist().load()


@pytest.fixture(scope="module")
def probe(mnist):
    return Probe.for_data("mnist", mnist.images)


@pytest.fixture(scope="module")
def fresh():
    return Mnist().load("test").images[::5]


def test_real_pictures_are_near_and_noise_is_far(probe, fresh):
    near = probe.measure(batches(fresh))
    far = probe.measure(torch.rand(512, 1, 28, 28, generator=torch.Generator().manual_seed(0)).split(256))
    assert set(near) == {"fd_mnist", "coverage_mnist"} == {probe.column, probe.coverage_column}
    assert near["fd_mnist"] < 5
    assert near["coverage_mnist"] > 0.9
    assert far["fd_mnist"] > 500
    assert far["coverage_mnist"] < 0.05


def test_one_picture_again_and_again_is_as_far_as_the_data_are_wide(probe, mnist):
    found = probe.measure([next(batches(mnist.images[:1])).expand(256, -1, -1, -1)] * 2)
    assert found["fd_mnist"] > 1000
    assert found["coverage_mnist"] < 0.01


def test_the_same_pictures_give_the_same_bits(probe, fresh, mnist):
    again = Probe.for_data("mnist", mnist.images)
    assert probe.measure(batches(fresh)) == probe.measure(batches(fresh)) == again.measure(batches(fresh))


def test_measuring_draws_no_random_numbers(probe, fresh):
    state = torch.random.get_rng_state()
    probe.measure(batches(fresh[:300]))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_pictures_that_are_not_finite_are_infinitely_far(probe):
    assert probe.measure([torch.full((8, 1, 28, 28), math.nan)]) == {"fd_mnist": math.inf, "coverage_mnist": 0.0}


def test_other_data_are_measured_by_random_features():
    pictures = torch.randint(0, 256, (60, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    probe = Probe.for_data("mine", pictures)
    assert probe.column == "fd_random"
    assert probe.measure(batches(pictures))["fd_random"] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("count", [2, 5, 6])
def test_tiny_data_sets(count):
    pictures = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    probe = Probe.for_data("mine", pictures)
    assert math.isfinite(probe.measure(batches(pictures))["fd_random"])


def test_a_single_picture_cannot_be_measured_against():
    assert Probe.for_data("mine", torch.zeros(1, 1, 8, 8, dtype=torch.uint8)) is None
