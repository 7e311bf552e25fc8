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
