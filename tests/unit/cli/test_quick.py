import pytest

import gancli
from gancli.cli import quick
from gancli.cli.app import run


def answer(*argv):
    return quick.answer(list(argv))


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv(quick.COMPLETION_VARIABLE, raising=False)
    monkeypatch.setenv("GANCLI_PLUGINS", "")


def test_version():
    assert answer("--version") == f"gancli {gancli.__version__}"


def test_help_is_the_packaged_text():
    assert f"{answer('--help')}\n" == f"{answer('-h')}\n" == quick.HELP.read_text()


def test_commands_of_plugins_are_in_it_as_typer_shows_them(monkeypatch, capsys):
    pytest.importorskip("gancli_kit")
    monkeypatch.delenv("GANCLI_PLUGINS")
    quick_help = answer("--help")
    assert "\nPlugins:\n" in quick_help
    assert "\n  selfcheck" in quick_help
    assert run(["help"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == quick_help


def test_no_arguments_get_the_concise_help():
    text = answer()
    assert text.startswith("Usage: gancli")
    assert text.count("    gancli ") == 3
    assert "Exit codes" not in text
    assert answer("--help").startswith(text.splitlines()[0])


@pytest.mark.parametrize("argv", [["train"], ["--help", "train"], ["--version", "-q"], ["--debug"]])
def test_other_lines_go_to_typer(argv):
    assert answer(*argv) is None


def test_a_narrow_terminal_gets_its_own_help(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert answer("--help") is None


@pytest.mark.parametrize("columns", ["", "nonsense", "200"])
def test_an_unknown_or_great_width_is_80(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert answer("--help")


def test_completion_goes_to_typer(monkeypatch):
    monkeypatch.setenv(quick.COMPLETION_VARIABLE, "complete_bash")
    assert answer() is None
