"""A run directory, read back: one run in a few words, in all, and as curves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gancli.errors import GancliError
from gancli.storage.lock import is_abandoned
from gancli.text import distance, duration
from gancli.training.metrics import distance_in, rows_with_seconds

if TYPE_CHECKING:
    from gancli.runs import RunDirectory


@dataclass(frozen=True, slots=True)
class History:
    """What a run has written down: ``run.json``, its settings by dotted key, and the rows of ``metrics.jsonl`` with seconds."""

    run: RunDirectory
    info: dict[str, Any]
    settings: dict[str, object]
    rows: list[dict[str, Any]]

    @classmethod
    def of(cls, run: RunDirectory) -> History:
        """Read a run.

        Raises:
            RunError: its ``run.json`` is missing or damaged.
        """
        return cls(run, run.info(), _settings(run), rows_with_seconds(run))

    @property
    def distance(self) -> str:
        """Name of the distance that was measured last, such as ``fd_mnist``; empty if none was."""
        return next(filter(None, map(distance_in, reversed(self.rows))), "")

    def curve(self, name: str) -> list[dict[str, Any]]:
        """The rows with what was measured under that name: per epoch if it was measured then only, else per interval."""
        rows = [row for row in self.rows if name in row]
        return [row for row in rows if row["kind"] == "interval"] or [row for row in rows if row["kind"] == "epoch"]


def summary(run: RunDirectory) -> dict[str, Any]:
    """Name, status and a few facts; of a run whose ``run.json`` cannot be read only that it is ``damaged``."""
    try:
        info = run.info()
    except GancliError as error:
        return {"name": run.name, "path": str(run.path), "status": "damaged", "error": str(error)}
    best = info["best"] if isinstance(info.get("best"), dict) else {}
    return {
        "name": run.name,
        "path": str(run.path),
        "status": _status(run, info),
        "dataset": _name(info.get("dataset")),
        "arch": _name(info.get("arch")),
        "objective": _name(info.get("objective")) or _name(_settings(run).get("objective.name")),  # of an older run
        "best": best.get("value"),
        "distance": best.get("figure"),
        **{name: info.get(name) for name in ("epochs", "step", "elapsed_seconds", "started")},
    }


def details(run: RunDirectory) -> dict[str, Any]:
    """All that ``run.json`` says, and where the rest is."""
    info = run.info()
    paths = {"config": run.config_path, "losses": run.losses_path, "evaluation": run.evaluation_path}
    return {
        **info,
        "name": run.name,
        "status": _status(run, info),
        "path": str(run.path),
        **{name: str(path) if path.is_file() else None for name, path in paths.items()},
        "preview": next((str(path) for path in reversed(run.previews())), None),
        "checkpoints": sorted(path.name for path in run.checkpoints.glob("step-*")),
    }


def facts(run: dict[str, Any]) -> dict[str, str]:
    """:func:`summary` or :func:`details` as a person reads it, as far as it is known."""
    best, error, epochs, seconds = (run.get(key) for key in ("best", "error", "epochs", "elapsed_seconds"))
    value, metric = (best.get("value"), best.get("figure")) if isinstance(best, dict) else (best, run.get("distance"))
    lines = {
        "name": run["name"],
        "status": run.get("status"),
        "error": error.get("problem") if isinstance(error, dict) else error,
        "data set": _name(run.get("dataset")),
        "arch": _name(run.get("arch")),
        "objective": _name(run.get("objective")),
        "epochs": f"{epochs:.4g}" if isinstance(epochs, int | float) else None,
        "steps": run.get("step"),
        "images": run.get("images_seen"),
        "time": duration(seconds) if isinstance(seconds, int | float) else None,
        "best": f"{metric} {distance(value)}" if isinstance(value, int | float) else None,
        **{name: run.get(name) for name in ("started", "ended", "device", "precision")},
    }
    return {title: str(value) for title, value in lines.items() if value not in (None, "")}


def _settings(run: RunDirectory) -> dict[str, object]:
    try:
        sections = json.loads(run.config_path.read_text(encoding="utf-8"))
        return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _name(value: object) -> str | None:
    """The name of a data set or architecture, which ``run.json`` holds among other facts about it."""
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) else None


def _status(run: RunDirectory, info: dict[str, Any]) -> str:
    """As stored; ``killed`` if the process that wrote ``running`` is gone without a word."""
    status = str(info.get("status"))
    return "killed" if status == "running" and is_abandoned(run.lock_path) else status
