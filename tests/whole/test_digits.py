"""What the metrics say of real digits, on which they were made."""

import math

import pytest
import torch

from gancli.data.mnist import Mnist, StackedMnist
from gancli.errors import UsageError
from gancli.metrics.distances import TOTAL_VARIANCE, Moments, frechet_distance
from gancli.metrics.extractors import (
    DigitExtractor,
    RandomExtractor,
    StackedDigitExtractor,
    batches,
    extractor_for,
    known_moments,
    read,
    some_of,
)
from gancli.metrics.probe import Probe


@pytest.fixture(scope="module")
def mnist():
    return Mnist().load()


@pytest.fixture(scope="module")
def probe(mnist):
    return Probe.for_data("mnist", mnist.images)


@pytest.fixture(scope="module")
def fresh():
    return Mnist().load("test")


def test_real_pictures_are_near_and_noise_is_far(probe, fresh):
    near = probe.measure(batches(fresh.images[::5]))
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
    again, some = Probe.for_data("mnist", mnist.images), fresh.images[::5]
    assert probe.measure(batches(some)) == probe.measure(batches(some)) == again.measure(batches(some))


def test_measuring_draws_no_random_numbers(probe, fresh):
    state = torch.random.get_rng_state()
    probe.measure(batches(fresh.images[:1500:5]))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_pictures_that_are_not_finite_are_infinitely_far(probe):
    assert probe.measure([torch.full((8, 1, 28, 28), math.nan)]) == {"fd_mnist": math.inf, "coverage_mnist": 0.0}


def test_the_digit_extractor_is_right_on_the_test_split(fresh):
    found = read(DigitExtractor(), batches(fresh.images))
    assert float((found.classes == fresh.labels).float().mean()) >= 0.995
    assert found.features.shape == (10_000, 64)


def test_the_stored_moments_are_those_of_the_training_pictures(mnist):
    extractor = DigitExtractor()
    stored = known_moments(extractor, mnist.images)
    found = Moments.of([read(extractor, batches(some_of(mnist.images, 4000))).features])
    assert stored.covariance.trace() == pytest.approx(TOTAL_VARIANCE, rel=1e-3)
    assert frechet_distance(found, stored) < 5
    assert known_moments(extractor, mnist.images.flip(0)) is None


def test_a_stack_is_three_digits(mnist):
    stacked, single = StackedDigitExtractor(), DigitExtractor()
    digits = mnist.images[:30]
    together = read(stacked, batches(digits.view(10, 3, 28, 28)))
    apart = read(single, batches(digits))
    torch.testing.assert_close(together.features, apart.features.view(10, 192) / 3**0.5)
    assert together.classes.tolist() == (apart.classes.view(10, 3) @ torch.tensor([100, 10, 1])).tolist()
    reference = stacked.moments
    assert reference.covariance.trace() == pytest.approx(TOTAL_VARIANCE, rel=1e-3)
    real = Moments.of([read(stacked, batches(StackedMnist().load().images[:3000])).features])
    assert frechet_distance(real, reference) < 15


def test_random_features_order_damage_as_digits_do(mnist, fresh):
    generator = torch.Generator().manual_seed(0)
    real = some_of(fresh.images, 1000)
    pictures = torch.cat(list(batches(real)))
    stages = [pictures, *(pictures + s * torch.randn(pictures.shape, generator=generator) for s in (0.2, 0.5, 1.0))]
    kept = fresh.labels[:2000]
    dropped = [torch.cat(list(batches(fresh.images[:2000][kept >= k]))) for k in (0, 3, 8)]
    for extractor in (DigitExtractor(), RandomExtractor.for_data(mnist.images)):
        reference = Moments.of([read(extractor, batches(some_of(mnist.images, 3000))).features])
        for series in (stages, dropped):
            found = [frechet_distance(Moments.of([read(extractor, [x]).features]), reference) for x in series]
            assert found == sorted(found)


def test_there_are_a_thousand_modes_all_about_equally_frequent():
    train = StackedMnist().load()
    assert train.images.shape == (60_000, 3, 28, 28)
    assert train.images.dtype == torch.uint8
    assert train.images.is_contiguous()
    counts = train.labels.bincount(minlength=1000)
    assert len(counts) == 1000 == len(train.class_names)
    assert 25 <= counts.min() <= counts.max() <= 110


@pytest.fixture(scope="module")
def noise():
    return torch.randint(0, 256, (100, 3, 20, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_autocast_and_random_state_are_none_of_an_extractors_business(mnist):
    extractor, state = DigitExtractor(), torch.random.get_rng_state()
    plain = read(extractor, batches(mnist.images[:64])).features
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(read(extractor, batches(mnist.images[:64])).features, plain)
    RandomExtractor.for_data(mnist.images[:64])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_which_extractor_suits(mnist, noise):
    assert extractor_for("mnist", mnist.images).name == "mnist"
    assert extractor_for("mine", mnist.images).name == "mnist"  # the same pictures under another name
    assert extractor_for("fashion-mnist", mnist.images[:50]).name == "random"
    assert extractor_for("fashion-mnist", mnist.images[:50], "mnist").name == "mnist"
    assert extractor_for("mnist", mnist.images, "random").name == "random"
    assert extractor_for("stacked-mnist", mnist.images[:60].view(20, 3, 28, 28)).name == "stacked-mnist"
    assert extractor_for("mnist", noise).name == "random"
    with pytest.raises(UsageError, match=r"cannot read images of 3x20x12\..*--extractor random"):
        extractor_for("x", noise, "mnist")
