"""One page about one run: what it was, how it went, and how to repeat it."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image

from gancli.history.compare import TITLES, compared, plot, table_of
from gancli.history.page import image, page, paragraph, preformatted, table
from gancli.history.read import details, name_of
from gancli.text import duration, shell

if TYPE_CHECKING:
    from gancli.history.read import History

__all__ = ["report"]

MOST_PREVIEWS = 9
LARGEST_PREVIEW = 1024
"""Pixels of the longer side of a preview in the page."""

ENVIRONMENT = ("gancli", "torch", "python", "platform", "device", "precision", "threads", "processes", "compiled")


def report(history: History) -> bytes:
    """Settings, curves, previews, alarms, evaluation, environment and commands, as one HTML page without any other file."""
    run, info, settings = history.run, details(history.run), history.settings
    facts = {
        "status": info.get("status"),
        "data set": name_of(info.get("dataset")),
        "architecture": name_of(info.get("arch")),
        "objective": settings.get("objective.name"),
        "epochs": info.get("epochs"),
        "steps": info.get("step"),
        "real images": info.get("images_seen"),
        "time": duration(info.get("elapsed_seconds") or 0),
        "started": info.get("started"),
        "ended": info.get("ended"),
        "error": (info.get("error") or {}).get("problem") if isinstance(info.get("error"), dict) else info.get("error"),
    }
    alarms = [(row["step"], row["message"]) for row in history.rows if row["kind"] == "alarm"]
    sections = [
        ("Run", table(("", ""), [(name, value) for name, value in facts.items() if value is not None])),
        ("Distance to the data", table(TITLES, table_of(compared([history])))),
        ("Previews", _previews(history)),
        ("Curves", image(plot([history]), "Distance and losses, over real images and over time") if history.rows else ""),
        ("Alarms", table(("step", "alarm"), alarms) or paragraph("None.")),
        ("Evaluation", _evaluation(history)),
        ("To repeat it", preformatted(_commands(history, info))),
        ("Environment", table(("", ""), [(name, info[name]) for name in ENVIRONMENT if name in info])),
        ("Settings", table(("setting", "value"), [(key, json.dumps(value)) for key, value in settings.items()])),
    ]
    return page(f"Run {run.name}", sections)


def _previews(history: History) -> str:
    """Some previews, closer to each other at the beginning: as a geometric series of their numbers, and the last."""
    previews = history.run.previews()
    last = len(previews) - 1
    chosen = sorted({round((last + 1) ** (i / (MOST_PREVIEWS - 1))) - 1 for i in range(MOST_PREVIEWS)}) if previews else []
    found = []
    for number in chosen:
        with Image.open(previews[number], formats=["PNG"]) as preview:
            preview.thumbnail((LARGEST_PREVIEW, LARGEST_PREVIEW))
            buffer = BytesIO()
            preview.save(buffer, format="PNG")
        found.append(image(buffer.getvalue(), f"step {int(previews[number].stem):,}", pixels=True))
    return "".join(found)


def _evaluation(history: History) -> str:
    """What `gancli evaluate` has written, flat."""
    try:
        stored = json.loads(history.run.evaluation_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""

    def flat(value: Any, name: str) -> list[tuple[str, object]]:  # noqa: ANN401  (JSON)
        if isinstance(value, dict):
            return [row for key, part in value.items() for row in flat(part, f"{name}.{key}" if name else str(key))]
        return [(name, value)]

    return table(("metric", "value"), flat(stored, ""))


def _commands(history: History, info: dict[str, Any]) -> str:
    argv = info.get("argv")
    typed = [f"{shell(*map(str, argv))}    # as it was typed"] if isinstance(argv, list) and argv else []
    return "\n".join(
        [*typed, f"{shell('gancli', 'train', '-c', str(history.run.config_path))}    # with every setting as it was"]
    )
