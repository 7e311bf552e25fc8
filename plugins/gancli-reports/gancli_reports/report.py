"""One page about one run: what it was, how it went, and how to repeat it."""

from __future__ import annotations

import json
from html import escape
from io import BytesIO
from typing import Any

from gancli.text import html_image, html_table, printable, shell
from gancli_reports.compare import TITLES, compared, plot, table_of
from gancli_reports.film import opened
from gancli_reports.history import History, details, facts
from gancli_reports.page import page

MOST_PREVIEWS = 9
LARGEST_PREVIEW = 1024  # pixels of the longer side of a preview in the page
ENVIRONMENT = ("gancli", "torch", "python", "platform", "threads", "processes", "compiled", "captured")


def report(history: History) -> bytes:
    """Settings, curves, previews, alarms, evaluation, environment and commands, as one HTML page without any other file."""
    run, info, settings = history.run, details(history.run), history.settings
    alarms = [(row["step"], row["message"]) for row in history.rows if row["kind"] == "alarm"]
    argv = info.get("argv")
    typed = [f"{shell(*argv)}    # as it was typed"] if isinstance(argv, list) and argv else []
    again = f"{shell('gancli', 'train', '-c', run.config_path)}    # with every setting as it was"
    sections = {
        "Run": html_table(("", ""), facts(info).items()),
        "Distance to the data": html_table(TITLES, table_of(compared([history]))),
        "Previews": _previews(history),
        "Curves": html_image(plot([history]), "Distance and losses, over real images and over time") if history.rows else "",
        "Alarms": html_table(("step", "alarm"), alarms) or "<p>None.</p>",
        "Evaluation": _evaluation(history),
        "To repeat it": f"<pre>{escape(chr(10).join(map(printable, (*typed, again))))}</pre>",
        "Environment": html_table(("", ""), [(name, info[name]) for name in ENVIRONMENT if name in info]),
        "Settings": html_table(("setting", "value"), [(key, json.dumps(value)) for key, value in settings.items()]),
    }
    return page(f"Run {run.name}", sections)


def _previews(history: History) -> str:
    """Some previews, closer to each other at the beginning: as a geometric series of their numbers, and the last."""
    previews = history.run.previews()
    chosen = {round(len(previews) ** (i / (MOST_PREVIEWS - 1))) - 1 for i in range(MOST_PREVIEWS)} if previews else ()
    found = []
    for number in sorted(chosen):
        buffer = BytesIO()
        preview = opened(previews[number])
        preview.thumbnail((LARGEST_PREVIEW, LARGEST_PREVIEW))
        preview.save(buffer, format="PNG")
        found.append(html_image(buffer.getvalue(), f"step {int(previews[number].stem):,}", pixels=True))
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

    return html_table(("metric", "value"), flat(stored, ""))
