import math

import pytest
import torch
from scipy.stats import binomtest

from gancli_evaluate.estimate import copying, histogram, mean, proportion


@pytest.mark.parametrize(("hits", "count"), [(0, 20), (3, 20), (500, 1000), (1000, 1000)])
def test_proportions_agree_with_scipys_wilson(hits, count):
    found, expected = proportion(hits, count), binomtest(hits, count).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.low <= found.value <= found.high


def test_the_interval_of_a_mean_holds_it_nineteen_times_of_twenty():
    draws = torch.randn(400, 50, generator=torch.Generator().manual_seed(0))
    inside = sum(e.low <= 0 <= e.high for e in map(mean, draws))
    assert 365 <= inside <= 393


def test_copies_are_told_from_fresh_pictures():
    generator = torch.Generator().manual_seed(0)
    fresh = torch.rand(300, generator=generator) + 1
    assert copying(torch.zeros(50), fresh).value == 1
    assert copying(fresh + 5, fresh).value == 0
    alike = copying(torch.rand(400, generator=generator) + 1, fresh)
    assert alike.low < 0.5 < alike.high
    assert copying(fresh, fresh).value == pytest.approx(0.5)


def test_copying_agrees_with_the_statistic_of_mann_and_whitney():
    from scipy.stats import mannwhitneyu

    generator = torch.Generator().manual_seed(1)
    fake, fresh = (torch.randint(0, 9, (n,), generator=generator).float() for n in (40, 70))
    expected = 1 - mannwhitneyu(fake.numpy(), fresh.numpy()).statistic / (40 * 70)
    assert copying(fake, fresh).value == pytest.approx(expected)


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
