"""``gancli train``: from the command line to the last line on the terminal."""

import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.config import show_settings
from gancli.cli.console import Console, console_for
from gancli.cli.failures import explain
from gancli.cli.options import RunsDir, Settings, option
from gancli.cli.output import Output, free_name, unread_is_fine
from gancli.cli.signals import Signals
from gancli.errors import ConfigError, DatasetError, RunError, UsageError
from gancli.events import Event, RunEnded, RunStarted
from gancli.runs import RunDirectory, find_run, refuse_missing_architecture, refuse_name, remove_run
from gancli.runtime.launch import joined, launch, launch_on, several_gpus
from gancli.runtime.processes import ALONE, Processes
from gancli.text import duration, shell

if TYPE_CHECKING:
    from gancli.config.resolve import Resolved

ENOUGH_STEPS = 1000  # a training that is too short is resumed for so many steps at least
EXPLAINED = (
    "The table: D loss and G loss, means over the epoch; D(x) and D(G(z)), the probability that D gives to real and to "
    "generated images, where the objective makes it one; FD, distance of generated images to the data, smaller is better; "
    "diversity, how different they are from each other, 1 as the data, below 0.18 mode collapse; img/s, real images "
    "per second. The other losses of a training follow where the terminal is wide enough."
)
AUTO = "auto"
LENGTHS = ("train.epochs", "train.images", "train.minutes")

_RESUME = "Resume a run: the last one, RUN, or (auto) the last one if there is any."
_FROM_STEP = option("N", "With --resume: from this checkpoint, deleting later ones.", min=1)
_CHANGES = "With --resume: accept another learning rate or batch size; the run records it."
_PROCESSES = option("N", "Divide each batch among N processes, or GPUs, of this machine.", min=1)


def train(
    output: Output,
    *,
    settings: Settings,
    name: Annotated[str | None, option("NAME", "Name of the new run.")] = None,
    runs_dir: RunsDir = Path("runs"),
    resume: Annotated[str | None, option("[RUN|auto]", _RESUME, autocompletion=complete.runs)] = None,
    from_step: Annotated[int | None, _FROM_STEP] = None,
    allow_changes: Annotated[bool, option(None, _CHANGES, "--allow-changes")] = False,
    processes: Annotated[int, _PROCESSES] = 1,
    dry_run: Annotated[bool, option(None, "Only check the settings, and print them.", "--dry-run")] = False,
) -> None:
    """Train a model on images, in a new run directory.

    Several machines train together under torchrun: torchrun --nnodes 2 --nproc-per-node 4 ... -m gancli train ...
    """
    if not (dry_run or os.environ.get("WORLD_SIZE")):
        _launch_several(output.argv[1:], processes, settings.device or "")
    run: RunDirectory | None = None
    start: Callable[..., RunEnded]
    with joined(explain) as members:
        if not members.leads:
            output, start = Output(quiet=True), _follow
        elif run := _run_to_resume(resume, name, runs_dir):
            refuse_missing_architecture(run)
            changes = settings.changes(run, allowed=allow_changes)
            resolved = settings.resolve_upon(run)
            options = {"changes": changes, "from_step": from_step, "allow_changes": allow_changes}
            start = partial(_start, run, argv=output.argv, **options)
        else:
            _refuse_new(runs_dir, name, from_step, allow_changes=allow_changes and resume is None)
            resolved = settings.resolve(runs_dir, fetch=not dry_run)
            refuse_early(resolved, headers=dry_run)
            new = {"config": resolved.config, "runs_dir": runs_dir, "name": name, "reason": resolved.reason}
            start = partial(_start, None, argv=output.argv, **new)
        if dry_run:
            if members.leads:
                from gancli.runtime.micro_batches import MicroBatches

                MicroBatches(resolved.config.train.batch_size, resolved.config.train.accumulate, members)
                show_settings(output, resolved)
            members.all_reduce_max(0, 0.0)  # or process 0 might find another one gone before it has met it
            return
        if run:
            from gancli.storage.lock import run_lock

            with run_lock(run.lock_path):  # refused early, and without torch, if it is being trained
                _note_finished(output, run, changes, from_step)
        ended = run_training(console_for(sys.stderr, quiet=output.quiet, color=output.color), start, members)
    if members.leads:
        with unread_is_fine():
            facts = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(ended).items()}
            output.result(ended.run, facts)
        farewell(output, ended)
    if ended.signal:
        raise typer.Exit(128 + ended.signal)


def _launch_several(argv: "Sequence[str]", processes: int, device: str) -> None:
    """Train in several processes, if that is asked for, and end with their exit code."""
    gpus = several_gpus(device)
    if gpus and processes not in (1, len(gpus)):
        raise UsageError(f"--device {device} and --processes {processes} do not go together.", "Give one of them.")
    if gpus:
        raise typer.Exit(launch_on(gpus, device, argv))
    if processes > 1:
        raise typer.Exit(launch(argv, processes))


def _run_to_resume(resume: str | None, name: str | None, runs_dir: Path) -> RunDirectory | None:
    if resume is None:
        return None
    if resume != AUTO:
        if name is not None:
            raise UsageError(f"--name {name} is for a new run, and --resume continues one.", "Leave one of them out.")
        return find_run(resume or None, runs_dir)
    from gancli.checkpoint.store import CheckpointStore

    with suppress(RunError):
        run = find_run(name, runs_dir)
        if CheckpointStore(run.checkpoints).steps():
            return run
        remove_run(run)  # lost before its first save: what is left of it makes room for a new one
    return None


def _refuse_new(runs_dir: Path, name: str | None, from_step: int | None, *, allow_changes: bool) -> None:
    """Refuse a name that is taken, and options of a run that is resumed."""
    if name is not None:
        refuse_name(runs_dir, name)
    if from_step is not None or allow_changes:
        needless = "--allow-changes" if from_step is None else f"--from-step {from_step}"
        raise UsageError(f"{needless} needs a run to resume.", "Add --resume RUN.")


def refuse_early(resolved: "Resolved", *, headers: bool = False) -> None:
    """Refuse what needs neither torch nor the images: a data set or extractor that is not there, an impossible size.

    With ``headers`` also files of which no image's header can be read; nothing is downloaded.
    """
    from gancli.config.resolve import refuse_other_kind
    from gancli.config.schema import sides
    from gancli.data.paths import unreadable
    from gancli.data.source import open_data
    from gancli.plugin import ImageSpec
    from gancli.plugins.registry import installed_extractor, is_path

    data, plugin = resolved.config.data, resolved.arch.plugin
    if (extractor := resolved.config.log.extractor) not in {None, "random"}:
        installed_extractor(str(extractor))
    addresses = [data.dataset] if data.to is None else [data.dataset, data.to]
    for address in addresses:
        if "://" in address:
            problem = f"'{address}' is a web address, and train reads nothing from the network."
            raise DatasetError(problem, "Download it, and give the path; hf:USER/NAME fetches a data set of Hugging Face.")
        path = Path(os.path.expanduser(address))  # noqa: PTH111  (Path.expanduser raises RuntimeError)
        if is_path(address) and not address.startswith("hf:") and not os.path.lexists(path):
            raise unreadable(path, FileNotFoundError())
    if is_path(data.dataset) or data.to is not None or not plugin.translates:  # else a plugin's images say it
        refuse_other_kind(resolved.config, plugin, translating=data.to is not None)
    if data.image_size is not None:
        height, width = sides(data.image_size)
        reasons = []
        for n in [data.channels] if data.channels else [1, 3]:
            source = (n, height, width) if plugin.translates else None
            shape = ImageSpec(n, height, width, source=source, paired=data.paired)
            reasons.append(plugin.supports(resolved.arch.options, shape))
        if all(reasons):
            problem = f"The architecture '{resolved.config.arch.name}' cannot make images of {height}x{width}."
            raise ConfigError(problem, f"{reasons[-1]} Choose another --image-size or --arch.")
    if headers and all(is_path(address) and not address.startswith("hf:") for address in addresses):
        open_data(data).spec(data)


def _note_finished(output: Output, run: RunDirectory, changes: dict[str, object], from_step: int | None) -> None:
    """Say that a run that is to be resumed is at its end, and how it is trained for longer."""
    with suppress(RunError):
        info = run.info()
        if info.get("status") == "done" and from_step is None and not any(key in LENGTHS for key in changes):
            again = f"gancli train --resume {run.name} --epochs {2 * max(1, round(float(info.get('epochs') or 1)))}"
            output.note(f"'{run.name}' is finished: step {info.get('step')}. To train it for longer: {again}")


def run_training(
    console: Console,
    start: "Callable[..., RunEnded]",
    processes: "Processes" = ALONE,
    *,
    abandon: "Callable[[], None] | None" = None,
    observe: "Callable[[Event], None]" = lambda _event: None,
) -> "RunEnded":
    """Train with the progress on a console, to the end or to a signal.

    ``abandon`` is what is done at a second Ctrl-C, if not to end the process at once; ``observe`` gets every event.
    """
    signals = Signals(console.stopping, abandon or console.abandon, lasting=processes.world > 1)

    def passed_on(event: "Event") -> None:
        if isinstance(event, RunStarted):
            signals.defer()
        console(event)
        observe(event)

    with signals, console:
        return start(processes=processes, observe=passed_on, stop=signals.stop)


def _start(run: RunDirectory | None, **options: Any) -> "RunEnded":
    """Train or resume; a console that was entered is on the screen while torch is imported."""
    from gancli.training.run import resume, train

    return train(**options) if run is None else resume(run, **options)


def _follow(**options: Any) -> "RunEnded":
    from gancli.training.worker import worker_loop

    return worker_loop(**options)


def farewell(output: Output, ended: "RunEnded") -> None:
    """The last lines: what was done, where it is, what is wrong with it, and commands for what comes next."""
    again = ended.status == "done" and ended.step == ended.from_step
    status = "This run was finished already:" if again else f"{ended.status:7}"
    epochs = f"{ended.epochs:.3g}"
    facts = {
        "run": ended.run,
        "best": ended.best and f"{ended.best}: what `{'translate' if ended.translates else 'sample'}` uses",
        "look": ended.preview,
        "but": ended.warning,
    }
    output.note(
        f"{status} {epochs} epoch{'' if epochs == '1' else 's'}, {ended.step:,} steps in {duration(ended.elapsed_seconds)}",
        *(f"{name:7} {fact}" for name, fact in facts.items() if fact),
    )
    at_home = ended.run.parent == Path("runs")
    run = ended.run.name if at_home else str(ended.run)
    file = ["--arch", ended.arch] if ".py:" in ended.arch else []  # a file is never imported by itself
    which = [*([] if at_home else ["--run", run]), *file]
    make = [[program(), "sample", "-n", "64", "-o", free_name("grid.png"), *which]]
    if ended.translates:
        folders = (Path(ended.translates) / name for name in ("testA", "test", "trainA", ""))
        photos = next((str(folder) for folder in folders if folder.is_dir()), None)
        make = [[program(), "translate", photos, "-o", f"{free_name('translated')}/", *which]] if photos else []
    resume = [*launched(os.environ), "--resume", run]
    if ended.status == "stopped":
        make = [resume, *make]
    elif again or ended.warning:
        factor = 2 if again else max(2, math.ceil(ENOUGH_STEPS / max(1, ended.step)))
        make = [[*resume, "--epochs", str(factor * max(1, round(ended.epochs)))], *make]
    output.note(*(f"next    {shell(*command)}" for command in make))


def launched(environment: Mapping[str, str]) -> list[str]:
    """The command that trains in as many processes as now: with another number a run cannot be resumed."""
    world, here = (int(environment.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == here:
        return [program(), "train", *(["--processes", str(here)] if here > 1 else [])]
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{environment['MASTER_ADDR']}:29400"]
    machines = ["--nnodes", str(world // here), *meeting]
    return ["torchrun", *machines, "--nproc-per-node", str(here), "-m", "gancli", "train"]


def program() -> str:
    """How gancli is called from here: by its name if that finds this program, else as it was called."""
    called = sys.argv[0]
    found = shutil.which("gancli")
    if Path(called).name != "gancli" or (found and Path(found).resolve() == Path(called).resolve()):
        return "gancli"
    return called
