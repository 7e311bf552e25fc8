from io import StringIO

import pytest

from gancli.cli.console import PlainConsole, QuietConsole, console_for
from gancli.cli.console.stream import Unbreakable, is_live


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
    assert type(console_for(Terminal(), quiet=True)) is QuietConsole


def test_a_terminal_is_live():
    from gancli.cli.console.live import LiveConsole

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
