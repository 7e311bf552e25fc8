import errno
import json
import os
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

import gancli.errors
from gancli.cli import app as program
from gancli.cli.app import normalise
from gancli.cli.failures import BUG, explain
from gancli.cli.quick import HELP
from gancli.cli.signals import Interrupted
from gancli.errors import ConfigError, GancliError

GOLDEN = Path(__file__).parent / "help"
TEXTS = runpy.run_path(str(Path(__file__).with_name("golden.py")))["help_texts"]()
REWRITE = "python tests/unit/cli/golden.py"


def failing(monkeypatch, error):
    """Make every command raise ``error``."""

    def fail():
        raise error

    monkeypatch.setattr(program, "command", fail)


def test_the_commands_are_these():
    assert sorted(TEXTS) == sorted(path.stem for path in GOLDEN.glob("*.txt")), REWRITE


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_help_is_as_it_was_reviewed(name):
    assert TEXTS[name] == (GOLDEN / f"{name}.txt").read_text(), REWRITE


def test_help_and_version(cli, monkeypatch):
    monkeypatch.setenv("GANCLI_PLUGINS", "")
    assert HELP.read_text() == TEXTS["gancli"] == cli("--help").out == cli("-h").out, REWRITE
    assert cli("--version").out == f"gancli {gancli.__version__}\n"


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_help_fits_80_columns(name):
    assert max(map(len, TEXTS[name].splitlines())) <= 80


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_every_command_answers_to_short_h(cli, name):
    words = name.split("-")[1:]
    assert cli(*words, "-h") == cli(*words, "--help")


def test_every_exit_code_is_in_the_help():
    listed = {int(code) for codes, _ in program.EXIT_CODES for code in codes.split(", ")}
    kinds = [kind for kind in vars(gancli.errors).values() if isinstance(kind, type) and issubclass(kind, GancliError)]
    assert {kind.exit_code for kind in kinds} | {0, 129, 130, 143} == listed


def test_every_command_has_a_subject():
    groups = {name.split("-")[1] for name in TEXTS if name != "gancli"}
    assert groups == {name for names in program.SUBJECTS.values() for name in names}


def test_no_arguments_print_the_concise_help(cli):
    result = cli()
    assert (result.code, result.err) == (0, "")
    assert result.out.count("gancli train --dataset mnist") == 1
    assert "Options:" not in result.out
    assert "gancli --help" in result.out


@pytest.mark.parametrize("group", ["arch", "dataset", "plugin", "config"])
def test_a_bare_group_prints_its_help(cli, group):
    assert cli(group) == cli(group, "--help")


def test_version(cli):
    assert cli("--version", "--debug").out == f"gancli {gancli.__version__}\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trian", "error: There is no command 'trian'. Did you mean 'train'? See `gancli --help`.\n"),
        ("arch shwo", "error: There is no command 'shwo'. Did you mean 'show'? See `gancli arch --help`.\n"),
        ("train --epoch 3", "error: There is no option --epoch. Did you mean '--epochs'? See `gancli train --help`.\n"),
        ("train --zzz", "error: There is no option --zzz. See `gancli train --help`.\n"),
        ("train --epochs", "error: Option '--epochs' requires an argument. Add --help to see what is possible.\n"),
        ("arch show", "error: Missing argument 'NAME'. See `gancli arch show --help`.\n"),
        (
            "sample -n many",
            "error: Invalid value for '-n' / '--count': 'many' is not a whole number. See `gancli sample --help`.\n",
        ),
        (
            "sample --weights best",
            "error: Invalid value for '--weights': 'best' is not one of 'ema', 'raw'. See `gancli sample --help`.\n",
        ),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(cli, line, message):
    result = cli(*line.split())
    assert (result.code, result.out, result.err) == (2, "", message)


def test_an_error_is_one_line(cli, monkeypatch):
    failing(monkeypatch, ConfigError("It is wrong.", "Do it right."))
    result = cli("env")
    assert (result.code, result.out, result.err) == (2, "", "error: It is wrong. Do it right.\n")


def test_an_error_is_the_one_json_document(cli, monkeypatch):
    failing(monkeypatch, ConfigError("It is wrong.", "Do it right."))
    expected = {"kind": "ConfigError", "exit_code": 2, "problem": "It is wrong.", "remedy": "Do it right."}
    assert cli("env", "--json").json == {"error": expected}
    assert cli("train", "--json", "--no-such-option").json["error"]["kind"] == "ConfigError"


def test_wrong_use_is_json_too(cli):
    assert cli("arch", "list", "--json", "--bogus").json["error"]["exit_code"] == 2


@pytest.mark.parametrize("how", [{"argv": ["--debug"]}, {"env": "1"}])
def test_debug_shows_the_traceback(cli, monkeypatch, how):
    failing(monkeypatch, ConfigError("It is wrong."))
    monkeypatch.setenv("GANCLI_DEBUG", how.get("env", ""))
    result = cli("env", *how.get("argv", []))
    assert "Traceback" in result.err
    assert result.err.endswith("error: It is wrong.\n")


def test_control_characters_are_shown_not_obeyed(cli, monkeypatch):
    failing(monkeypatch, ConfigError("Bad \x1b[31mname\nwith \u202e and \udcff."))
    assert cli("env").err == "error: Bad \\x1b[31mname with \\u202e and \\udcff.\n"


def test_a_bug_keeps_its_traceback(cli, monkeypatch):
    failing(monkeypatch, ZeroDivisionError("by zero"))
    result = cli("env", "--json")
    assert result.code == 1
    assert "Traceback" in result.err
    assert result.err.endswith(f"error: ZeroDivisionError: by zero. {BUG}\n")
    assert result.json["error"]["exit_code"] == 1


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "stopped: Interrupted by Ctrl-C.\n"),
        (typer.Abort(), 130, "stopped: Interrupted by Ctrl-C.\n"),
        (Interrupted(15), 143, "stopped: Interrupted by SIGTERM.\n"),
        (Interrupted(1), 129, "stopped: Interrupted by SIGHUP.\n"),
    ],
)
def test_an_interruption_is_one_line(cli, monkeypatch, error, code, line):
    failing(monkeypatch, error)
    result = cli("env")
    assert (result.code, result.err) == (code, line)


def test_F6_a_full_disk_is_no_bug(cli, monkeypatch):
    failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "there"))
    result = cli("env")
    assert result.code == 6
    assert result.err.startswith("error: The disk is full")


def test_other_system_errors_are_bugs():
    assert explain(FileNotFoundError(errno.ENOENT, "No such file")) is None


def test_memory_is_explained():
    failure = explain(MemoryError())
    assert failure is not None
    assert failure.exit_code == 11


def test_F53_a_closed_pipe_ends_silently(cli, monkeypatch):
    failing(monkeypatch, BrokenPipeError())
    result = cli("env")
    assert (result.code, result.out, result.err) == (141, "", "")


def test_F53_a_reader_that_leaves_changes_no_exit_code(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        assert program.run(["train", "--bogus", "--json"]) == 2


def test_options_of_the_program_may_stand_anywhere():
    assert normalise(["train", "-q", "--debug", "--", "-q"]) == ["-q", "--debug", "train", "--", "-q"]
    assert normalise([]) == []


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["--resume"], ["train", "--resume="]),
        (["--resume", "--json"], ["train", "--resume=", "--json"]),
        (["--resume", "-q"], ["-q", "train", "--resume="]),
        (["--resume", "auto"], ["train", "--resume", "auto"]),
        (["--resume=name"], ["train", "--resume=name"]),
    ],
)
def test_resume_needs_no_value(typed, read):
    assert normalise(["train", *typed]) == read


def test_flags_after_the_dashes_are_no_flags(cli):
    assert cli("arch", "show", "--json", "no-such").json["error"]["exit_code"] == 8
    assert cli("arch", "show", "--", "--json").out == ""


def complete(capsys, monkeypatch, words):
    monkeypatch.setenv("_GANCLI_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    assert program.run([]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("gancli tra", ["train", *(["translate"] if find_spec("gancli_translate") else [])]),
        ("gancli train --arch den", ["dense"]),
        ("gancli train --dataset mni", ["mnist", "mnist-bold"]),
        ("gancli train -s arch.dro", ["arch.dropout="]),
        ("gancli train -s train.bat", ["train.batch_size="]),
        ("gancli train --objective hin", ["hinge"]),
        ("gancli train --resume sec", ["second-run"]),
        ("gancli sample --runs-dir elsewhere --run th", ["third-run"]),
    ],
)
def test_completion(capsys, monkeypatch, words, offered):
    for run in ("runs/first-run", "runs/second-run", "elsewhere/third-run"):
        Path(run, "checkpoints").mkdir(parents=True)
    assert complete(capsys, monkeypatch, words) == offered


def test_completion_of_paths(capsys, monkeypatch):
    Path("photos").mkdir()
    assert complete(capsys, monkeypatch, "gancli dataset show pho") == ["photos/"]


def test_completion_never_fails(capsys, monkeypatch):
    assert complete(capsys, monkeypatch, "gancli train --arch no-such -s arch.") == []
    assert complete(capsys, monkeypatch, "gancli dataset show no/such/place/") == []


def test_completion_survives_what_cannot_be_read(capsys, monkeypatch):
    def fail(_):
        raise PermissionError

    monkeypatch.setattr("gancli.runs.list_runs", fail)
    assert complete(capsys, monkeypatch, "gancli sample --run x") == []


def test_show_completion(cli, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))  # the tests may run below none
    result = cli("--show-completion", "bash")
    assert result.code == 0
    assert "_GANCLI_COMPLETE" in result.out


def test_json_is_one_document_whatever_the_locale(cli):
    assert json.loads(cli("dataset", "list", "--json").out.encode("ascii"))
