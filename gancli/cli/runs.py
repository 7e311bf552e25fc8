"""``gancli runs``: what was trained."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.options import EVERYWHERE, Json, RunsDir, new_group
from gancli.cli.output import Output
from gancli.cli.run_table import name_of
from gancli.errors import UsageError
from gancli.text import duration, printable

__all__ = ["group"]

group = new_group("What was trained.")

_RUN = typer.Argument(metavar="RUN", help="Its name or path.", autocompletion=complete.runs)
_RUN_OR_LAST = typer.Argument(metavar="RUN", help="Its name or path; by default the last.", autocompletion=complete.runs)


@group.command("list", epilog=EVERYWHERE)
def list_(context: typer.Context, *, runs_dir: RunsDir = Path("runs"), json: Json = False) -> None:
    """List the runs, newest first."""
    from gancli.cli.run_table import summary
    from gancli.runs import list_runs

    output = Output.of(context)
    found = [summary(run) for run in list_runs(runs_dir)]
    if json:
        output.document(found)
        return
    output.table(("name", "status", "data set", "arch", "epochs", "time"), [_row(run) for run in found])
    if not found:
        output.note(f"There are no runs in '{runs_dir}'. Start with `gancli train --dataset mnist`.")


@group.command("show", epilog=EVERYWHERE)
def show(
    context: typer.Context,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Its name or path; by default the last.", autocompletion=complete.runs)
    ] = None,
    *,
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """Show one run: how far it came, and where its files are."""
    from gancli.cli.run_table import details
    from gancli.runs import find_run

    output = Output.of(context)
    found = details(find_run(run, runs_dir))
    if json:
        output.document(found)
    else:
        output.pairs(_lines(found))


@group.command("rm", epilog=EVERYWHERE)
def rm(
    context: typer.Context,
    run: Annotated[str, _RUN],
    *,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """Delete a run with its checkpoints and pictures, for good."""
    from gancli.runs import find_run, remove_run

    output = Output.of(context)
    found = find_run(run, runs_dir)
    if not yes and not _confirmed(found.path):
        output.note("Nothing was deleted.")
        return
    remove_run(found)
    if json:
        output.document({"removed": str(found.path)})
    else:
        output.result(str(found.path))


def _confirmed(path: Path) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"Deleting '{path}' needs your consent, and this is not a terminal.", "Add -y.")
    return typer.confirm(f"Delete '{printable(path)}' for good?", err=True)


def _row(run: dict[str, Any]) -> tuple[object, ...]:
    values = (
        run.get("status"),
        run.get("dataset"),
        run.get("arch"),
        _short(run.get("epochs")),
        _time(run.get("elapsed_seconds")),
    )
    return (run["name"], *(value or "?" for value in values))


def _lines(run: dict[str, Any]) -> list[tuple[str, str]]:
    """What a person wants to know of a run, as far as its ``run.json`` says it; the rest is in the JSON."""
    error, argv = run.get("error"), run.get("argv")
    lines = {
        "name": run["name"],
        "status": run.get("status"),
        "error": error.get("problem") if isinstance(error, dict) else error,
        "data set": name_of(run.get("dataset")),
        "arch": name_of(run.get("arch")),
        "epochs": _short(run.get("epochs")),
        "steps": run.get("step"),
        "images": run.get("images_seen"),
        "time": _time(run.get("elapsed_seconds")),
        "started": run.get("started"),
        "ended": run.get("ended"),
        "device": run.get("device"),
        "precision": run.get("precision"),
        "command": shlex.join(map(str, argv)) if isinstance(argv, list) else None,
        "config": run["config"],
        "losses": run["losses"],
        "evaluation": run["evaluation"],
        "preview": run["preview"],
        "checkpoints": " ".join(run["checkpoints"]),
    }
    return [(title, str(value)) for title, value in lines.items() if value not in (None, "")]


def _short(value: object) -> str | None:
    return f"{value:.4g}" if isinstance(value, int | float) else None


def _time(value: object) -> str | None:
    return duration(value) if isinstance(value, int | float) else None
