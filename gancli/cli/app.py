"""The program: its commands, the options that hold everywhere, and the one place that knows exit codes."""

import logging
import os
import sys
from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Annotated, Any

import typer
import typer.main

from gancli.cli import arch, config, dataset, env, export, interpolate, plugin, quick, sample, train
from gancli.cli.commands import Group
from gancli.cli.failures import GLOBAL, report
from gancli.cli.options import Typer, argument, option
from gancli.cli.output import Output, settle
from gancli.runtime.launch import follows

SUMMARY = """Train generative adversarial networks on your images, and sample them.

\b
Examples:
  gancli train --dataset mnist        train on digits; needs nothing else
  gancli sample -n 64 -o grid.png     generate 64 images with the last run
  gancli arch list                    list the architectures to choose from
"""

SUBJECTS = {
    "Make": ("train", "sample", "interpolate", "export"),
    "Look": ("arch", "dataset"),
    "Set up": ("plugin", "config", "env", "help"),
}
EXIT_CODES = (
    ("0", "done"),
    ("1", "a bug"),
    ("2", "usage or configuration error"),
    ("3", "data set or image missing or broken"),
    ("4", "run or checkpoint missing, corrupt, foreign or unsafe"),
    ("5", "another process writes to the run"),
    ("6", "disk full, read-only, no permission, or file exists"),
    ("7", "training diverged"),
    ("8", "plugin missing, broken or incompatible"),
    ("9", "export failed, or differs from the generator"),
    ("10", "download refused, short or with a wrong hash"),
    ("11", "out of memory"),
    ("12", "another process of the training was lost"),
    ("129, 130, 143", "stopped and saved after SIGHUP, Ctrl-C, SIGTERM"),
)
CLOSED_PIPE = 141  # 128 + SIGPIPE, as the shell's own tools


class Root(Group):
    """The help: commands by subject, options, exit codes."""

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Commands by subject, those of plugins last, before the options."""
        for subject, names in (SUBJECTS | {"Plugins": tuple(self.added(ctx))}).items():
            if rows := [(name, self.get_command(ctx, name).get_short_help_str(100)) for name in names]:
                with formatter.section(subject):
                    formatter.write_dl(rows)
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Nothing: the commands are listed by subject."""

    def format_epilog(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ARG002  (Typer's own)
        """The exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)


def _version(requested: bool) -> None:  # noqa: FBT001  (Typer's signature)
    if requested:
        print(quick.VERSION, flush=True)
        raise typer.Exit


_DEBUG = option(None, "Show the traceback of an error, as with GANCLI_DEBUG=1.", "--debug")
_VERSION = option(None, "Show the version and exit.", "--version", callback=_version, is_eager=True)


def _root(
    context: typer.Context,
    *,
    quiet: Annotated[bool, option(None, "Print only errors on stderr.", "-q", "--quiet")] = False,
    no_color: Annotated[bool, option(None, "Do not use colour, as with NO_COLOR=1.", "--no-color")] = False,
    debug: Annotated[bool, _DEBUG] = False,  # noqa: ARG001  (run() reads it, since an error may come before this)
    version: Annotated[bool, _VERSION] = False,  # noqa: ARG001  (its callback has done it)
) -> None:
    context.obj = Output(argv=context.obj or (), quiet=quiet, color=not no_color)
    if quiet:  # nor the notes that the library logs, such as that of a download
        log = logging.getLogger("gancli")
        context.call_on_close(lambda level=log.level: log.setLevel(level))
        log.setLevel(logging.ERROR)
    if context.invoked_subcommand is None:
        print(quick.concise(context.get_help()), flush=True)


_WORDS = argument("[COMMAND]", "Such as: train, or arch list.", show_default=False)


def _help(context: typer.Context, words: Annotated[list[str] | None, _WORDS] = None) -> None:  # noqa: ARG001  (see normalise)
    """Show the help of a command, as --help does."""
    print(context.find_root().get_help(), flush=True)


def command() -> Any:
    """The whole tree of commands."""
    app = Typer(add_completion=True, cls=Root, help=SUMMARY, invoke_without_command=True)
    app.callback()(_root)
    app.command(epilog=train.EXPLAINED)(train.train)
    app.command(cls=export.ExportCommand)(export.export)
    for module in (sample, interpolate, env):
        name = module.__name__.rpartition(".")[2]
        app.command()(getattr(module, name))
    app.command("help")(_help)
    for module in (arch, dataset, plugin, config):
        app.add_typer(module.group, name=module.__name__.rpartition(".")[2])
    return typer.main.get_command(app)


def normalise(argv: Sequence[str]) -> list[str]:
    """The program's own options in front, the value that ``--resume`` may leave out made explicit, ``help X`` as ``X --help``.

    >>> normalise(["train", "--resume", "--epochs", "40", "-q"])
    ['-q', 'train', '--resume=', '--epochs', '40']
    """
    words = list(takewhile("--".__ne__, argv))  # after it nothing is an option
    options = [word for word in words if word in GLOBAL]
    rest = [word for word in words if word not in GLOBAL]
    if rest[:1] == ["help"] and len(rest) > 1:
        rest = [*rest[1:], "--help"]
    rest = ["--resume=" if word == "--resume" and after.startswith("-") else word for word, after in pairwise([*rest, "-"])]
    return [*options, *rest, *argv[len(words) :]]


def run(argv: Sequence[str]) -> int:
    """Carry out a command line and return the exit code. An error is one line on stderr; see ``failures``."""
    words = list(takewhile("--".__ne__, argv))
    try:
        program = command()
        if quick.COMPLETION_VARIABLE in os.environ:
            program.main([], "gancli", quick.COMPLETION_VARIABLE)
        with program.make_context("gancli", normalise(argv), obj=("gancli", *argv)) as context:
            program.invoke(context)
        sys.stdout.flush()
    except typer.Exit as done:
        return done.exit_code
    except SystemExit as done:  # Typer's completion ends so
        return done.code if isinstance(done.code, int) else 0
    except BrokenPipeError:
        return CLOSED_PIPE
    except BaseException as error:  # noqa: BLE001  (this is the one place where everything ends)
        debug = "--debug" in words or bool(os.environ.get("GANCLI_DEBUG"))
        return report(error, debug=debug, as_json="--json" in words and not follows())
    else:
        return 0
    finally:
        settle(sys.stdout, sys.stderr)
