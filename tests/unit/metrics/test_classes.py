import math

import pytest
import torch

from gancli.metrics.classes import histogram


def test_kl_by_its_definition():
    found = histogram(torch.tensor([0, 0, 0, 1]), torch.tensor([0.5, 0.5]))
    assert found.kl.value == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert [share.value for share in found.shares] == [0.75, 0.25]
    assert found.modes == 2


def test_dropped_classes_are_no_modes_and_kl_is_the_log_of_what_is_left():
    found = histogram(torch.arange(1000) % 100, torch.full((1000,), 1e-3))
    assert found.modes == 100
    assert found.kl.value == pytest.approx(math.log(10))


def test_a_class_that_the_data_lack_is_infinitely_far():
    assert histogram(torch.tensor([0, 1]), torch.tensor([1.0, 0.0])).kl.value == math.inf


@pytest.mark.parametrize(("n", "k"), [(5000, 10), (20_000, 1000)])
def test_kl_of_a_perfect_model_is_the_floor_and_within_its_interval(n, k):
    draws = [torch.randint(k, (n,), generator=torch.Generator().manual_seed(seed)) for seed in range(20)]
    found = [histogram(classes, torch.full((k,), 1 / k)) for classes in draws]
    mean = sum(one.kl.value for one in found) / len(found)
    assert found[0].floor == (k - 1) / (2 * n)
    assert mean == pytest.approx(found[0].floor, rel=0.25)
    assert sum(one.kl.low <= one.floor <= one.kl.high for one in found) >= 17
