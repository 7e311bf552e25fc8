from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.checkpoint.store import CheckpointStore
from gancli.config.schema import TrainConfig
from gancli.events import RunStarted
from gancli.gan.trainer import Trainer
from gancli.runs import RunDirectory
from gancli.training.monitoring import Monitor
from gancli.training.plan import Clock, Plan
from gancli.training.run import resume, train


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


MINUTES = 2


@pytest.fixture
def world(monkeypatch, without_training):
    """A clock that only these operations move, by so many seconds; and what was done when, since the first step."""
    world = SimpleNamespace(now=1000.0, began=None, done=[], load=lambda _: 1.0)
    world.seconds = {"step": 0.1, "evaluation": 2.0, "diversity": 0.25, "preview": 0.3, "save": 0.4, "plot": 0.5}

    def spend(what, part=1.0):
        if what == "step" and world.began is None:
            world.began = world.now
        since = world.now - (world.began or world.now)
        world.now += world.seconds[what] * part * world.load(since)
        world.done.append(what)

    def spending(what, place, name, *, part=False):
        honest = getattr(place, name)

        def work(self, *args, **kwargs):
            spend(what, args[0] if part and args else 1.0)
            return honest(self, *args, **kwargs)

        monkeypatch.setattr(place, name, work)

    with without_training():
        monkeypatch.setattr("gancli.training.plan.monotonic", lambda: world.now)
        monkeypatch.setattr("gancli.training.session.time", SimpleNamespace(monotonic=lambda: world.now))
        honest = Trainer.step

        def step(trainer, fraction, *args, **kwargs):
            spend("step")
            world.fraction = fraction
            return honest(trainer, fraction, *args, **kwargs)

        monkeypatch.setattr(Trainer, "step", step)
        spending("evaluation", Monitor, "evaluate", part=True)
        spending("diversity", Monitor, "diversity")
        spending("preview", Monitor, "previews")
        spending("save", CheckpointStore, "save")
        monkeypatch.setattr("gancli.training.session.plot_losses", lambda *_: spend("plot"))
        yield world


LOADS = {
    "a quiet machine": lambda _: 1.0,
    "twice as slow for a while": lambda since: 2.0 if 30 < since < 70 else 1.0,
    "slower in the end": lambda since: 1.5 if since > 90 else 1.0,
    "faster in the end": lambda since: 2.0 if since < 90 else 1.0,
}
SECONDS = {
    "as they are": {},
    "long steps": {"step": 3.0},
    "an evaluation of a third of the time": {"evaluation": 40.0, "diversity": 5.0},
    "a large checkpoint": {"save": 4.0},
}


CASES = [*((name, "as they are") for name in LOADS), *(("a quiet machine", name) for name in [*SECONDS][1:])]


@pytest.mark.parametrize(("load", "seconds"), CASES)
def test_a_run_in_minutes_ends_on_time_and_with_its_schedule(configure, tmp_path, world, load, seconds):
    world.load = LOADS[load]
    world.seconds |= SECONDS[seconds]
    every = "log.quality_every_images=3200", "checkpoint.every_steps=50"

    def observe(event):
        if isinstance(event, RunStarted):  # a step has been rehearsed before
            world.began = None
            world.done.clear()

    config = configure(f"train.minutes={MINUTES}", "train.epochs=null", *every)
    ended = train(config, runs_dir=tmp_path, name="a", observe=observe)
    took = world.now - world.began
    assert took == pytest.approx(60 * MINUTES, rel=0.02)
    assert ended.elapsed_seconds == pytest.approx(took, abs=0.1)
    assert world.fraction > 1 - 2 * max(world.seconds["step"], 1) / (60 * MINUTES)
    backwards = world.done[::-1]
    assert backwards.index("evaluation") < backwards.index("step"), "the last evaluation is of the last step"
    assert resume(RunDirectory(ended.run)).step == ended.step, "and nothing is left to do"


def test_a_run_that_is_made_longer_in_minutes_takes_what_was_added(configure, tmp_path, world):
    world.seconds["step"] = 0.5
    ended = train(configure("train.minutes=1", "train.epochs=null"), runs_dir=tmp_path, name="a")

    def observe(event):
        if isinstance(event, RunStarted):
            world.began = None

    longer = resume(RunDirectory(ended.run), changes={"train.minutes": 3}, observe=observe)
    assert world.now - world.began == pytest.approx(120, rel=0.02)
    assert longer.elapsed_seconds == pytest.approx(180, rel=0.02)


def test_the_schedule_of_other_runs_does_not_follow_the_clock():
    clock = Clock(None, elapsed_seconds=5.0)
    with clock.timed("evaluation"):
        pass
    assert clock.elapsed == clock.schedule == 5
    assert clock.affords("evaluation")
