"""Commands of plugins: listed without being imported, run like gancli's own, and harmless when broken."""

import re
import sys

import pytest

from gancli.plugins.installation import OFFICIAL, install_command

HELLO = """
from typing import Annotated

import typer
from gancli.errors import UsageError


def hello(name: Annotated[str, typer.Argument(metavar="NAME", help="Whom.")], *, loud: bool = False) -> None:
    '''Greet somebody.'''
    if name == "nobody":
        raise UsageError("There is nobody to greet.", "Give a name.")
    print(f"HELLO {name.upper()}" if loud else f"hello {name}")


several = typer.Typer(help="Several greetings.")


@several.command()
def morning() -> None:
    '''In the morning.'''
    print("good morning")


@several.command()
def evening() -> None:
    '''In the evening.'''
"""


@pytest.fixture
def add(install):
    """``(name, attribute, source, distribution)``: install a command."""

    def add(name, attribute="hello", source=HELLO, distribution="greetings"):
        module = f"module_of_{distribution}"
        install(distribution, module, source, name=name, group="gancli.commands", attribute=attribute)

    return add


def test_a_function_is_a_command(cli, add):
    add("hello")
    assert cli("hello", "you", "--loud").out == "HELLO YOU\n"
    shown = cli("hello", "-h").out
    assert shown.startswith("Usage: gancli hello [OPTIONS] ")
    assert "\n  Greet somebody.\n" in shown
    assert "Also, as everywhere: -q/--quiet" in shown
    failed = cli("hello", "nobody")
    assert (failed.code, failed.err) == (2, "error: There is nobody to greet. Give a name.\n")
    assert "See `gancli hello --help`." in cli("hello").err


def test_a_typer_app_is_a_group(cli, add):
    add("greet", "several")
    assert cli("greet", "morning").out == "good morning\n"
    assert "In the evening." in cli("greet", "--help").out
    assert cli("greet", "night").code == 2


def test_a_dot_puts_it_into_a_group(cli, add):
    add("arch.hello")
    assert cli("arch", "hello", "you").out == "hello you\n"
    assert re.search(r"  hello +About greetings \(greetings\)", cli("arch", "-h").out)
    assert cli("hello", "you").code == 2


def test_help_lists_it_without_importing_it(cli, add):
    add("hello", source="raise SystemExit('imported')")
    for shown in (cli("--help").out, cli().out):
        assert re.search(r"\nPlugins:\n(?:  .+\n)*  hello +About greetings \(greetings\)\n", shown)
    assert "Did you mean 'hello'?" in cli("helo").err
    assert "module_of_greetings" not in sys.modules


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'."),
        ("raise SystemExit(0)", "cannot be loaded: SystemExit: 0."),
        ("hello = 5", "it is 5, not a function or a typer.Typer."),
        ("def hello(a: list[list[int]]): pass", "is not one that Typer understands: List types with complex sub-types"),
    ],
)
def test_F36_a_broken_one_is_one_line_and_exit_code_8(cli, add, source, reason):
    add("hello", source=source)
    result = cli("hello", "you")
    assert (result.code, result.out) == (8, "")
    assert reason in result.err
    assert "It comes from greetings 1.2" in result.err
    assert result.err.count("\n") == 1
    assert cli("arch", "list").code == 0


def test_names_of_gancli_stay_gancli_s(cli, add):
    add("env", source="raise SystemExit('imported')")
    assert cli("env", "-h").out.startswith("Usage: gancli env")
    assert "About greetings" not in cli("-h").out


def test_a_name_that_two_claim(cli, add):
    add("hello", distribution="one")
    add("hello", distribution="two")
    assert "claimed by one and two. Say which: one/hello or two/hello." in cli("hello", "you").err
    assert cli("two/hello", "you").out == "hello you\n"
    assert "About one (one), or About two (two)" in cli("-h").out


def test_the_environment_switches_it_off(cli, add, monkeypatch):
    add("hello")
    monkeypatch.setenv("GANCLI_PLUGINS", "")
    assert "There is no command 'hello'." in cli("hello", "you").err
    assert "hello" not in cli("-h").out


def test_one_of_the_projects_own_says_how_to_install_it(cli, monkeypatch):
    monkeypatch.setitem(OFFICIAL, ("gancli.commands", "arch.paint"), "gancli-paint")
    result = cli("arch", "paint", "--red")
    command = install_command("./plugins/gancli-paint")
    remedy = f"gancli-paint provides it. In a clone of gancli: {command}"
    assert (result.code, result.err) == (8, f"error: There is no command 'arch paint'. {remedy}\n")
    assert "paint" not in cli("arch", "-h").out


def test_it_is_listed_as_a_plugin(cli, add):
    add("hello")
    found = {row["name"]: row for row in cli("plugin", "list", "--verify", "--json").json if row["kind"] == "command"}
    assert (found["hello"]["status"], found["hello"]["api"]) == ("ok", None)


def test_completion_imports_it_only_when_it_is_named(add, monkeypatch, capsys):
    from gancli.cli.app import run

    add("hello", source="raise SystemExit('imported')")
    monkeypatch.setenv("_GANCLI_COMPLETE", "complete_bash")
    for words, offered in (("gancli hel", ["help", "hello"]), ("gancli hello --", [])):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert run([]) == 0
        assert [word for word in capsys.readouterr().out.split() if not word.startswith("-")] == offered
