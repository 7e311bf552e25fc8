"""``gancli runs``: what was trained."""

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.commands import new_group
from gancli.cli.options import EVERYWHERE, Force, Json, RunsDir
from gancli.cli.output import Output, refuse_existing
from gancli.errors import UsageError
from gancli.storage.disk import refuse_missing_parent, write_atomically
from gancli.text import distance, duration, printable, shell

__all__ = ["group"]

group = new_group("What was trained: list, compare, film, report.")

_RUN = typer.Argument(metavar="RUN", help="Its name or path.", autocompletion=complete.runs)
_RUN_OR_LAST = typer.Argument(metavar="RUN", help="Its name or path; by default the last.", autocompletion=complete.runs)

SORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "started": lambda run: str(run.get("started") or ""),
    "name": lambda run: run["name"],
    "best": lambda run: -run["best"] if isinstance(run.get("best"), int | float) else float("-inf"),
    "time": lambda run: run["elapsed_seconds"] if isinstance(run.get("elapsed_seconds"), int | float) else 0.0,
}


@group.command("list", epilog=EVERYWHERE)
def list_(
    context: typer.Context,
    *,
    sort: Annotated[
        str, typer.Option("--sort", metavar="|".join(SORTS), help="By what; the newest or best first.")
    ] = "started",
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """List the runs, newest first."""
    from gancli.history.read import summary
    from gancli.runs import list_runs

    if sort not in SORTS:
        raise UsageError(f"Runs cannot be sorted by '{sort}'.", f"Choose one of {', '.join(SORTS)}.")
    output = Output.of(context)
    found = sorted([summary(run) for run in list_runs(runs_dir)], key=SORTS[sort], reverse=sort != "name")
    if json:
        output.document(found)
        return
    titles = ("name", "status", "data set", "arch", "objective", "epochs", "time", "best")
    rows = [(run["name"], *(value or "?" for value in _facts(run)), _best(run)) for run in found]
    output.table(titles, rows)
    if not found:
        output.note(f"There are no runs in '{runs_dir}'. Start with `gancli train --dataset mnist`.")


@group.command("show", epilog=EVERYWHERE)
def show(
    context: typer.Context,
    run: Annotated[str | None, _RUN_OR_LAST] = None,
    *,
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """Show one run: how far it came, and where its files are."""
    from gancli.history.read import details
    from gancli.runs import find_run

    output = Output.of(context)
    found = details(find_run(run, runs_dir))
    if json:
        output.document(found)
    else:
        output.pairs(_lines(found))


@group.command("compare", epilog=EVERYWHERE)
def compare(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names or paths.", autocompletion=complete.runs)],
    *,
    target: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="The curves as .png, or everything as .html.")
    ] = None,
    force: Force = False,
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """Compare runs: settings that differ, best and last distance, and what it took to get there."""
    from gancli.history import compare
    from gancli.history.read import History
    from gancli.runs import find_run

    output = Output.of(context)
    writers = {".png": compare.plot, ".html": compare.page_of}
    write = writers.get(Path(target).suffix.lower()) if target else None
    if target:
        if write is None:
            raise UsageError(f"'{target}' is not a comparison.", "End it in .png (curves) or .html (everything).")
        refuse_existing(target, force=force)
        refuse_missing_parent(Path(target))
    histories = [History.of(find_run(run, runs_dir)) for run in dict.fromkeys(runs)]
    results, settings = compare.compared(histories), compare.differing(histories)
    if target and write:
        write_atomically(Path(target), write(histories))
    if json:
        output.document({"runs": results, "settings": settings, **({"file": target} if target else {})})
    elif target:
        output.result(target)
    else:
        output.table(compare.TITLES, compare.table_of(results))
        output.line()
        rows = [(key, *("-" if value is None else value for value in values)) for key, values in settings.items()]
        output.table(("setting", *(result["name"] for result in results)), rows)


@group.command("film", epilog=EVERYWHERE)
def film(
    context: typer.Context,
    run: Annotated[str | None, _RUN_OR_LAST] = None,
    *,
    target: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="A .gif, .webp, .apng or .mp4.")],
    fps: Annotated[float, typer.Option("--fps", metavar="N", help="Previews per second.")] = 8,
    scale: Annotated[int | None, typer.Option("--scale", metavar="N", min=1, help="Upscale each preview N times.")] = None,
    force: Force = False,
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """Make a film of the previews of a run, with step and distance."""
    from gancli.history.film import write_film
    from gancli.history.read import History
    from gancli.runs import find_run

    output = Output.of(context)
    refuse_existing(target, force=force)
    found = find_run(run, runs_dir)
    frames = write_film(History.of(found), Path(target), Fraction(fps).limit_denominator(1000), scale)
    output.note(f"{frames} previews of {found.path}")
    if json:
        output.document({"file": target, "run": str(found.path), "previews": frames})
    else:
        output.result(target)


@group.command("report", epilog=EVERYWHERE)
def report(
    context: typer.Context,
    run: Annotated[str | None, _RUN_OR_LAST] = None,
    *,
    target: Annotated[str, typer.Option("-o", "--output", metavar="FILE.html", help="The page to write.")],
    force: Force = False,
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """Write one page about a run: settings, curves, previews, alarms, evaluation, and how to repeat it."""
    from gancli.history.read import History
    from gancli.history.report import report
    from gancli.runs import find_run

    output = Output.of(context)
    if Path(target).suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"'{target}' is not a page.", "End it in .html.")
    refuse_existing(target, force=force)
    refuse_missing_parent(Path(target))
    found = find_run(run, runs_dir)
    write_atomically(Path(target), report(History.of(found)))
    if json:
        output.document({"file": target, "run": str(found.path)})
    else:
        output.result(target)


@group.command("rm", epilog=EVERYWHERE)
def rm(
    context: typer.Context,
    run: Annotated[str, _RUN],
    *,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """Delete a run with its checkpoints and previews, for good."""
    from gancli.runs import find_run, remove_run

    output = Output.of(context)
    found = find_run(run, runs_dir)
    if not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"Deleting '{found.path}' needs your consent, and this is not a terminal.", "Add -y.")
        if not typer.confirm(f"Delete '{printable(found.path)}' for good?", err=True):
            output.note("Nothing was deleted.")
            return
    remove_run(found)
    if json:
        output.document({"removed": str(found.path)})
    else:
        output.result(str(found.path))


def _facts(run: dict[str, Any]) -> tuple[object, ...]:
    facts = (run.get("status"), run.get("dataset"), run.get("arch"), run.get("objective"))
    return (*facts, _short(run.get("epochs")), _time(run.get("elapsed_seconds")))


def _best(run: dict[str, Any]) -> str:
    best, name = run.get("best"), run.get("distance")
    return f"{name} {distance(best)}" if isinstance(best, int | float) else "-"


def _lines(run: dict[str, Any]) -> list[tuple[str, str]]:
    """What a person wants to know of a run, as far as its ``run.json`` says it; the rest is in the JSON."""
    from gancli.history.read import name_of

    error, argv, best = run.get("error"), run.get("argv"), run.get("best")
    figures = {"distance": best.get("figure"), "best": best.get("value")} if isinstance(best, dict) else {}
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
        "best": _best(figures) if figures else None,
        "started": run.get("started"),
        "ended": run.get("ended"),
        "device": run.get("device"),
        "precision": run.get("precision"),
        "command": shell(*argv) if isinstance(argv, list) else None,
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
