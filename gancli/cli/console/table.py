"""The table of the epochs: fixed columns, of which as many are shown as fit the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gancli.text import distance, duration, loss, score
from gancli.training.events import EpochEnded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gancli.training.events import Progress

__all__ = ["COLUMNS", "WIDTH", "Column", "cells", "fitting", "line"]

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        title: the heading.
        width: characters; longer values push the line to the right.
        rank: the column with the highest rank is the first to go when the terminal is narrow.
    """

    title: str
    width: int
    rank: int


COLUMNS = (
    Column("epoch", 7, 0),
    Column("step", 7, 5),
    Column("D loss", 7, 1),
    Column("G loss", 7, 2),
    Column("D(x)", 5, 7),
    Column("D(G(z))", 7, 8),
    Column("FD", 6, 3),
    Column("images/s", 8, 6),
    Column("time", 7, 4),
)
WIDTH = sum(column.width + GAP for column in COLUMNS) - GAP
"""Characters of a line with all columns."""


def fitting(width: int) -> tuple[Column, ...]:
    """The columns that fit ``width`` characters, at least one.

    >>> [column.title for column in fitting(30)]
    ['epoch', 'D loss', 'G loss']
    """
    chosen = sorted(COLUMNS, key=lambda column: column.rank)
    while len(chosen) > 1 and sum(column.width + GAP for column in chosen) - GAP > width:
        chosen.pop()
    return tuple(column for column in COLUMNS if column in chosen)


def line(values: Sequence[str], columns: Sequence[Column]) -> str:
    """One value per column of :data:`COLUMNS`, right-aligned; only ``columns`` are shown."""
    pairs = zip(COLUMNS, values, strict=True)
    return (" " * GAP).join(value.rjust(column.width) for column, value in pairs if column in columns)


def cells(event: Progress | EpochEnded, epochs: int | None, seconds: float) -> list[str]:
    """The values of one row, in the order of :data:`COLUMNS`."""
    of = event.metrics.get
    return [
        str(event.epoch) if epochs is None else f"{event.epoch}/{epochs}",
        f"{event.step:,}",
        loss(of("d_loss")),
        loss(of("g_loss")),
        score(of("real_score")),
        score(of("fake_score")),
        distance(of(event.figure) if isinstance(event, EpochEnded) else None),
        f"{event.images_per_second:,.0f}",
        duration(seconds),
    ]
