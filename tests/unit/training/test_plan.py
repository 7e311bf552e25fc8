import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.config.schema import TrainConfig
from gancli.training.plan import Plan


def test_epochs_are_whole_passes():
    assert Plan.of(TrainConfig(epochs=3), 468).total_steps == 1404


def test_images_are_rounded_up_to_steps():
    plan = Plan.of(TrainConfig(images=1000, batch_size=128), 468)
    assert (plan.total_steps, plan.epochs) == (8, 1)


def test_minutes_follow_the_clock():
    plan = Plan.of(TrainConfig(minutes=2), 468)
    assert plan.fraction(10**9, 60.0) == 0.5
    assert not plan.is_done(10**9, 119.9)
    assert plan.is_done(0, 120.0)
    assert plan.epochs is None


@given(st.integers(1, 1000), st.integers(1, 10**6), st.integers(0, 10**7))
def test_the_fraction_is_a_fraction_and_ends_the_run(steps_per_epoch, total, step):
    plan = Plan(steps_per_epoch, total)
    assert 0 <= plan.fraction(step, 0.0) <= 1
    assert plan.is_done(step, 0.0) == (step >= total)


@pytest.mark.parametrize(("step", "epoch", "ends"), [(0, 1, True), (1, 1, False), (10, 1, True), (11, 2, False), (20, 2, True)])
def test_epochs_are_counted_from_1(step, epoch, ends):
    plan = Plan(10, 100)
    assert (plan.epoch(step), plan.ends_epoch(step)) == (epoch, ends)


def test_a_run_that_was_never_made_longer_has_no_ramp():
    assert {Plan(10, 100).ramp(step) for step in range(100)} == {1.0}


def test_what_was_added_begins_slowly():
    plan = Plan(10, 200, extended_at=100)
    assert [plan.ramp(step) for step in (100, 105, 110, 199)] == [0, 0.5, 1, 1]


def test_what_is_due_in_steps_waits_for_the_end_of_an_epoch():
    plan = Plan(steps_per_epoch=7, total_steps=50)
    assert [step for step in range(1, 51) if plan.ends_epoch_past(step, 20)] == [21, 42, 50]
    assert [step for step in range(1, 51) if plan.ends_epoch_past(step, 1)] == [7, 14, 21, 28, 35, 42, 49, 50]


def test_a_long_epoch_is_never_skipped():
    plan = Plan(steps_per_epoch=468, total_steps=4680)
    assert all(plan.ends_epoch_past(epoch * 468, 100) for epoch in range(1, 11))
