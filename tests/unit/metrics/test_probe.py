import math

import pytest
import torch

from gancli.data.mnist import Mnist
from gancli.images import normalise
from gancli.metrics.extractors import RandomExtractor, batches
from gancli.metrics.probe import Diversity, Probe, likeness
from gancli.training.alarms import COLLAPSED


@pytest.fixture(scope="module")
def mnist():
    return Mnist().load()


@pytest.fixture(scope="module")
def probe(mnist):
    return Probe.for_data("mnist", mnist.images)


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


COUNT = 256


@pytest.fixture(scope="module")
def data():
    """Digits 28x28: images to compare with, others to make sets of, and the labels of both."""
    torch.set_num_threads(1)
    found = Mnist().load("test")
    images = normalise(found.images)
    return images[:COUNT], images[COUNT : 2 * COUNT], found.labels[:COUNT], found.labels[COUNT : 2 * COUNT]


@pytest.fixture(scope="module")
def coloured(data):
    """The same in colours at random."""
    torch.manual_seed(1)
    return tuple(((images + 1) * torch.rand(COUNT, 3, 1, 1) - 1) for images in data[:2])


def measure_for(real, labels=None):
    return Diversity(RandomExtractor.for_data(((real + 1) * 127.5).round().byte()), real, labels)


@pytest.fixture(scope="module", params=["grey", "colour"])
def measured(request, data, coloured):
    """(measure, other real images)."""
    real, other = coloured if request.param == "colour" else data[:2]
    return measure_for(real), other


def speckled(images, part):
    torch.manual_seed(2)
    return torch.where(torch.rand_like(images) < part, torch.rand_like(images) * 2 - 1, images)


@pytest.mark.parametrize("speckle", [0, 0.02, 0.1])
@pytest.mark.parametrize("modes", [1, 2, 3])
def test_F35_a_few_images_again_and_again_are_a_collapse_however_noisy(measured, modes, speckle):
    diversity, other = measured
    fake = speckled(other[:modes].repeat(COUNT, 1, 1, 1)[:COUNT], speckle)
    assert diversity.measure(fake) < COLLAPSED


def test_F35_half_of_the_images_alike_is_a_collapse(measured):
    diversity, other = measured
    assert diversity.measure(torch.cat([other[: COUNT // 2], other[:1].expand(COUNT // 2, -1, -1, -1)])) < COLLAPSED


def test_F35_pure_noise_is_one_image(measured):
    diversity, other = measured
    torch.manual_seed(3)
    assert diversity.measure(torch.rand_like(other) * 2 - 1) < COLLAPSED


def test_F35_small_changes_of_one_image_are_a_collapse(measured):
    diversity, other = measured
    assert diversity.measure(other.mean(0) + 0.1 * (other - other.mean(0))) < COLLAPSED


def test_other_real_images_are_as_diverse(measured):
    diversity, other = measured
    assert diversity.measure(other) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("speckle", [0.02, 0.1])
def test_noise_on_diverse_images_is_no_collapse(measured, speckle):
    diversity, other = measured
    assert diversity.measure(speckled(other, speckle)) > 2 * COLLAPSED


def test_F35_one_image_of_each_class_is_a_collapse(data):
    real, other, labels, other_labels = data
    diversity = measure_for(real, labels)
    first = torch.stack([other[other_labels == k][0] for k in range(10)])
    assert diversity.measure(speckled(first[labels], 0.05), labels) < COLLAPSED
    assert diversity.measure(other, other_labels) == pytest.approx(1, abs=0.3)


def test_real_images_that_do_not_differ_ask_for_nothing(data):
    alike = data[0][:1].expand(8, -1, -1, -1)
    assert measure_for(alike).measure(alike) == 1


def test_images_that_are_not_finite_have_no_diversity(measured):
    diversity, other = measured
    assert diversity.measure(torch.full_like(other, torch.nan)) == 0


def test_likeness_is_the_part_of_the_pairs_that_are_alike():
    far = torch.arange(5.0)[:, None] * 100
    assert likeness(far, 1) == pytest.approx(0)
    assert likeness(torch.zeros(7, 2), 1) == pytest.approx(1)
    assert likeness(far.repeat(2, 1), 1) == pytest.approx(5 / 45)
    assert likeness(far.repeat(2, 1), 1, torch.tensor([0] * 5 + [1] * 5)) == pytest.approx(0)
