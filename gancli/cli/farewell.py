"""The last lines of a training: what was done, where it is, and commands for what comes next, which work when pasted."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.cli.output import Output
from gancli.text import duration, shell

if TYPE_CHECKING:
    from gancli.events import RunEnded

HOME = Path("runs")
"""Where runs are looked for if nothing else is said."""

__all__ = ["farewell", "free_name", "launched", "program"]


def farewell(output: Output, ended: "RunEnded") -> None:
    """Say what is there now, and what is wrong with it."""
    again = ended.status == "done" and ended.step == ended.from_step
    status = "This run was finished already:" if again else f"{ended.status:7}"
    epochs = f"{ended.epochs:.3g} epoch{'' if f'{ended.epochs:.3g}' == '1' else 's'}"
    output.note(f"{status} {epochs}, {ended.step:,} steps in {duration(ended.elapsed_seconds)}")
    output.note(f"run     {ended.run}")
    if ended.best:
        output.note(f"best    {ended.best}: what `{'translate' if ended.translates else 'sample'}` uses")
    if ended.preview is not None:
        output.note(f"look    {ended.preview}")
    if ended.warning:
        output.note(f"but     {ended.warning}")
    for command in _next(ended, again=again):
        output.note(f"next    {shell(*command)}")


def _next(ended: "RunEnded", *, again: bool) -> list[list[str]]:
    at_home = ended.run.parent == HOME
    run = ended.run.name if at_home else str(ended.run)
    gancli = program()
    file = ["--arch", ended.arch] if ".py:" in ended.arch else []  # a file is never imported by itself
    which = [*([] if at_home else ["--run", run]), *file]
    sample = [gancli, "sample", "-n", "64", "-o", free_name("grid.png"), *which]
    if ended.translates:
        folders = (Path(ended.translates) / name for name in ("testA", "test", "trainA", ""))
        photos = next((str(folder) for folder in folders if folder.is_dir()), None)
        sample = (
            [gancli, "translate", photos, "-o", f"{free_name('translated')}/", *which]
            if photos
            else [gancli, "evaluate", *which]
        )
    resume = [*launched(os.environ), "train", "--resume", run]
    longer = [*resume, "--epochs", str(2 * max(1, round(ended.epochs)))]
    if ended.status == "stopped":
        return [resume, sample]
    return [longer, sample] if again or ended.warning else [sample, [gancli, "runs", "show", run]]


def launched(environment: Mapping[str, str]) -> list[str]:
    """How as many processes as now are started again: with another number a run does not go on."""
    world, here = (int(environment.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == 1:
        return [program()]
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{environment['MASTER_ADDR']}:29400"]
    machines = [] if world == here else ["--nnodes", str(world // here), *meeting]
    return ["torchrun", *machines, "--nproc-per-node", str(here), "-m", "gancli"]


def program() -> str:
    """How gancli is called from here: by its name if that finds this program, else as it was called."""
    called = sys.argv[0]
    found = shutil.which("gancli")
    if Path(called).name != "gancli" or (found and Path(found).resolve() == Path(called).resolve()):
        return "gancli"
    return called


def free_name(name: str) -> str:
    """``name``, or with -2, -3, ... if there is such a file.

    >>> free_name("no-such-file.png")
    'no-such-file.png'
    """
    path, n = Path(name), 1
    while path.exists():
        n += 1
        path = Path(name).with_stem(f"{Path(name).stem}-{n}")
    return str(path)
