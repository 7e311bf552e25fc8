"""``gancli runs``: what was trained."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.commands import new_group
from gancli.cli.options import RunsDir, argument, option
from gancli.cli.output import Output
from gancli.errors import UsageError
from gancli.runs import find_run, list_runs, remove_run
from gancli.text import printable, shell

group = new_group("Trained runs: list, show, delete; with gancli-reports, also compare, film and report.")

SORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "started": lambda run: str(run.get("started") or ""),
    "name": lambda run: run["name"],
    "best": lambda run: -run["best"] if isinstance(run.get("best"), int | float) else float("-inf"),
    "time": lambda run: run["elapsed_seconds"] if isinstance(run.get("elapsed_seconds"), int | float) else 0.0,
}

Run = Annotated[str, argument("RUN", "Name or path.", autocompletion=complete.runs)]
RunOrLast = Annotated[str | None, argument("RUN", "Name or path; by default the last run.", autocompletion=complete.runs)]


@group.command("list")
def list_(
    output: Output,
    *,
    sort: Annotated[str, option("|".join(SORTS), "Sort key; newest or best first.")] = "started",
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """List the runs, newest first."""
    from gancli.history.read import facts, summary

    if sort not in SORTS:
        raise UsageError(f"Runs cannot be sorted by '{sort}'.", f"Choose one of {', '.join(SORTS)}.")
    found = sorted([summary(run) for run in list_runs(runs_dir)], key=SORTS[sort], reverse=sort != "name")
    if output.as_json:
        output.document(found)
        return
    titles = ("name", "status", "data set", "arch", "objective", "epochs", "time", "best")
    known = [facts(run) for run in found]
    output.table(titles, [[run.get(title, "-" if title == "best" else "?") for title in titles] for run in known])
    if not found:
        output.note(f"There are no runs in '{runs_dir}'. Start with `gancli train --dataset mnist`.")


@group.command()
def show(output: Output, run: RunOrLast = None, *, runs_dir: RunsDir = Path("runs")) -> None:
    """Show one run: how far it came, and where its files are."""
    from gancli.history.read import details, facts

    found = details(find_run(run, runs_dir))
    if output.as_json:
        output.document(found)
        return
    argv = found.get("argv")
    lines = {
        **facts(found),
        "command": shell(*argv) if isinstance(argv, list) else None,
        **{name: found[name] for name in ("config", "losses", "evaluation", "preview")},
        "checkpoints": " ".join(found["checkpoints"]),
    }
    output.pairs([(name, value) for name, value in lines.items() if value])


@group.command()
def rm(
    output: Output,
    run: Run,
    *,
    yes: Annotated[bool, option(None, "Do not ask for confirmation.", "-y", "--yes")] = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Delete a run with its checkpoints and previews, for good."""
    found = find_run(run, runs_dir)
    if not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"Deleting '{found.path}' needs your consent, and this is not a terminal.", "Add -y.")
        if not typer.confirm(f"Delete '{printable(found.path)}' for good?", err=True):
            output.note("Nothing was deleted.")
            return
    remove_run(found)
    output.result(found.path, {"removed": str(found.path)})
