"""``gancli runs``: what was trained."""

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.commands import new_group
from gancli.cli.options import Force, RunsDir, argument, option, output_option
from gancli.cli.output import Output, refuse_existing
from gancli.errors import UsageError
from gancli.runs import find_run, list_runs, remove_run
from gancli.storage.disk import write_atomically
from gancli.text import printable, shell

group = new_group("Trained runs: list, show, compare, film, report, delete.")

SORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "started": lambda run: str(run.get("started") or ""),
    "name": lambda run: run["name"],
    "best": lambda run: -run["best"] if isinstance(run.get("best"), int | float) else float("-inf"),
    "time": lambda run: run["elapsed_seconds"] if isinstance(run.get("elapsed_seconds"), int | float) else 0.0,
}

Run = Annotated[str, argument("RUN", "Name or path.", autocompletion=complete.runs)]
RunOrLast = Annotated[str | None, argument("RUN", "Name or path; by default the last run.", autocompletion=complete.runs)]
Runs = Annotated[list[str], argument("RUN...", "Names or paths.", autocompletion=complete.runs)]


@group.command("list")
def list_(
    output: Output,
    *,
    sort: Annotated[str, option("|".join(SORTS), "Sort key; newest or best first.")] = "started",
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """List the runs, newest first."""
    from gancli_reports.history import facts, summary

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
    from gancli_reports.history import details, facts

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
def compare(
    output: Output,
    runs: Runs,
    *,
    target: Annotated[str | None, output_option("FILE", "Curves as .png, or everything as .html.")] = None,
    force: Force = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Compare runs: settings that differ, best and last distance, and what it took to get there."""
    from gancli_reports import compare as of
    from gancli_reports.history import History

    writers = {".png": of.plot, ".html": of.page_of}
    if target:
        if Path(target).suffix.lower() not in writers:
            raise UsageError(f"'{target}' is not a comparison.", "End it in .png (curves) or .html (everything).")
        refuse_existing(target, force=force)
    histories = [History.of(find_run(run, runs_dir)) for run in dict.fromkeys(runs)]
    results, settings = of.compared(histories), of.differing(histories)
    if target:
        write_atomically(Path(target), writers[Path(target).suffix.lower()](histories))
    if target or output.as_json:
        output.result(target, {"runs": results, "settings": settings, **({"file": target} if target else {})})
        return
    output.table(of.TITLES, of.table_of(results))
    output.line()
    rows = [(key, *("-" if value is None else value for value in values)) for key, values in settings.items()]
    output.table(("setting", *(result["name"] for result in results)), rows)


@group.command()
def film(
    output: Output,
    run: RunOrLast = None,
    *,
    target: Annotated[str, output_option("FILE", "A .gif, .webp, .apng or .mp4.")],
    fps: Annotated[float, option("N", "Previews per second.")] = 8,
    scale: Annotated[int | None, option("N", "Upscale each preview N times.", min=1)] = None,
    force: Force = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Make a film of the previews of a run, with step and distance."""
    from gancli_reports.film import write_film
    from gancli_reports.history import History

    refuse_existing(target, force=force)
    found = find_run(run, runs_dir)
    frames = write_film(History.of(found), Path(target), Fraction(fps).limit_denominator(1000), scale)
    output.note(f"{frames} previews of {found.path}")
    output.result(target, {"file": target, "run": str(found.path), "previews": frames})


@group.command()
def report(
    output: Output,
    run: RunOrLast = None,
    *,
    target: Annotated[str, output_option("FILE.html", "The page to write.")],
    force: Force = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Write one page about a run: settings, curves, previews, alarms, evaluation, and how to repeat it."""
    from gancli_reports.history import History
    from gancli_reports.report import report

    if Path(target).suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"'{target}' is not a page.", "End it in .html.")
    refuse_existing(target, force=force)
    found = find_run(run, runs_dir)
    write_atomically(Path(target), report(History.of(found)))
    output.result(target, {"file": target, "run": str(found.path)})


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
