import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.config.schema import TrainConfig
from gancli.gan.schedules import burn_in, ema_decay, rates_at, trapezoid

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


@given(fractions, st.floats(0.01, 1))
def test_a_burn_in_stays_between_its_ends_and_never_turns_back(fraction, length):
    values = [burn_in(f, 2.0, 0.2, length=length) for f in (fraction, min(1.0, fraction + 0.01))]
    assert 2.0 >= values[0] >= values[1] >= 0.2


def test_a_burn_in_begins_and_ends_flat():
    nearly = [burn_in(f, 1.0, 0.0, length=0.5) for f in (0.001, 0.499)]
    assert nearly == pytest.approx([1, 0], abs=1e-4)


def rules(**settings):
    return TrainConfig(epochs=1, **{"learning_rate": 1e-3, "learning_rate_decay": 0, "betas": (0.0, 0.99), **settings})


def test_without_a_burn_in_the_lasting_rates_hold_from_the_first_step():
    rates = rates_at(rules(learning_rate_start=0.5, beta2_start=0.1, penalty_start=9), 0.0)
    assert (rates.of("generator"), rates.betas, rates.penalty) == (1e-3, (0.0, 0.99), 1.0)


def test_a_burn_in_moves_step_size_beta2_and_penalties_together():
    settings = rules(burn_in=0.2, learning_rate_start=4e-3, beta2_start=0.9, penalty_start=10)
    start, middle, end = (rates_at(settings, fraction) for fraction in (0.0, 0.1, 0.2))
    assert (start.of("generator"), start.betas, start.penalty) == (4e-3, (0.0, 0.9), 10)
    assert middle.of("generator") == pytest.approx(2.5e-3)
    assert (middle.betas[1], middle.penalty) == (pytest.approx(0.945), pytest.approx(5.5))
    assert (end.of("generator"), end.betas, end.penalty) == (1e-3, (0.0, 0.99), 1.0)


def test_the_players_keep_their_ratio_through_a_burn_in():
    settings = rules(burn_in=0.5, learning_rate_start=4e-3, discriminator_learning_rate=2e-3)
    for fraction in (0.0, 0.3, 0.9):
        rates = rates_at(settings, fraction, ramp=0.5)
        assert rates.of("discriminator") == pytest.approx(2 * rates.of("generator"))


def test_a_run_that_was_made_longer_does_not_burn_in_again():
    assert rates_at(rules(burn_in=0.9, penalty_start=10), 0.1, settled=True).penalty == 1.0
