import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gancli
from gancli import __main__ as script
from gancli.cli import quick
from gancli.cli.app import run

# One fresh process for all: what is imported by the commands that must be quick?
PROBE = """
import json, os, sys
from contextlib import redirect_stdout, redirect_stderr
from io import StringIO
from gancli.__main__ import main

HEAVY = ("typer", "rich", "pydantic", "torch", "numpy", "PIL", "matplotlib")
found = {}
for line in json.load(sys.stdin):
    words = line.split()
    os.environ.pop("_GANCLI_COMPLETE", None)
    if words[:1] == ["complete"]:
        os.environ.update(_GANCLI_COMPLETE="complete_bash", COMP_CWORD=str(len(words) - 1))
        os.environ["COMP_WORDS"] = " ".join(["gancli", *words[1:]])
        words = []
    sys.argv = ["gancli", *words]
    sys.stdout = stdout = type("Stream", (StringIO,), {"encoding": "utf-8", "reconfigure": lambda self, **_: None})()
    try:
        main()
    except SystemExit as end:
        code = end.code
    sys.stdout = sys.__stdout__
    found[line] = [code, bool(stdout.getvalue()), [name for name in HEAVY if name in sys.modules]]
print(json.dumps(found))
"""
NOTHING = ["", "--help", "-h", "--version"]
COMMANDS = ["train", "sample", "runs", "runs list", "runs show", "runs rm", "arch", "arch list", "arch show"]
COMMANDS += ["dataset", "dataset list", "dataset show", "config", "config show", "config schema", "env"]
COMMANDS += ["plugin", "plugin list", "plugin check", "plugin new"]
LISTINGS = [
    "runs list",
    "arch list",
    "plugin list",
    "plugin list --verify",
    "plugin new wobbly",
    "dataset list",
    "arch show dense",
    "config show",
    "config schema",
    "train --dry-run",
]
COMPLETIONS = ["complete train --arch d", "complete train -s arch.d", "complete dataset show m", "complete runs show x"]


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    lines = [*NOTHING, *(f"{command} --help" for command in COMMANDS), *LISTINGS, *COMPLETIONS]
    result = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path_factory.mktemp("empty"),
        env={**os.environ, "COLUMNS": "80"},
    )
    return json.loads(result.stdout)


@pytest.mark.parametrize("line", NOTHING)
def test_help_and_version_import_nothing(probed, line):
    assert probed[line] == [0, True, []]


@pytest.mark.parametrize("line", [*(f"{command} --help" for command in COMMANDS), *LISTINGS, *COMPLETIONS])
def test_help_listings_and_completion_import_no_torch(probed, line):
    code, _, imported = probed[line]
    assert code == 0
    assert "torch" not in imported


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
    assert "Plugins:\n  selfcheck" in quick_help
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


def test_F28_a_name_that_is_no_text_can_be_printed(tmp_path, monkeypatch):
    with (tmp_path / "out").open("w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        script._prepare_streams()
        stream.write("\udcff")
    assert (tmp_path / "out").read_bytes() == b"\xff"


def test_F52_a_stream_without_unicode_gets_escapes(tmp_path, monkeypatch):
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        script._prepare_streams()
        stream.write("é")
    assert (tmp_path / "out").read_bytes() == b"\\xe9"
