"""``gancli train``: from the command line to the last line on the terminal."""

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.config import show_settings
from gancli.cli.console import QuietConsole
from gancli.cli.failures import explain
from gancli.cli.farewell import farewell
from gancli.cli.options import Json, RunsDir, Settings, expand
from gancli.cli.output import Output, unread_is_fine
from gancli.cli.signals import Signals
from gancli.errors import ConfigError, DatasetError, RunError, UsageError
from gancli.events import RunStarted
from gancli.runs import RunDirectory, find_run, refuse_busy, refuse_missing_architecture, refuse_name, remove_run
from gancli.runtime.launch import joined
from gancli.runtime.processes import ALONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.cli.console import Console
    from gancli.config.resolve import Resolved
    from gancli.config.schema import RunConfig
    from gancli.events import Event, RunEnded
    from gancli.runtime.processes import Processes

__all__ = ["refuse_early", "train", "watched"]

AUTO = "auto"
LENGTHS = ("train.epochs", "train.images", "train.minutes")


@dataclass(frozen=True)
class Resuming:
    """The options that continue a run."""

    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="[RUN|auto]",
            help="Resume a run: the last one, RUN, or (auto) the last one if there is any.",
            autocompletion=complete.runs,
        ),
    ] = None
    from_step: Annotated[
        int | None,
        typer.Option("--from-step", metavar="N", min=1, help="With --resume: from this checkpoint, deleting later ones."),
    ] = None
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="With --resume: accept another learning rate or batch size; the run records it."),
    ] = False


@expand
def train(
    context: typer.Context,
    *,
    settings: Settings,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the new run.")] = None,
    runs_dir: RunsDir = Path("runs"),
    resuming: Resuming,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the settings, and print them.")] = False,
    json: Json = False,
) -> None:
    """Train a model on images, in a new run directory.

    Under torchrun each batch is divided among the processes: torchrun --nproc-per-node 2 -m gancli train ...
    """
    output = Output.of(context)
    with joined(explain) as processes:
        if not processes.leads:
            if dry_run:
                processes.all_reduce_max(0, 0.0)  # or process 0 might find this one gone before it has met it
                return
            ended = watched(QuietConsole(), _follow, processes)
        else:
            run = _run_to_resume(resuming.resume, name, runs_dir)
            if run is None and name is not None:
                refuse_name(runs_dir, name)
            from_step, allowed = resuming.from_step, resuming.allow_changes
            if run is None and (from_step is not None or (allowed and resuming.resume is None)):
                option = "--allow-changes" if from_step is None else f"--from-step {from_step}"
                raise UsageError(f"{option} needs a run to resume.", "Add --resume RUN.")
            if run is None:
                resolved = settings.resolve(runs_dir)
                refuse_early(resolved)
            else:
                refuse_missing_architecture(run)
                changes = settings.changes(run, allowed=allowed)
                resolved = settings.resolve_upon(run)
            if dry_run:
                show_settings(output, resolved, as_json=json)
                processes.all_reduce_max(0, 0.0)
                return
            if run is None:
                start = partial(_start_new, resolved.config, runs_dir, name, argv=output.argv)
            else:
                refuse_busy(run)
                _note_finished(output, run, changes, from_step)
                start = partial(_go_on, run, changes, from_step, allow_changes=allowed, argv=output.argv)
            ended = watched(output.console(), start, processes)
    if processes.leads:
        _conclude(output, ended, as_json=json)
    if ended.signal:
        raise typer.Exit(128 + ended.signal)


def refuse_early(resolved: "Resolved") -> None:
    """Refuse what needs neither torch nor the images to be refused.

    Raises:
        DatasetError: there is nothing at the path of the data set.
        ConfigError: the architecture cannot make images of the size that is asked for, or does not translate.
    """
    from gancli.config.resolve import refuse_other_kind, sides
    from gancli.data.paths import unreadable
    from gancli.plugin import ImageSpec
    from gancli.plugins.registry import is_path

    data, plugin = resolved.config.data, resolved.arch.plugin
    for address in filter(None, (data.dataset, data.to)):
        if "://" in address:
            raise DatasetError(
                f"'{address}' is a web address, and train reads nothing from the network.",
                "Download it, and give the path; hf:USER/NAME fetches a data set of Hugging Face.",
            )
        path = Path(os.path.expanduser(address))  # noqa: PTH111  (Path.expanduser raises RuntimeError)
        if is_path(address) and not address.startswith("hf:") and not os.path.lexists(path):
            raise unreadable(path, FileNotFoundError())
    if is_path(data.dataset) or data.to is not None or not plugin.translates:  # else a plugin's images tell
        refuse_other_kind(resolved.config, plugin, translating=data.to is not None)
    if data.image_size is not None:
        height, width = sides(data.image_size)
        channels = [data.channels] if data.channels else [1, 3]
        shapes = [
            ImageSpec(n, height, width, source=(n, height, width) if plugin.translates else None, paired=data.paired)
            for n in channels
        ]
        reasons = [plugin.supports(resolved.arch.options, shape) for shape in shapes]
        if all(reasons):
            raise ConfigError(
                f"The architecture '{resolved.config.arch.name}' cannot make images of {height}x{width}.",
                f"{reasons[-1]} Choose another --image-size or --arch.",
            )


def _note_finished(output: Output, run: RunDirectory, changes: dict[str, object], from_step: int | None) -> None:
    """Say that a run that is to be resumed is at its end, and how it is trained for longer."""
    with suppress(RunError):
        info = run.info()
        if info.get("status") != "done" or from_step is not None or any(key in LENGTHS for key in changes):
            return
        again = f"gancli train --resume {run.name} --epochs {2 * max(1, round(float(info.get('epochs') or 1)))}"
        output.note(f"'{run.name}' is finished: step {info.get('step')}. To train it for longer: {again}")


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
        raise UsageError(f"--name {name} is for a new run, and --resume continues one.", "Leave one of them out.")
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


def _go_on(
    run: RunDirectory,
    changes: dict[str, object],
    from_step: int | None,
    **watch: Any,  # noqa: ANN401
) -> "RunEnded":
    from gancli.training.run import resume

    return resume(run, changes=changes, from_step=from_step, **watch)


def _follow(**watch: Any) -> "RunEnded":  # noqa: ANN401  (observe and stop)
    from gancli.training.worker import worker_loop

    return worker_loop(**watch)


def watched(
    console: "Console",
    start: "Callable[..., RunEnded]",
    processes: "Processes" = ALONE,
    *,
    abandon: "Callable[[], None] | None" = None,
    observe: "Callable[[Event], None]" = lambda _event: None,
) -> "RunEnded":
    """Train with the progress on a console, to the end or to a signal.

    Args:
        console: where it is shown.
        start: the training.
        processes: all that take part.
        abandon: what is done at a second Ctrl-C, if not to end the process at once.
        observe: called with every event, after the console.
    """
    signals = Signals(console.stopping, abandon or console.abandon, lasting=processes.world > 1)

    def passed_on(event: "Event") -> None:
        if isinstance(event, RunStarted):
            signals.defer()
        console(event)
        observe(event)

    with signals, console:
        return start(processes=processes, observe=passed_on, stop=signals.stop)
