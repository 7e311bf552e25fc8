from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from gancli.cli.console.plain import PlainConsole, QuietConsole


class Flushed(StringIO):
    """Remembers what could be read from the other end."""

    seen = ""

    def flush(self):
        self.seen = self.getvalue()


@pytest.fixture
def stream():
    return Flushed()


@pytest.fixture
def console(stream, clock):
    return PlainConsole(stream, clock)


def lines(stream):
    assert stream.seen == stream.getvalue()
    return stream.seen.splitlines()


def test_the_first_sign_of_life(console, stream):
    with console:
        assert lines(stream) == ["loading torch"]


def test_a_run_from_start_to_end(console, stream, events):
    for event in (events.started, events.progress(), events.epoch(), events.preview, events.saved, events.alarm, events.ended):
        console(event)
    measured = "d=1.250 g=0.500 real=0.61 fake=0.42 diversity=0.71 fd_mnist=17.42"
    assert lines(stream) == [
        "run=runs/a-run device=cpu precision=fp32",
        "data=60 images 1x8x8, tiny",
        "arch=dense generator=1486352 discriminator=20",
        "Note.",
        "epoch=1/3 step=5 d=1.250 g=0.500 real=0.61 fake=0.42 images_per_s=5123 eta=00:41",
        f"epoch=1/3 ended step=10 {measured} images_per_s=5100 time=00:12",
        "preview step=10 path=runs/a-run/samples/000010.png",
        "saved step=10 path=runs/a-run/checkpoints/step-000000010",
        "alarm=collapse step=10 All pictures look alike. Try a larger batch.",
    ]


def test_progress_comes_at_most_once_a_second(console, stream, clock, events):
    for step in range(100):
        console(events.progress(step))
        clock.seconds += 0.1
    assert 10 <= len(lines(stream)) <= 11


def test_every_epoch_is_told(console, stream, events):
    for number in (1, 2, 3):
        console(events.epoch(number))
    assert len(lines(stream)) == 3


def test_a_run_measured_in_minutes_has_no_number_of_epochs(console, stream, events):
    console(replace(events.started, total_steps=None, epochs=None))
    console(events.progress(eta_seconds=float("inf")))
    assert lines(stream)[-1].startswith("epoch=1 step=5 ")
    assert lines(stream)[-1].endswith("eta=--:--")


def test_what_a_training_reports_is_shown_whatever_it_is_called(console, stream, events):
    console(events.epoch(metrics={"cycle": 2.5}, evaluation={}))
    assert lines(stream)[0].startswith("epoch=1 ended step=10 cycle=2.500")


def test_scores_that_are_no_probabilities_are_not_shown(console, stream, events):
    console(replace(events.started, probabilities=False))
    console(events.progress())
    assert "real=" not in lines(stream)[-1]


def test_F22_names_cannot_steer_the_terminal(console, stream, events):
    console(replace(events.saved, path=Path("a\x1b[2J\nb")))
    assert lines(stream) == ["saved step=10 path=a\\x1b[2J b"]


def test_stopping_is_said_through_the_descriptor(console, capfd):
    console.stopping()
    assert capfd.readouterr().err == "finishing the step, then saving; once more to leave at once\n"


def test_quiet_shows_nothing(capfd, events):
    with QuietConsole() as console:
        console(events.started)
        console.stopping()
        console.abandon()
    assert capfd.readouterr() == ("", "")


def test_work_on_the_pictures_is_one_line_a_second(console, stream, clock, events):
    for seconds in (0.0, 0.5, 0.6):
        clock.seconds += seconds
        console(events.preparing)
    assert lines(stream) == ["decoding pictures done=1200/5000"] * 2
