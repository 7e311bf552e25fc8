"""The table of the epochs: the columns that a training has, of which as many are shown as fit the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gancli.events import EpochEnded
from gancli.text import distance, duration, loss, score

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gancli.events import Progress

__all__ = ["EXPLAINED", "WIDTH", "Column", "cells", "fitting", "line"]

EXPLAINED = (
    "The table: D loss and G loss, means over the epoch; D(x) and D(G(z)), the probability that D gives to real and to "
    "generated images, where the objective makes it one; FD, distance of generated images to the data, smaller is better; "
    "diversity, how different they are from each other, 1 as the data, below 0.18 mode collapse; img/s, real images "
    "per second. The other losses of a training follow where the terminal is wide enough."
)

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        key: which of the :func:`cells` it shows.
        title: the heading.
        width: characters; longer values push the line to the right.
        rank: the column with the highest rank is the first to go when the terminal is narrow.
    """

    key: str
    title: str
    width: int
    rank: int


LOSSES = (Column("d_loss", "D loss", 6, 1), Column("g_loss", "G loss", 6, 2))
SCORES = (Column("real_score", "D(x)", 4, 8), Column("fake_score", "D(G(z))", 7, 9))
BEFORE = (Column("epoch", "epoch", 5, 0), Column("step", "step", 6, 6))
AFTER = (
    Column("distance", "FD", 6, 3),
    Column("diversity", "diversity", 9, 4),
    Column("speed", "img/s", 6, 7),
    Column("time", "time", 7, 5),
)
WIDTH = sum(column.width + GAP for column in (*BEFORE, *LOSSES, *SCORES, *AFTER)) - GAP
"""Characters of a line of a training with two losses."""


def fitting(width: int, metrics: Iterable[str] = (), *, probabilities: bool = True) -> tuple[Column, ...]:
    """The columns that fit ``width`` characters, at least one.

    Args:
        width: of the terminal.
        metrics: names that the training has reported so far, in their order.
        probabilities: whether the scores are shown.

    >>> [column.title for column in fitting(32, ["d_loss", "g_loss", "cycle"])]
    ['epoch', 'D loss', 'G loss', 'FD']
    """
    known = {column.key for column in (*LOSSES, *SCORES)}
    names = list(metrics)
    missing = [column for column in LOSSES if names and column.key not in names]
    others = [Column(k, k.replace("_", " "), max(6, len(k)), 10 + i) for i, k in enumerate(names) if k not in known]
    scores = SCORES if probabilities and (not names or "real_score" in names) else ()
    columns = [column for column in (*BEFORE, *LOSSES, *others, *scores, *AFTER) if column not in missing]
    while len(columns) > 1 and sum(column.width + GAP for column in columns) - GAP > width:
        columns.remove(max(columns, key=lambda column: column.rank))
    return tuple(columns)


def line(values: Mapping[str, str], columns: Sequence[Column]) -> str:
    """The values of the columns, right-aligned."""
    return (" " * GAP).join(values.get(column.key, "-").rjust(column.width) for column in columns)


def cells(event: Progress | EpochEnded, epochs: int | None, seconds: float) -> dict[str, str]:
    """The values of one row, by the keys of the columns."""
    scores = {column.key for column in SCORES}
    shown = {name: score(value) if name in scores else loss(value) for name, value in event.metrics.items()}
    if isinstance(event, EpochEnded):
        shown["distance"] = distance(event.evaluation.get(event.distance))
        shown["diversity"] = score(event.evaluation.get("diversity"))
    return {
        **shown,
        "epoch": str(event.epoch) if epochs is None else f"{event.epoch}/{epochs}",
        "step": f"{event.step:,}",
        "speed": f"{event.images_per_second:,.0f}",
        "time": duration(seconds),
    }
