"""The clock of a training, and what is known of the time that things take."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SAVED_PER_SECOND, PLOT_SECONDS = 2e8, 1.0
"""Bytes of a checkpoint, and a plot, before the first of each is timed."""


class Clock:
    """Training time over all sessions, in seconds, and what is known of the time that things take.

    Where the length is given in minutes, the last evaluation, preview, checkpoint and plot are part of it. So the schedule's
    time runs faster, by as much as leaves them what each took the last time, and its learning rates still reach their end.
    """

    def __init__(self, total_seconds: float | None, elapsed_seconds: float = 0.0) -> None:
        self._total = total_seconds
        self._before = elapsed_seconds
        self._began: float | None = None
        self.took: dict[str, float] = {}

    def start(self) -> None:
        """The first step is about to be taken."""
        self._began = monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of training so far."""
        return self._before + (0.0 if self._began is None else monotonic() - self._began)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Within the block is done what will be done again."""
        begin = monotonic()
        yield
        self.took[what] = monotonic() - begin

    @property
    def ending(self) -> float:
        """Seconds that the end will take, and half a step: the last one may end as much too late as too early."""
        if self._total is None:
            return 0.0
        seconds = sum(self.took.values()) - self.took.get("step", 0.0) / 2
        return min(seconds, self._total / 2)

    @property
    def schedule(self) -> float:
        """What the schedule takes for the seconds that have gone by."""
        return self.elapsed if self._total is None else self.elapsed * self._total / (self._total - self.ending)

    def affords(self, what: str) -> bool:
        """Whether there is time for it, and then still for the end, of which it will be a part."""
        return self._total is None or self.elapsed + self.took.get(what, 0.0) + self.ending <= self._total
