"""Run directories: what is in them, how to find one::

    runs/20261123-120431-mnist-dense/
        run.json        status, versions, plugin, device, times, command line
        config.json     the whole configuration; `gancli train -c` repeats the run
        metrics.jsonl   one row per interval, per epoch and per alarm
        times.jsonl     when each of these rows was measured
        losses.png      losses and the distance to the data over the run
        samples/        000468.png ...: always the same latents
        checkpoints/    see gancli.checkpoint
        log.txt         what was said while training
    runs/.latest        name of the run that saved a checkpoint last

No torch is needed to look at them.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from errno import EEXIST
from pathlib import Path
from typing import Any

from gancli.errors import RunError, StorageError, UsageError, did_you_mean
from gancli.storage.disk import explain, explained, make_directories, remove, write_atomically

__all__ = [
    "RunDirectory",
    "create_run",
    "find_run",
    "list_runs",
    "refuse_busy",
    "refuse_missing_architecture",
    "refuse_name",
    "remove_run",
    "run_name",
]

LATEST = ".latest"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_MAX_INFO_BYTES = 1 << 20
_ANOTHER = "Choose another run; see `gancli runs list`."


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The directory of one run. Nothing is read or created by naming it."""

    path: Path

    @property
    def name(self) -> str:
        """The directory's own name."""
        return self.path.name

    @property
    def info_path(self) -> Path:
        """``run.json``."""
        return self.path / "run.json"

    @property
    def config_path(self) -> Path:
        """``config.json``."""
        return self.path / "config.json"

    @property
    def metrics_path(self) -> Path:
        """``metrics.jsonl``."""
        return self.path / "metrics.jsonl"

    @property
    def times_path(self) -> Path:
        """``times.jsonl``."""
        return self.path / "times.jsonl"

    @property
    def losses_path(self) -> Path:
        """``losses.png``."""
        return self.path / "losses.png"

    @property
    def evaluation_path(self) -> Path:
        """``evaluation.json``, which `gancli evaluate` writes."""
        return self.path / "evaluation.json"

    @property
    def log_path(self) -> Path:
        """``log.txt``."""
        return self.path / "log.txt"

    @property
    def lock_path(self) -> Path:
        """``run.lock``, held by the process that trains."""
        return self.path / "run.lock"

    @property
    def samples(self) -> Path:
        """Directory of the previews."""
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        """Directory of the checkpoints."""
        return self.path / "checkpoints"

    def info(self) -> dict[str, Any]:
        """Contents of ``run.json``.

        Raises:
            RunError: it is missing or damaged.
        """
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
        return sorted(self.samples.glob("*.png"), key=lambda path: (len(path.name), path.name))


def run_name(dataset: str, arch: str) -> str:
    """``20261123-120431-mnist-dense``: local time, data set and architecture."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{dataset}-{arch}").strip("-.")[:60]
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{slug}"


def create_run(runs_dir: Path, name: str | None, dataset: str, arch: str) -> RunDirectory:
    """Make the directory of a new run.

    Raises:
        UsageError: the name is no plain directory name.
        StorageError: it exists already, or cannot be made.
    """
    if name is not None:
        refuse_name(runs_dir, name)
    run = RunDirectory(runs_dir / (name or _unused(runs_dir, run_name(dataset, arch))))
    with explained(runs_dir):
        make_directories(runs_dir)
        if not runs_dir.is_dir():
            raise FileExistsError(EEXIST, "File exists")
    try:
        run.path.mkdir()
        for directory in (run.samples, run.checkpoints):
            make_directories(directory)
    except FileExistsError as error:
        raise _exists(run) from error
    except OSError as error:
        raise explain(error, run.path) from error
    return run


def refuse_name(runs_dir: Path, name: str) -> None:
    """Say early, and without torch, that a name cannot be taken; :func:`create_run` says so again.

    Raises:
        UsageError: the name is no plain directory name.
        StorageError: there is such a run already.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot be the name of a run.",
            "A name has up to 120 letters, digits, '.', '_' and '-', and starts with a letter or digit; --runs-dir says where.",
        )
    if (runs_dir / name).exists():
        raise _exists(RunDirectory(runs_dir / name))


def refuse_missing_architecture(run: RunDirectory) -> None:
    """Refuse to go on with a run whose architecture is not here.

    Raises:
        PluginError: it is not installed; with the command that installs it.
    """
    from gancli.plugins.registry import ARCHITECTURES

    try:
        made_by = run.info()["arch"]
        name, distribution, version = (str(made_by[key]) for key in ("name", "distribution", "version"))
    except (RunError, KeyError, TypeError):
        return  # a damaged run.json costs only the better words
    if distribution:
        ARCHITECTURES.find_maker(name, distribution, version)


def refuse_busy(run: RunDirectory) -> None:
    """Say early, and without torch, that a run is being trained.

    Raises:
        RunBusyError: it is.
    """
    from gancli.storage.lock import RunLock

    with RunLock(run.lock_path):
        pass


def _exists(run: RunDirectory) -> StorageError:
    return StorageError(
        f"The run '{run.path}' exists already.", f"Choose another --name, or go on with it: --resume {run.name}."
    )


def _unused(runs_dir: Path, name: str) -> str:
    """``name``, or with -2, -3, ... where two runs begin in the same second."""
    candidate, n = name, 1
    while (runs_dir / candidate).exists():
        n += 1
        candidate = f"{name}-{n}"
    return candidate


def mark_latest(run: RunDirectory) -> None:
    """Make ``run`` the one that commands take when none is named."""
    write_atomically(run.path.parent / LATEST, f"{run.name}\n".encode())


def find_run(which: str | None, runs_dir: Path) -> RunDirectory:
    """The run that is meant by a name or path; by default ``$GANCLI_RUN``, else the one that saved last.

    Raises:
        RunError: there is none.
    """
    which = which or os.environ.get("GANCLI_RUN") or None
    if which is None:
        return _latest(runs_dir)
    candidates = (runs_dir / which, Path(os.path.expanduser(which)))  # noqa: PTH111  (Path.expanduser raises RuntimeError)
    for path in candidates:
        if _is_run(path):
            return RunDirectory(path.resolve() if path.name in {"", ".."} else path)
    names = [run.name for run in list_runs(runs_dir)]
    hint = did_you_mean(which, names[:20]) if names else "There are no runs yet: start with `gancli train --dataset mnist`."
    raise RunError(f"There is no run '{which}' in '{runs_dir}'.", hint)


def _latest(runs_dir: Path) -> RunDirectory:
    try:
        name = (runs_dir / LATEST).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        name = ""
    if _NAME.fullmatch(name) and (runs_dir / name).is_dir():
        return RunDirectory(runs_dir / name)
    runs = list_runs(runs_dir)
    if len(runs) == 1:
        return runs[0]
    if runs:
        raise RunError(
            f"No last run is known in '{runs_dir}'.", f"Name one, such as --run {runs[0].name}; see `gancli runs list`."
        )
    raise RunError(
        f"There are no runs in '{runs_dir}'.",
        "Train first (`gancli train --dataset mnist`), or say with --runs-dir where they are.",
    )


def list_runs(runs_dir: Path) -> list[RunDirectory]:
    """Every run directory, newest name first; what has neither run.json nor checkpoints is none.

    Raises:
        StorageError: the directory cannot be read.
    """
    with explained(runs_dir):
        if not runs_dir.is_dir():
            return []
        runs = [RunDirectory(path) for path in runs_dir.iterdir() if not path.name.startswith(".") and _is_run(path)]
    return sorted(runs, key=lambda run: run.name, reverse=True)


def _is_run(path: Path) -> bool:
    """Whether it is a run's directory; what cannot be looked at is none."""
    try:
        return path.is_dir() and ((path / "run.json").exists() or (path / "checkpoints").is_dir())
    except OSError:
        return False


def remove_run(run: RunDirectory) -> None:
    """Delete a run and all that is in it.

    Raises:
        RunError: it is no directory that a training made.
        RunBusyError: it is being trained.
        StorageError: something in it cannot be deleted.
    """
    from gancli.storage.lock import RunLock

    if not (run.info_path.is_file() or run.lock_path.is_file()):
        raise RunError(
            f"'{run.path}' has neither run.json nor run.lock.", "No training made it: delete it by hand if you want to."
        )
    with explained(run.path):
        with RunLock(run.lock_path):
            for path in run.path.iterdir():
                if path != run.lock_path:
                    remove(path)
        remove(run.path)  # after the lock, which Windows does not remove while it is held
