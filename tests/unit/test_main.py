import os
import sys
from pathlib import Path

import pytest

import gancli
from gancli import __main__ as script


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def run_main(monkeypatch, *argv):
    monkeypatch.setattr(sys, "argv", ["gancli", *argv])
    monkeypatch.setattr(script, "_prepare_streams", lambda: None)
    with pytest.raises(SystemExit) as end:
        script.main()
    return end.value.code


def test_main_prints_a_quick_answer(monkeypatch, capsys):
    assert run_main(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"gancli {gancli.__version__}\n"


def test_main_exits_with_the_code_of_the_command(monkeypatch, capsys):
    assert run_main(monkeypatch, "no-such-command") == 2
    assert "There is no command 'no-such-command'" in capsys.readouterr().err


def test_F53_help_into_a_closed_pipe_is_silent(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert run_main(monkeypatch, "--help") == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_F6_help_onto_a_full_disk_is_one_line(monkeypatch, capsys):
    with Path("/dev/full").open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert run_main(monkeypatch, "--help") == 6
    assert capsys.readouterr().err == "error: Standard output cannot be written to: No space left on device.\n"


def test_F53_closed_streams_are_opened(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    script._prepare_streams()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        assert stream.name == os.devnull
        stream.close()


@pytest.fixture
def printed(tmp_path, monkeypatch):
    """``(encoding, text)`` -> what a stream of this encoding writes."""

    def write(encoding, text):
        with (tmp_path / "out").open("w", encoding=encoding) as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            script._prepare_streams()
            stream.write(text)
        return (tmp_path / "out").read_bytes()

    return write


def test_F28_a_name_that_is_no_text_can_be_printed(printed):
    assert printed("utf-8", "\udcff") == b"\xff"


def test_F52_a_stream_without_unicode_gets_escapes(printed):
    assert printed("ascii", "é") == b"\\xe9"
