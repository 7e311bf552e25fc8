"""The command line in this process: quick, and with everything that it prints."""

from pathlib import Path

import pytest

from gancli.events import (
    Alarm,
    CheckpointSaved,
    EpochEnded,
    IntervalEnded,
    Preparing,
    PreviewWritten,
    Progress,
    RunEnded,
    RunStarted,
)


@pytest.fixture(autouse=True)
def _clean(clean_place):
    """Also for tests that call no command."""


RUN = Path("runs/a-run")
METRICS = {"d_loss": 1.25, "g_loss": 0.5, "real_score": 0.61, "fake_score": 0.42}
MEASURED = {"diversity": 0.71, "fd_mnist": 17.418}


class Clock:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


class Events:
    """What a run of three epochs with ten steps each might tell."""

    started = RunStarted(
        run=RUN,
        dataset="60 images 1x8x8, tiny",
        arch="dense",
        parameters={"generator": 1486352, "discriminator": 20},
        device="cpu",
        precision="fp32",
        step=0,
        epochs=3,
        total_steps=30,
        notes=("Note.",),
    )
    preparing = Preparing("decoding pictures", 1200, 5000)
    interval = IntervalEnded(8, 0.8, 48, METRICS, 5000.0, 9.0)
    saved = CheckpointSaved(10, RUN / "checkpoints/step-000000010")
    preview = PreviewWritten(10, RUN / "samples/000010.png")
    alarm = Alarm("collapse", 10, "All pictures look alike. Try a larger batch.")
    ended = RunEnded(RUN, "done", 30, 3.0, 36.0, RUN / "checkpoints/step-000000030")

    @staticmethod
    def progress(step=5, epoch=1, eta_seconds=41.0):
        return Progress(step, epoch, step / 30, METRICS, 5123.4, eta_seconds)

    @staticmethod
    def epoch(number=1, seconds=12.0, metrics=METRICS, evaluation=MEASURED):
        step = number * 10
        return EpochEnded(step, number, step * 6, metrics, 5100.0, seconds, evaluation, number, 3, "fd_mnist")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def events():
    return Events
