from pathlib import Path

import pytest

from gancli.events import Alarm, CheckpointSaved, EpochEnded, Preparing, PreviewWritten, Progress, RunEnded, RunStarted

RUN = Path("runs/a-run")
METRICS = {"d_loss": 1.25, "g_loss": 0.5, "real_score": 0.61, "fake_score": 0.42}
MEASURED = {**METRICS, "fd_mnist": 17.418}


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
        steps_per_epoch=10,
        total_steps=30,
        total_seconds=None,
        notes=("Note.",),
    )
    preparing = Preparing("decoding pictures", 1200, 5000)
    saved = CheckpointSaved(10, RUN / "checkpoints/step-000000010")
    preview = PreviewWritten(10, RUN / "samples/000010.png")
    alarm = Alarm("collapse", 10, "All pictures look alike. Try a larger batch.")
    ended = RunEnded(RUN, "done", 30, 3.0, 36.0, RUN / "checkpoints/step-000000030")

    @staticmethod
    def progress(step=5, epoch=1, eta_seconds=41.0):
        return Progress(step, epoch, step / 30, METRICS, 5123.4, eta_seconds)

    @staticmethod
    def epoch(number=1, seconds=12.0, metrics=MEASURED):
        return EpochEnded(number, 3, number * 10, metrics, 5100.0, seconds, "fd_mnist")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def events():
    return Events
