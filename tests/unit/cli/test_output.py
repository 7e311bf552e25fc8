import os
import re
import sys
from pathlib import Path

import pytest

from gancli.cli.output import Output, free_name, refuse_existing, settle, unread_is_fine
from gancli.errors import StorageError

TITLES, ROWS = ("name", "age", "meaning"), [("a", 1, "short"), ("longer", 22, "a text that says much more about it")]


def seen(capsys):
    """What was printed, without bold and dim."""
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


@pytest.fixture
def terminal(monkeypatch):
    def terminal(columns):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return terminal


def test_a_table_in_a_pipe(capsys):
    Output().table(TITLES, ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "name    age  meaning",
        "a       1    short",
        "longer  22   a text that says much more about it",
    ]


def test_a_table_on_a_terminal(capsys, terminal):
    terminal(80)
    Output().table(TITLES, ROWS)
    assert [line.rstrip() for line in seen(capsys).splitlines()] == [
        "name    age  meaning",
        "a       1    short",
        "longer  22   a text that says much more about it",
    ]


def test_a_table_on_a_narrow_terminal(capsys, terminal):
    terminal(20)
    Output().table(TITLES, ROWS)
    assert [line.rstrip() for line in seen(capsys).splitlines()] == [
        "name    age",
        "a       1",
        "    short",
        "longer  22",
        "    a text that says",
        "    much more about",
        "    it",
    ]


def test_a_table_on_a_very_narrow_terminal(capsys, terminal):
    terminal(6)
    Output().table(TITLES, [("a", 1, ""), ("longer", 22, "x")])
    assert [line.rstrip() for line in seen(capsys).splitlines()] == ["name", "a", "    1", "longer", "    22", "    x"]


def test_an_empty_table_has_its_heading(capsys):
    Output().table(TITLES, [])
    assert capsys.readouterr().out == "name  age  meaning\n"


def test_F22_a_table_cannot_steer_the_terminal(capsys, terminal):
    Output().table(("x",), [["\x1b[2J"]])
    terminal(80)
    Output().table(("x",), [["\x1b[2J [red]"]])
    assert seen(capsys).split() == ["x", "\\x1b[2J", "x", "\\x1b[2J", "[red]"]


def test_F28_a_path_is_passed_on_unchanged_but_shown_safely(capsys, terminal):
    Output().result("a\tb")
    terminal(80)
    Output().result("a\tb")
    assert capsys.readouterr().out == "a\tb\na\\tb\n"


def test_pairs(capsys):
    Output().pairs([("a", 1), ("long", "")])
    Output().pairs([])
    assert capsys.readouterr().out == "a     1\nlong\n"


def test_quiet(capsys):
    Output(quiet=True).note("x")
    Output().note("y")
    assert capsys.readouterr().err == "y\n"


@pytest.fixture
def unread():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        yield stream


def test_F53_notes_nobody_reads(unread, monkeypatch):
    monkeypatch.setattr(sys, "stderr", unread)
    Output().note("x")
    settle(unread)
    unread.write("leads nowhere")
    unread.flush()


def test_F53_results_nobody_reads(unread, monkeypatch):
    monkeypatch.setattr(sys, "stdout", unread)
    with unread_is_fine():
        Output().result("x")
    Output().result("leads nowhere")


def test_a_closed_stream_can_be_settled(unread):
    settle(unread)
    unread.close()
    settle(unread)


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.npz", "a.html", "a.safetensors", "a.txt"])
def test_any_other_file_is_kept(tmp_path, name):
    target = tmp_path / name
    target.write_bytes(b"somebody's own work, which mentions gancli")
    with pytest.raises(StorageError, match=r"not made by gancli.* --force"):
        refuse_existing(target, force=False)
    refuse_existing(target, force=True)


@pytest.mark.usefixtures("at_trained")
def test_a_link_is_kept(cli, tmp_path):
    cli("sample", "-n", "1", "-o", tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    assert cli("sample", "-n", "1", "-o", tmp_path / "link.png").code == 6


def test_a_missing_folder_is_said_early(tmp_path):
    with pytest.raises(StorageError):
        refuse_existing(tmp_path / "nosuch" / "a.png", force=True)


def test_the_next_grid_gets_a_free_name():
    Path("grid.png").touch()
    Path("grid-2.png").touch()
    assert free_name("grid.png") == "grid-3.png"
