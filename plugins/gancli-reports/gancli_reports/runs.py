"""``gancli runs compare``, ``gancli runs film`` and ``gancli runs report``."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated

from gancli.cli import complete
from gancli.cli.options import Force, RunsDir, argument, option, output_option
from gancli.cli.output import Output, refuse_existing
from gancli.cli.runs import RunOrLast
from gancli.errors import UsageError
from gancli.runs import find_run
from gancli.storage.disk import write_atomically

Runs = Annotated[list[str], argument("RUN...", "Names or paths.", autocompletion=complete.runs)]


def compare(
    output: Output,
    runs: Runs,
    *,
    target: Annotated[str | None, output_option("FILE", "Curves as .png, or everything as .html.")] = None,
    force: Force = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Compare runs: settings that differ, best and last distance, and what it took to get there."""
    from gancli.history.read import History
    from gancli_reports import compare as of

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
    from gancli.history.read import History
    from gancli_reports.film import write_film

    refuse_existing(target, force=force)
    found = find_run(run, runs_dir)
    frames = write_film(History.of(found), Path(target), Fraction(fps).limit_denominator(1000), scale)
    output.note(f"{frames} previews of {found.path}")
    output.result(target, {"file": target, "run": str(found.path), "previews": frames})


def report(
    output: Output,
    run: RunOrLast = None,
    *,
    target: Annotated[str, output_option("FILE.html", "The page to write.")],
    force: Force = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Write one page about a run: settings, curves, previews, alarms, evaluation, and how to repeat it."""
    from gancli.history.read import History
    from gancli_reports.report import report

    if Path(target).suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"'{target}' is not a page.", "End it in .html.")
    refuse_existing(target, force=force)
    found = find_run(run, runs_dir)
    write_atomically(Path(target), report(History.of(found)))
    output.result(target, {"file": target, "run": str(found.path)})
