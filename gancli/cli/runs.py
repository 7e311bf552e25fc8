"""``gancli runs``: what was trained."""

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.commands import new_group
from gancli.cli.options import Force, Json, RunsDir, output
from gancli.cli.output import Output, refuse_existing
from gancli.errors import UsageError
from gancli.storage.disk import write_atomically
from gancli.text import printable, shell

group = new_group("Trained runs: list, compare, film, report.")

SORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "started": lambda run: str(run.get("started") or ""),
    "name": lambda run: run["name"],
    "best": lambda run: -run["best"] if isinstance(run.get("best"), int | float) else float("-inf"),
    "time": lambda run: run["elapsed_seconds"] if isinstance(run.get("elapsed_seconds"), int | float) else 0.0,
}

Run = Annotated[str, typer.Argument(metavar="RUN", help="Name or path.", autocompletion=complete.runs)]
RunOrLast = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="Name or path; by default the last run.", autocompletion=complete.runs),
]
_RUNS = typer.Argument(metavar="RUN...", help="Names or paths.", autocompletion=complete.runs)
_SORT = typer.Option("--sort", metavar="|".join(SORTS), help="Sort key; newest or best first.")
_FPS = typer.Option("--fps", metavar="N", help="Previews per second.")
_SCALE = typer.Option("--scale", metavar="N", min=1, help="Upscale each preview N times.")


@group.command("list")
def list_(
    context: typer.Context,
    *,
    sort: Annotated[str, _SORT] = "started",
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """List the runs, newest first."""
    from gancli.history.read import facts, summary
    from gancli.runs import list_runs

    if sort not in SORTS:
        raise UsageError(f"Runs cannot be sorted by '{sort}'.", f"Choose one of {', '.join(SORTS)}.")
    output = Output.of(context)
    found = sorted([summary(run) for run in list_runs(runs_dir)], key=SORTS[sort], reverse=sort != "name")
    if json:
        output.document(found)
        return
    titles = ("name", "status", "data set", "arch", "objective", "epochs", "time", "best")
    known = [facts(run) for run in found]
    output.table(titles, [[run.get(title, "-" if title == "best" else "?") for title in titles] for run in known])
    if not found:
        output.note(f"There are no runs in '{runs_dir}'. Start with `gancli train --dataset mnist`.")


@group.command()
def show(context: typer.Context, run: RunOrLast = None, *, runs_dir: RunsDir = Path("runs"), json: Json = False) -> None:
    """Show one run: how far it came, and where its files are."""
    from gancli.history.read import details, facts
    from gancli.runs import find_run

    output = Output.of(context)
    found = details(find_run(run, runs_dir))
    if json:
        output.document(found)
        return
    argv, paths = found.get("argv"), {name: found[name] for name in ("config", "losses", "evaluation", "preview")}
    lines = {
        **facts(found),
        "command": shell(*argv) if isinstance(argv, list) else None,
        **paths,
        "checkpoints": " ".join(found["checkpoints"]),
    }
    output.pairs([(name, value) for name, value in lines.items() if value])


@group.command()
def compare(
    context: typer.Context,
    runs: Annotated[list[str], _RUNS],
    *,
    target: Annotated[str | None, output("FILE", "Curves as .png, or everything as .html.")] = None,
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
    if target:
        if Path(target).suffix.lower() not in writers:
            raise UsageError(f"'{target}' is not a comparison.", "End it in .png (curves) or .html (everything).")
        refuse_existing(target, force=force)
    histories = [History.of(find_run(run, runs_dir)) for run in dict.fromkeys(runs)]
    results, settings = compare.compared(histories), compare.differing(histories)
    if target:
        write_atomically(Path(target), writers[Path(target).suffix.lower()](histories))
    if target or json:
        document = {"runs": results, "settings": settings, **({"file": target} if target else {})}
        output.result(target, document if json else None)
        return
    output.table(compare.TITLES, compare.table_of(results))
    output.line()
    rows = [(key, *("-" if value is None else value for value in values)) for key, values in settings.items()]
    output.table(("setting", *(result["name"] for result in results)), rows)


@group.command()
def film(
    context: typer.Context,
    run: RunOrLast = None,
    *,
    target: Annotated[str, output("FILE", "A .gif, .webp, .apng or .mp4.")],
    fps: Annotated[float, _FPS] = 8,
    scale: Annotated[int | None, _SCALE] = None,
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
    output.result(target, {"file": target, "run": str(found.path), "previews": frames} if json else None)


@group.command()
def report(
    context: typer.Context,
    run: RunOrLast = None,
    *,
    target: Annotated[str, output("FILE.html", "The page to write.")],
    force: Force = False,
    runs_dir: RunsDir = Path("runs"),
    json: Json = False,
) -> None:
    """Write one page about a run: settings, curves, previews, alarms, evaluation, and how to repeat it."""
    from gancli.history.read import History
    from gancli.history.report import report
    from gancli.runs import find_run

    if Path(target).suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"'{target}' is not a page.", "End it in .html.")
    refuse_existing(target, force=force)
    found = find_run(run, runs_dir)
    write_atomically(Path(target), report(History.of(found)))
    Output.of(context).result(target, {"file": target, "run": str(found.path)} if json else None)


@group.command()
def rm(
    context: typer.Context,
    run: Run,
    *,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask for confirmation.")] = False,
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
    output.result(found.path, {"removed": str(found.path)} if json else None)
