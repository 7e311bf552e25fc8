"""Run directories: what is in them, how to find one::

runs/20261123-120431-mnist-dense/
    run.json        status, versions, plugin, device, times, command line
    config.json     the whole configuration; `gancli train -c` repeats the run
    metrics.jsonl   one row per interval, per epoch and per alarm
    times.jsonl     when each of these rows was measured
    losses.png      losses and the distance to the data over the run
    samples/        000468.png ...: always the same latents
    checkpoints/    see gancli.checkpoint
    log.txt         the lines printed while training
runs/.latest        name of the run that saved a checkpoint last
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from errno import EEXIST
from itertools import count
from pathlib import Path
from typing import Any

from gancli.errors import RunError, StorageError, UsageError, did_you_mean
from gancli.storage.disk import explain, explained, make_directories, remove, write_atomically

LATEST = ".latest"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_MAX_INFO_BYTES = 1 << 20
_ANOTHER = "Choose another run; see `gancli runs list`."


class _Below:
    """A path in a run's directory."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, run: RunDirectory, kind: type[RunDirectory]) -> Path:
        return run.path / self.name


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The directory of one run. Nothing is read or created by naming it."""

    path: Path

    info_path = _Below("run.json")
    config_path = _Below("config.json")
    metrics_path = _Below("metrics.jsonl")
    times_path = _Below("times.jsonl")
    losses_path = _Below("losses.png")
    evaluation_path = _Below("evaluation.json")  # which `gancli evaluate` writes
    log_path = _Below("log.txt")
    lock_path = _Below("run.lock")  # held by the process that trains
    samples = _Below("samples")
    checkpoints = _Below("checkpoints")

    @property
    def name(self) -> str:
        """The directory's own name."""
        return self.path.name

    def info(self) -> dict[str, Any]:
        """Contents of ``run.json``; a :class:`RunError` if it is missing or damaged."""
        try:
            with self.info_path.open("rb") as file:
                stored = json.loads(file.read(_MAX_INFO_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"'{self.path}' has no readable run.json: {error}.", _ANOTHER) from error
        if not isinstance(stored, dict):
            raise RunError(f"'{self.info_path}' does not hold a JSON object.", _ANOTHER)
        return stored

    def write_info(self, info: dict[str, Any]) -> None:
        """Replace ``run.json`` atomically."""
        write_atomically(self.info_path, (json.dumps(info, indent=2) + "\n").encode())

    def previews(self) -> list[Path]:
        """Previews, oldest first: by their step, which may have more digits than are padded."""
        numbered = (path for path in self.samples.glob("*.png") if path.stem.isdecimal())
        return sorted(numbered, key=lambda path: (len(path.name), path.name))


def run_name(dataset: str, arch: str) -> str:
    """``20261123-120431-mnist-dense``: local time, data set and architecture."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{dataset}-{arch}").strip("-.")[:60]
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{slug}"


def create_run(runs_dir: Path, name: str | None, dataset: str, arch: str) -> RunDirectory:
    """Make the directory of a new run; where two begin in the same second, the second ends in -2.

    Raises:
        UsageError: the name is not a plain directory name.
        StorageError: it exists already, or cannot be made.
    """
    if name is not None:
        refuse_name(runs_dir, name)
    first = name or run_name(dataset, arch)
    names = (first if n == 1 else f"{first}-{n}" for n in count(1))
    run = RunDirectory(runs_dir / next(each for each in names if name or not (runs_dir / each).exists()))
    with explained(runs_dir):
        make_directories(runs_dir)
        if not runs_dir.is_dir():
            raise FileExistsError(EEXIST, "File exists")
    try:
        run.path.mkdir()
        for directory in (run.samples, run.checkpoints):
            make_directories(directory)
    except FileExistsError as error:
        raise _exists(run.path) from error
    except OSError as error:
        raise explain(error, run.path) from error
    return run


def refuse_name(runs_dir: Path, name: str) -> None:
    """Refuse a name for a new run early, and without torch; :func:`create_run` does so again."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot be the name of a run.",
            "A name has up to 120 letters, digits, '.', '_' and '-', and starts with a letter or digit; --runs-dir says where.",
        )
    if (runs_dir / name).exists():
        raise _exists(runs_dir / name)


def _exists(path: Path) -> StorageError:
    return StorageError(f"The run '{path}' exists already.", f"Choose another --name, or resume it: --resume {path.name}.")


def refuse_missing_architecture(run: RunDirectory) -> str | None:
    """Refuse to resume a run whose architecture is not installed; the version that made the run, if it is known."""
    from gancli.plugins.registry import ARCHITECTURES

    try:
        made_by = run.info()["arch"]
        name, distribution, version = (str(made_by[key]) for key in ("name", "distribution", "version"))
    except (RunError, KeyError, TypeError):
        return None  # a damaged run.json costs only the better words
    if distribution:
        ARCHITECTURES.find_maker(name, distribution, version)
    return version


def mark_latest(run: RunDirectory) -> None:
    """Make ``run`` the one that commands take when none is named."""
    runs_dir = run.path.parent
    linked = run.path.stat().st_dev != runs_dir.stat().st_dev  # to another filesystem, from which nothing can be renamed
    write_atomically(runs_dir / LATEST, f"{run.name}\n".encode(), through=None if linked else run.path)


def find_run(which: str | None, runs_dir: Path) -> RunDirectory:
    """The run of a name or path; by default ``$GANCLI_RUN``, else the one that saved last, else the only one.

    Raises:
        RunError: there is none.
    """
    which = which or os.environ.get("GANCLI_RUN") or None
    if which is not None:
        for path in (runs_dir / which, Path(os.path.expanduser(which))):  # noqa: PTH111  (Path.expanduser raises RuntimeError)
            if is_run(path):
                return RunDirectory(path.resolve() if path.name in {"", ".."} else path)
        names = [run.name for run in list_runs(runs_dir)]
        first = "There are no runs yet: start with `gancli train --dataset mnist`."
        raise RunError(f"There is no run '{which}' in '{runs_dir}'.", did_you_mean(which, names[:20]) if names else first)
    with suppress(OSError, UnicodeDecodeError):
        name = (runs_dir / LATEST).read_text(encoding="utf-8").strip()
        if _NAME.fullmatch(name) and (runs_dir / name).is_dir():
            return RunDirectory(runs_dir / name)
    runs = list_runs(runs_dir)
    if not runs:
        remedy = "Train first (`gancli train --dataset mnist`), or say with --runs-dir where they are."
        raise RunError(f"There are no runs in '{runs_dir}'.", remedy)
    if len(runs) > 1:
        remedy = f"Name one, such as --run {runs[0].name}; see `gancli runs list`."
        raise RunError(f"No last run is known in '{runs_dir}'.", remedy)
    return runs[0]


def list_runs(runs_dir: Path) -> list[RunDirectory]:
    """Every run directory, newest name first; a directory without run.json and checkpoints is not a run."""
    with explained(runs_dir):
        if not runs_dir.is_dir():
            return []
        runs = [RunDirectory(path) for path in runs_dir.iterdir() if not path.name.startswith(".") and is_run(path)]
    return sorted(runs, key=lambda run: run.name, reverse=True)


def is_run(path: Path) -> bool:
    """Whether it is a run's directory; False where it cannot be read."""
    try:
        return path.is_dir() and ((path / "run.json").exists() or (path / "checkpoints").is_dir())
    except OSError:
        return False


def remove_run(run: RunDirectory) -> None:
    """Delete a run and all that is in it.

    Raises:
        RunError: it is not a directory that a training made.
        RunBusyError: it is being trained.
    """
    from gancli.storage.lock import run_lock

    if not (run.info_path.is_file() or run.lock_path.is_file()):
        problem = f"'{run.path}' has neither run.json nor run.lock."
        raise RunError(problem, "No training made it: delete it by hand if you want to.")
    with explained(run.path):
        with run_lock(run.lock_path):
            for path in run.path.iterdir():
                if path != run.lock_path:
                    remove(path)
        remove(run.path)  # after the lock, which Windows does not remove while it is held
