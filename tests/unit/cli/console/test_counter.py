from io import StringIO

import pytest

from gancli.cli.console.counter import INTERVAL_SECONDS, Counter


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _a_good_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")


def test_a_terminal_sees_how_far_it_is(clock):
    terminal = Terminal()
    with Counter(terminal, clock=clock) as counter:
        assert "loading torch" in terminal.getvalue()
        for done in range(0, 10_000, 100):
            counter(done, 10_000)
            clock.seconds += INTERVAL_SECONDS / 10
    assert 5 < terminal.getvalue().count("of 10,000") < 15
    assert terminal.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(("stream", "quiet"), [(StringIO(), False), (Terminal(), True)])
def test_nobody_else_does(clock, stream, quiet):
    with Counter(stream, quiet=quiet, clock=clock) as counter:
        clock.seconds += 1
        counter(1, 2)
    assert stream.getvalue() == ""
