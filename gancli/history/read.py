"""A run directory, read back: one run in a few words, in all, and as curves."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gancli.errors import GancliError
from gancli.storage.lock import is_abandoned
from gancli.training.metrics import distance_in, read_rows

if TYPE_CHECKING:
    from gancli.runs import RunDirectory

__all__ = ["History", "Point", "details", "name_of", "summary"]

_MAX_LOCK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Point:
    """A value that was measured at a step, after so many real images and seconds of training."""

    step: int
    images: int
    seconds: float
    value: float


@dataclass(frozen=True, slots=True)
class History:
    """What a run has written down.

    Attributes:
        run: its directory.
        info: what ``run.json`` says.
        settings: its configuration, by dotted key.
        rows: of ``metrics.jsonl``.
        seconds: when each step was reached, from ``times.jsonl``; empty if the run is older than that file.
    """

    run: RunDirectory
    info: dict[str, Any]
    settings: dict[str, object]
    rows: list[dict[str, Any]]
    seconds: dict[int, float]

    @classmethod
    def of(cls, run: RunDirectory) -> History:
        """Read a run.

        Raises:
            RunError: its ``run.json`` is missing or damaged.
        """
        try:
            sections = json.loads(run.config_path.read_text(encoding="utf-8"))
            settings = {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
        except (OSError, ValueError, AttributeError):
            settings = {}
        times = {row["step"]: row["elapsed_seconds"] for row in read_rows(run.times_path)}
        return cls(run, run.info(), settings, read_rows(run.metrics_path), times)

    @property
    def distance(self) -> str:
        """Name of the distance that was measured last, such as ``fd_mnist``; empty if none was."""
        return next(filter(None, map(distance_in, reversed(self.rows))), "")

    def curve(self, name: str) -> list[Point]:
        """What was measured under that name: per epoch if it was measured then only, else per interval."""
        found = [row for row in self.rows if name in row and row["kind"] == "interval"]
        found = found or [row for row in self.rows if name in row and row["kind"] == "epoch"]
        return [Point(row["step"], row["images_seen"], self.seconds_at(row["step"]), float(row[name])) for row in found]

    def distance_at(self, step: int) -> float | None:
        """The distance that was measured last by that step."""
        curve = self.curve(self.distance) if self.distance else []
        before = bisect_right([point.step for point in curve], step)
        return curve[before - 1].value if before else None

    def seconds_at(self, step: int) -> float:
        """Seconds of training up to a step, as written down; of an older run, in proportion to the steps."""
        whole = self.info.get("elapsed_seconds") or 0.0
        return self.seconds.get(step, whole * step / max(1, self.info.get("step") or 1))


def summary(run: RunDirectory) -> dict[str, Any]:
    """Name, status and a few facts; of a run whose ``run.json`` cannot be read only that it is ``damaged``."""
    try:
        info = run.info()
    except GancliError as error:
        return {"name": run.name, "path": str(run.path), "status": "damaged", "error": str(error)}
    stored = info.get("best")
    best = stored if isinstance(stored, dict) else {}
    return {
        "name": run.name,
        "path": str(run.path),
        "status": _status(run, info),
        "dataset": name_of(info.get("dataset")),
        "arch": name_of(info.get("arch")),
        "objective": name_of(info.get("objective")) or _stored_objective(run),
        "best": best.get("value"),
        "distance": best.get("figure"),
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
    found = {
        name: str(path) if path.is_file() else None
        for name, path in (("config", run.config_path), ("losses", run.losses_path), ("evaluation", run.evaluation_path))
    }
    return {
        **info,
        "name": run.name,
        "status": _status(run, info),
        "path": str(run.path),
        **found,
        "preview": next((str(path) for path in reversed(run.previews())), None),
        "checkpoints": sorted(path.name for path in run.checkpoints.glob("step-*")),
    }


def name_of(value: object) -> str | None:
    """The name of a data set or architecture, which ``run.json`` holds among other facts about it."""
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) else None


def _stored_objective(run: RunDirectory) -> str | None:
    """From the configuration: an older ``run.json`` does not say it."""
    try:
        return name_of(json.loads(run.config_path.read_text(encoding="utf-8"))["objective"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _status(run: RunDirectory, info: dict[str, Any]) -> str:
    """As stored; ``killed`` if the process that wrote ``running`` is gone without a word."""
    status = str(info.get("status"))
    return "killed" if status == "running" and is_abandoned(run.lock_path) else status
