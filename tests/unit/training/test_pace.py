"""A run of M minutes ends after M minutes, its last evaluation and checkpoint included, with its schedule at its end."""

from types import SimpleNamespace

import pytest

from gancli.checkpoint.store import CheckpointStore
from gancli.events import RunStarted
from gancli.gan.trainer import Trainer
from gancli.runs import RunDirectory
from gancli.training.monitoring import Monitor
from gancli.training.pace import Clock
from gancli.training.run import resume, train

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
        monkeypatch.setattr("gancli.training.pace.monotonic", lambda: world.now)
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
