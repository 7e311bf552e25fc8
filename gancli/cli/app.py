"""The program: its groups of commands, the options that hold everywhere, and the one place that knows exit codes."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from gancli.cli import (
    arch,
    config,
    dataset,
    env,
    evaluate,
    export,
    interpolate,
    plugin,
    quick,
    runs,
    sample,
    selfcheck,
    train,
)
from gancli.cli.arguments import has, normalise
from gancli.cli.console.table import EXPLAINED
from gancli.cli.failures import report
from gancli.cli.group import EVERYWHERE, PLAIN
from gancli.cli.output import Output, put, settle
from gancli.runtime.launch import follows

__all__ = ["EXIT_CODES", "command", "run"]

SUMMARY = """Train generative adversarial networks on your pictures, and draw from them.

\b
Examples:
  gancli train --dataset mnist        learn to draw digits; needs nothing else
  gancli sample -n 64 -o grid.png     draw 64 new ones with the last run
  gancli arch list                    which networks there are to choose from
"""

SUBJECTS = {
    "Make": ("train", "sample", "interpolate", "export"),
    "Look": ("evaluate", "runs", "arch", "dataset"),
    "Set up": ("plugin", "config", "env", "selfcheck"),
}
LONGEST_SUMMARY = 100

EXIT_CODES = (
    ("0", "done"),
    ("1", "a bug"),
    ("2", "wrong use, or a wrong setting"),
    ("3", "data set or picture missing or broken"),
    ("4", "run or checkpoint missing, corrupt, foreign or unsafe"),
    ("5", "another process writes to the run"),
    ("6", "disk full, read-only, no permission, or already there"),
    ("7", "training diverged"),
    ("8", "plugin missing, broken or incompatible"),
    ("9", "export failed, or differs from the generator"),
    ("10", "download refused, short or with a wrong hash"),
    ("11", "out of memory"),
    ("12", "another process of the training was lost"),
    ("129, 130, 143", "stopped in order by SIGHUP, Ctrl-C, SIGTERM"),
)
CLOSED_PIPE = 141
"""128 + SIGPIPE, with which the shell's own tools end when nobody reads on."""


class Root(typer.core.TyperGroup):
    """Help in the order of a newcomer's questions: what can I do, with which options, and what does an exit code mean?"""

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401  (Typer's own)
        """Commands by subject, before the options."""
        for subject, names in SUBJECTS.items():
            with formatter.section(subject):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(LONGEST_SUMMARY)) for name in names])
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        """They are written already."""

    def format_epilog(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401, ARG002
        """The exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)


def _version(wanted: bool) -> None:  # noqa: FBT001  (Typer's signature)
    if wanted:
        put(sys.stdout, quick.version())
        raise typer.Exit


_QUIET = typer.Option("-q", "--quiet", help="Nothing on stderr but errors.")
_NO_COLOR = typer.Option("--no-color", help="No colour, as with NO_COLOR=1.")
_DEBUG = typer.Option("--debug", help="Show the traceback of an error, as with GANCLI_DEBUG=1.")
_VERSION = typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")


def _root(
    context: typer.Context,
    *,
    quiet: Annotated[bool, _QUIET] = False,
    no_color: Annotated[bool, _NO_COLOR] = False,
    debug: Annotated[bool, _DEBUG] = False,  # noqa: ARG001  (run() reads it, since an error may come before this)
    version: Annotated[bool, _VERSION] = False,  # noqa: ARG001  (its callback has done it)
) -> None:
    context.obj = Output(argv=context.obj or (), quiet=quiet, color=not no_color)
    if quiet:
        context.call_on_close(_silence_log())
    if context.invoked_subcommand is None:
        put(sys.stdout, quick.concise(context.get_help()))


def _silence_log() -> Callable[[], None]:
    """What the library logs, such as that it downloads something, is a note like any other. Returns what undoes it."""
    import logging

    log = logging.getLogger("gancli")
    before = log.level
    log.setLevel(logging.ERROR)
    return lambda: log.setLevel(before)


def _assemble() -> typer.Typer:
    app = typer.Typer(**{**PLAIN, "add_completion": True}, cls=Root, help=SUMMARY, invoke_without_command=True)
    app.callback()(_root)
    app.command("train", epilog=f"{EXPLAINED}\n\n{EVERYWHERE}")(train.train)
    app.command("sample", epilog=EVERYWHERE)(sample.sample)
    app.command("interpolate", epilog=EVERYWHERE)(interpolate.interpolate)
    app.command("export", epilog=EVERYWHERE)(export.export)
    app.command("evaluate", epilog=EVERYWHERE)(evaluate.evaluate)
    app.add_typer(runs.group, name="runs")
    app.add_typer(arch.group, name="arch")
    app.add_typer(dataset.group, name="dataset")
    app.add_typer(plugin.group, name="plugin")
    app.add_typer(config.group, name="config")
    app.command("env", epilog=EVERYWHERE)(env.env)
    app.command("selfcheck", epilog=EVERYWHERE)(selfcheck.selfcheck)
    return app


def command() -> Any:  # noqa: ANN401  (a class of Typer's own)
    """The whole tree of commands."""
    return typer.main.get_command(_assemble())


def run(argv: Sequence[str]) -> int:
    """Carry out a command line and return the exit code. Whatever goes wrong is told in one line; see ``failures``."""
    try:
        return _invoke(argv)
    except BrokenPipeError:
        return CLOSED_PIPE
    except BaseException as error:  # noqa: BLE001  (this is the one place where everything ends)
        debug = has(argv, "--debug") or bool(os.environ.get("GANCLI_DEBUG"))
        return report(error, debug=debug, as_json=has(argv, "--json") and not follows())
    finally:
        settle(sys.stdout, sys.stderr)


def _invoke(argv: Sequence[str]) -> int:
    program = command()
    try:
        if quick.COMPLETION_VARIABLE in os.environ:
            program.main([], "gancli", quick.COMPLETION_VARIABLE)
        with program.make_context("gancli", normalise(argv), obj=("gancli", *argv)) as context:
            program.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except SystemExit as done:  # Typer's completion ends so
        return done.code if isinstance(done.code, int) else 0
    sys.stdout.flush()
    return 0
