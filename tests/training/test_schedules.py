import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.training.schedules import ema_decay, trapezoid

fractions = st.floats(0, 1)


@given(fractions, fractions, fractions)
def test_the_factor_stays_between_0_and_1(fraction, warmup, decay):
    assert 0 <= trapezoid(fraction, warmup=warmup, decay=decay) <= 1


@given(fractions)
def test_without_warmup_and_decay_the_factor_is_1(fraction):
    assert trapezoid(fraction, warmup=0, decay=0) == 1


@given(st.floats(0.01, 1))
def test_decay_ends_at_0(decay):
    assert trapezoid(1.0, warmup=0, decay=decay) == 0


def test_a_short_run_gets_the_whole_schedule():
    def schedule(steps):
        return [trapezoid(step / steps, warmup=0.2, decay=0.4) for step in range(steps)]

    assert schedule(10) == pytest.approx(schedule(1000)[::100])


def test_the_average_forgets_half_within_a_halflife():
    decay = ema_decay(100, 10**9, halflife_images=5000, rampup=0)
    assert decay ** (5000 / 100) == pytest.approx(0.5)


@given(st.integers(1, 10**9))
def test_the_ramp_shortens_the_halflife_early(images_seen):
    ramped = ema_decay(128, images_seen, halflife_images=50_000, rampup=0.05)
    assert ramped <= ema_decay(128, images_seen, halflife_images=50_000, rampup=0)


def test_no_halflife_means_no_average():
    assert ema_decay(128, 10**6, halflife_images=0, rampup=0.05) == 0
