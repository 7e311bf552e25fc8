import math

import pytest
import torch

from gancli.metrics.distances import Moments, frechet_distance
from gancli_evaluate.distances import frechet_estimate, kernel_distance


def normal(n, d, seed, scale=1.0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=torch.Generator().manual_seed(9))
    return (torch.randn(n, d, generator=generator) @ mixing) * scale + shift


def test_frechet_of_one_image_many_times_is_in_its_interval():
    points = normal(50, 16, 1)
    one = points[:1].expand(50, -1)
    collapsed = frechet_distance(Moments.of([one]), Moments.of([points]))
    assert frechet_estimate(one, Moments.of([points])).low <= collapsed


def test_frechet_of_what_is_not_finite_is_infinite():
    broken = normal(50, 4, 1)
    broken[3, 2] = math.nan
    assert frechet_estimate(broken, Moments.of([normal(50, 4, 1)])).value == math.inf


def test_the_interval_of_frechet_is_as_wide_as_the_spread_over_repetitions():
    reference = Moments.of([normal(20_000, 6, 100)])
    estimates = [frechet_estimate(normal(400, 6, seed, 1.2, 0.5), reference) for seed in range(60)]
    spread = float(torch.tensor([e.value for e in estimates]).std())
    claimed = sum(e.high - e.value for e in estimates) / len(estimates) / 1.96
    assert claimed == pytest.approx(spread, rel=0.3)


def test_the_kernel_distance_by_its_definition():
    x, y = normal(5, 3, 1).double(), normal(4, 3, 2, 1.5).double()
    k = lambda a, b: float((0.1 * a @ b + 1) ** 3)  # noqa: E731  (one line where it is used)
    within = sum(k(x[i], x[j]) for i in range(5) for j in range(5) if i != j) / 20
    among = sum(k(y[i], y[j]) for i in range(4) for j in range(4) if i != j) / 12
    across = sum(k(a, b) for a in x for b in y) / 20
    assert kernel_distance(x, y, 0.1).value == pytest.approx(within + among - 2 * across)


def test_the_kernel_distance_is_unbiased_and_its_interval_honest():
    reference = normal(1000, 4, 100)
    estimates = [kernel_distance(normal(100, 4, seed), reference, 0.1) for seed in range(80)]
    values = torch.tensor([e.value for e in estimates])
    assert abs(float(values.mean())) < 3 * float(values.std()) / 80**0.5 + 0.02
    further = [kernel_distance(normal(100, 4, seed, 1.3), reference, 0.1) for seed in range(80)]
    spread = float(torch.tensor([e.value for e in further]).std())
    claimed = sum(e.high - e.value for e in further) / len(further) / 1.96
    assert claimed == pytest.approx(spread, rel=0.35)
