"""One run in a few words, and in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gancli.errors import GancliError

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.runs import RunDirectory

__all__ = ["details", "name_of", "summary"]


def summary(run: RunDirectory) -> dict[str, Any]:
    """Name, status and a few facts; of a run whose ``run.json`` cannot be read only that it is ``damaged``."""
    try:
        info = run.info()
    except GancliError as error:
        return {"name": run.name, "path": str(run.path), "status": "damaged", "error": str(error)}
    return {
        "name": run.name,
        "path": str(run.path),
        "status": _status(run, info),
        "dataset": name_of(info.get("dataset")),
        "arch": name_of(info.get("arch")),
        "epochs": info.get("epochs"),
        "step": info.get("step"),
        "elapsed_seconds": info.get("elapsed_seconds"),
        "started": info.get("started"),
    }


def details(run: RunDirectory) -> dict[str, Any]:
    """All that ``run.json`` says, and where the rest is.

    Raises:
        RunError: it is missing or damaged.
    """
    info = run.info()
    return {
        **info,
        "name": run.name,
        "status": _status(run, info),
        "path": str(run.path),
        "config": _existing(run.config_path),
        "losses": _existing(run.losses_path),
        "evaluation": _existing(run.evaluation_path),
        "preview": next((str(path) for path in reversed(run.previews())), None),
        "checkpoints": sorted(path.name for path in run.checkpoints.glob("step-*")),
    }


def name_of(value: object) -> str | None:
    """The name of a data set or architecture, which ``run.json`` holds among other facts about it."""
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) else None


def _status(run: RunDirectory, info: dict[str, Any]) -> str:
    """As stored; ``killed`` if the process that wrote ``running`` is gone without a word."""
    from gancli.storage.lock import is_abandoned

    status = str(info.get("status"))
    return "killed" if status == "running" and is_abandoned(run.lock_path) else status


def _existing(path: Path) -> str | None:
    return str(path) if path.is_file() else None
