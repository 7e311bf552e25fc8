from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from gancli.cli.console import COUNTER_SECONDS, Console, Counter, PlainConsole, Unbreakable, console_for, is_live


class Terminal(StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Broken(StringIO):
    def write(self, _text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def _a_good_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_pipe_gets_plain_lines():
    assert type(console_for(StringIO())) is PlainConsole


def test_quiet_is_quiet_everywhere():
    assert type(console_for(Terminal(), quiet=True)) is Console


def test_a_terminal_is_live():
    from gancli.cli.live import LiveConsole

    assert type(console_for(Terminal())) is LiveConsole


@pytest.mark.parametrize("term", ["dumb", None])
def test_F52_a_dumb_terminal_gets_plain_lines(monkeypatch, term):
    monkeypatch.delenv("TERM")
    if term:
        monkeypatch.setenv("TERM", term)
    assert not is_live(Terminal())
    assert type(console_for(Terminal())) is PlainConsole


@pytest.mark.parametrize(("color", "no_color"), [(False, None), (True, "1")])
def test_F52_no_color(monkeypatch, color, no_color):
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    terminal = Terminal()
    with console_for(terminal, color=color):
        pass
    assert "loading torch" in terminal.getvalue()
    assert "\x1b[3" not in terminal.getvalue().replace("\x1b[?25", "")


def test_F53_a_reader_that_leaves_only_silences():
    stream = Unbreakable(Broken())
    assert stream.write("text") == 4
    stream.flush()
    assert not stream.isatty()
    Unbreakable(Broken()).flush()


def test_unbreakable_passes_on():
    terminal = Terminal()
    stream = Unbreakable(terminal)
    stream.write("text")
    stream.flush()
    assert (terminal.getvalue(), stream.isatty(), stream.encoding) == ("text", True, "utf-8")
    with pytest.raises(OSError, match="fileno"):
        stream.fileno()


# -- one line that counts --


def test_a_terminal_sees_how_far_it_is(clock):
    terminal = Terminal()
    with Counter(terminal, clock=clock) as counter:
        assert "loading torch" in terminal.getvalue()
        for done in range(0, 10_000, 100):
            counter(done, 10_000)
            clock.seconds += COUNTER_SECONDS / 10
    assert 5 < terminal.getvalue().count("of 10,000") < 15
    assert terminal.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(("stream", "quiet"), [(StringIO(), False), (Terminal(), True)])
def test_nobody_else_does(clock, stream, quiet):
    with Counter(stream, quiet=quiet, clock=clock) as counter:
        clock.seconds += 1
        counter(1, 2)
    assert stream.getvalue() == ""


# -- plain lines, and nothing --


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
    with Console() as console:
        console(events.started)
        console.stopping()
        console.abandon()
    assert capfd.readouterr() == ("", "")


def test_work_on_the_pictures_is_one_line_a_second(console, stream, clock, events):
    for seconds in (0.0, 0.5, 0.6):
        clock.seconds += seconds
        console(events.preparing)
    assert lines(stream) == ["decoding pictures done=1200/5000"] * 2
