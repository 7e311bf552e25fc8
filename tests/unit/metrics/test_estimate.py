import pytest
import torch
from scipy.stats import binomtest

from gancli.metrics.copying import copying
from gancli.metrics.estimate import mean, proportion


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
