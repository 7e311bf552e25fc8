"""``gancli train``: the game, from the command line to the last line on the terminal."""

from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.expand import expand
from gancli.cli.failures import explain
from gancli.cli.farewell import farewell
from gancli.cli.options import Json, RunsDir, Settings
from gancli.cli.output import Output, unread_is_fine
from gancli.cli.settings_table import show_settings
from gancli.cli.signals import Signals
from gancli.errors import RunError, UsageError
from gancli.events import RunStarted
from gancli.runs import RunDirectory, find_run, refuse_busy, refuse_missing_architecture, refuse_name, remove_run
from gancli.runtime.launch import joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.config.schema import RunConfig
    from gancli.events import Event, RunEnded
    from gancli.runtime.processes import Processes

__all__ = ["train"]

AUTO = "auto"


@expand
def train(
    context: typer.Context,
    *,
    settings: Settings,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the new run.")] = None,
    runs_dir: RunsDir = Path("runs"),
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="[RUN|auto]",
            help="Go on with a run: the last one, RUN, or (auto) the last one if there is any.",
            autocompletion=complete.runs,
        ),
    ] = None,
    from_step: Annotated[
        int | None,
        typer.Option("--from-step", metavar="N", min=1, help="With --resume: go on from this checkpoint, dropping later ones."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print each setting and where it comes from.")] = False,
    json: Json = False,
) -> None:
    """Train a model on pictures, in a new run directory.

    Under torchrun the batch is divided among its processes: torchrun --nproc-per-node 2 -m gancli train ...
    """
    output = Output.of(context)
    with joined(explain) as processes:
        if not processes.leads:
            if dry_run:
                processes.agree(0, 0.0)  # or process 0 might find this one gone before it has met it
                return
            ended = _watched(Output(quiet=True), _follow, processes)
        else:
            run = _run_to_resume(resume, name, runs_dir)
            if run is None and name is not None:
                refuse_name(runs_dir, name)
            if from_step is not None and run is None:
                raise UsageError(f"--from-step {from_step} needs a run to go on with.", "Add --resume RUN.")
            if run is not None:
                refuse_missing_architecture(run)
            if dry_run:
                show_settings(output, settings.resolve_upon(run) if run else settings.resolve(), as_json=json)
                processes.agree(0, 0.0)
                return
            if run is None:
                start = partial(_start_new, settings.resolve().config, runs_dir, name, argv=output.argv)
            else:
                refuse_busy(run)
                start = partial(_go_on, run, settings.changes(run), from_step, argv=output.argv)
            ended = _watched(output, start, processes)
    if processes.leads:
        _conclude(output, ended, as_json=json)
    if ended.signal:
        raise typer.Exit(128 + ended.signal)


def _conclude(output: Output, ended: "RunEnded", *, as_json: bool) -> None:
    """Say where the run is."""
    with unread_is_fine():
        if as_json:
            output.document({key: str(value) if isinstance(value, Path) else value for key, value in asdict(ended).items()})
        else:
            output.result(str(ended.run))
    farewell(output, ended)


def _run_to_resume(resume: str | None, name: str | None, runs_dir: Path) -> RunDirectory | None:
    if resume is None:
        return None
    if resume == AUTO:
        with suppress(RunError):
            return _begun(find_run(name, runs_dir))
        return None
    if name is not None:
        raise UsageError(f"--name {name} is for a new run, and --resume goes on with an old one.", "Leave one of them out.")
    return find_run(resume or None, runs_dir)


def _begun(run: RunDirectory) -> RunDirectory | None:
    """The run, unless it was lost before its first save: then what is left of it makes room for a new one."""
    from gancli.checkpoint.store import CheckpointStore

    if CheckpointStore(run.checkpoints).steps():
        return run
    remove_run(run)
    return None


def _start_new(config: "RunConfig", runs_dir: Path, name: str | None, **watch: Any) -> "RunEnded":  # noqa: ANN401
    from gancli.training.run import train

    return train(config, runs_dir=runs_dir, name=name, **watch)


def _go_on(run: RunDirectory, changes: dict[str, object], from_step: int | None, **watch: Any) -> "RunEnded":  # noqa: ANN401
    from gancli.training.run import resume

    return resume(run, changes=changes, from_step=from_step, **watch)


def _follow(**watch: Any) -> "RunEnded":  # noqa: ANN401  (observe and stop)
    from gancli.training.worker import follow

    return follow(**watch)


def _watched(output: Output, start: "Callable[..., RunEnded]", processes: "Processes") -> "RunEnded":
    """Train with the progress on stderr, to the end or to a signal."""
    console = output.console()
    signals = Signals(console.stopping, console.abandon, lasting=processes.world > 1)

    def observe(event: "Event") -> None:
        if isinstance(event, RunStarted):
            signals.defer()
        console(event)

    with signals, console:
        return start(processes=processes, observe=observe, stop=signals.stop)
