"""Several runs beside each other: the settings that differ, how good each became and when, and their curves."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from gancli.text import distance, duration, html_image, html_table
from gancli.training.metrics import matplotlib_defaults
from gancli.version import __version__
from gancli_reports.page import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gancli_reports.history import History

FEW_POINTS = 20  # a curve of fewer points shows each
TITLES = ("run", "distance", "best", "images to it", "time to it", "last", "images", "time")


def differing(histories: Sequence[History]) -> dict[str, list[object]]:
    """The settings that are not the same in all runs, by key: one value per run, None where a run does not have it."""
    keys = dict.fromkeys(key for history in histories for key in history.settings)
    values = {key: [history.settings.get(key) for history in histories] for key in keys}
    return {key: found for key, found in values.items() if any(value != found[0] for value in found)}


def compared(histories: Sequence[History]) -> list[dict[str, Any]]:
    """Of each run the best and the last distance, and the images and seconds up to it; None where none was measured."""
    found = []
    for history in histories:
        name, curve = history.distance, history.curve(history.distance)
        best = min(curve, key=lambda row: row[name], default=None)
        found.append(
            {
                "name": history.run.name,
                "distance": name or None,
                "best": best and best[name],
                "best_step": best and best["step"],
                "best_images": best and best["images_seen"],
                "best_seconds": best and round(best["elapsed_seconds"], 3),
                "last": curve[-1][name] if curve else None,
                "images": history.info.get("images_seen"),
                "seconds": history.info.get("elapsed_seconds"),
            }
        )
    return found


def table_of(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """:func:`compared` as text, under :data:`TITLES`."""
    found: list[tuple[str, ...]] = []
    for row in rows:
        to_best, in_all = (
            ("-" if row[images] is None else f"{row[images]:,}", "-" if row[seconds] is None else duration(row[seconds]))
            for images, seconds in (("best_images", "best_seconds"), ("images", "seconds"))
        )
        best, last = distance(row["best"]), distance(row["last"])
        found.append((row["name"], row["distance"] or "-", best, *to_best, last, *in_all))
    return found


def plot(histories: Sequence[History]) -> bytes:
    """The curves of all runs as PNG: distance and losses, over real images and over time.

    Distances of different names are measured in different features: each has its own dashes.
    """
    buffer = BytesIO()
    with matplotlib_defaults():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 7), dpi=100, layout="constrained")
        panels = figure.subplots(2, 2, sharex="col", sharey="row")
        names = list(dict.fromkeys(history.distance for history in histories if history.distance))
        for number, history in enumerate(histories):
            label, name = history.run.name, history.distance
            style = ("-", "--", ":", "-.")[names.index(name) % 4] if name else "-"
            curves = [(0, name, style, f"{label}, {name}" if len(names) > 1 else label)] if name else []
            curves += [(1, "d_loss", "-", f"{label}, D"), (1, "g_loss", "--", f"{label}, G")]
            for row, metric, line, text in curves:
                points = history.curve(metric)
                marker = "o" if row == 0 or len(points) < FEW_POINTS else None
                drawn = {"marker": marker, "markersize": 3, "linewidth": 1, "color": f"C{number}", "label": text}
                ys = [point[metric] for point in points]
                panels[row][0].plot([point["images_seen"] for point in points], ys, line, **drawn)
                panels[row][1].plot([point["elapsed_seconds"] / 60 for point in points], ys, line, **drawn)
        if names:
            panels[0][0].set_yscale("log")
        panels[0][0].set_ylabel(names[0] if len(names) == 1 else "distance to the data")
        panels[1][0].set(ylabel="loss", xlabel="real images")
        panels[1][1].set_xlabel("minutes of training")
        for axes in panels.flat:
            axes.grid(alpha=0.3)
        for axes in panels[:, 1]:
            if axes.lines:
                axes.legend(loc="upper right", fontsize="small")
        figure.savefig(buffer, format="png", metadata={"gancli": f'{{"gancli": "{__version__}"}}'})
    return buffer.getvalue()


def page_of(histories: Sequence[History]) -> bytes:
    """All of it as one HTML page."""
    names = [history.run.name for history in histories]
    settings = [(key, *values) for key, values in differing(histories).items()]
    sections = {
        "Results": html_table(TITLES, table_of(compared(histories))),
        "Settings that differ": html_table(("setting", *names), settings) or "<p>None.</p>",
        "Curves": html_image(plot(histories)),
    }
    return page(f"Comparison of {', '.join(names)}", sections)
