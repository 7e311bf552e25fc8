"""How long a run is, which fraction of it is done, and its clock."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gancli.config.schema import TrainConfig

EXTENSION_RAMP = 0.1
SHORTEST_EPOCH = 0.1  # a last epoch that would be shorter than this part of one is counted to the epoch before
SHORT_EPOCH_STEPS = 100
"""What is done at the end of an epoch by default is done at most once in so many steps: an epoch of a small data
set takes less time than saving does."""

SAVED_PER_SECOND, PLOT_SECONDS = 2e8, 1.0  # bytes of a checkpoint, and a plot, before the first of each is timed


@dataclass(frozen=True, slots=True)
class Plan:
    """The length of a run: in steps, or in seconds of training, whose schedule follows the clock and so cannot be repeated."""

    steps_per_epoch: int
    total_steps: int | None
    total_seconds: float | None = None
    extended_at: int = 0
    """The step from which the run was made longer; 0 if it never was."""

    @classmethod
    def of(cls, config: TrainConfig, steps_per_epoch: int, batches_per_step: int = 1) -> Self:
        """The plan that ``epochs``, ``images`` or ``minutes`` asks for. Images are rounded up to whole steps."""
        if config.minutes is not None:
            return cls(steps_per_epoch, None, config.minutes * 60)
        if config.images is not None:
            return cls(steps_per_epoch, math.ceil(config.images / (config.batch_size * batches_per_step)))
        return cls(steps_per_epoch, (config.epochs or 0) * steps_per_epoch)

    @property
    def epochs(self) -> int | None:
        """Epochs in the whole run, a short last one counted to the one before, or None if only the clock knows.

        >>> Plan(468, 469).epochs, Plan(468, 700).epochs, Plan(468, 3).epochs
        (1, 2, 1)
        """
        if self.total_steps is None:
            return None
        whole, rest = divmod(self.total_steps, self.steps_per_epoch)
        return max(1, whole + (rest >= SHORTEST_EPOCH * self.steps_per_epoch and rest > 0))

    def fraction(self, step: int, elapsed_seconds: float) -> float:
        """Share of the run that is done, in [0, 1]."""
        done, total = (step, self.total_steps) if self.total_steps is not None else (elapsed_seconds, self.total_seconds)
        return min(1.0, done / total) if total else 1.0

    def ramp(self, step: int) -> float:
        """Factor of the learning rate after a run was made longer: from 0 back to 1 over a tenth of what was added."""
        if not self.extended_at or self.total_steps is None:
            return 1.0
        return min(1.0, (step - self.extended_at) / max(1.0, EXTENSION_RAMP * (self.total_steps - self.extended_at)))

    def is_done(self, step: int, elapsed_seconds: float) -> bool:
        """Whether the run is at its end."""
        return self.fraction(step, elapsed_seconds) >= 1

    def epoch(self, step: int) -> int:
        """Number, from 1, of the epoch to which the last of ``step`` steps belongs."""
        return max(1, min(math.ceil(step / self.steps_per_epoch), self.epochs or step))

    def ends_epoch_past(self, step: int, every: float) -> bool:
        """Whether an epoch ends here that took the steps past a multiple of ``every``, or the last one; by the step alone."""
        before = max(0, step - self.steps_per_epoch)
        return self.ends_epoch(step) and (step // every > before // every or step == self.total_steps)

    def ends_epoch(self, step: int) -> bool:
        """Whether ``step`` steps are a whole number of epochs, or as many of the last as the plan leaves of it."""
        if self.total_steps is None or step >= self.total_steps:
            return step % self.steps_per_epoch == 0 or step == self.total_steps
        return step % self.steps_per_epoch == 0 and step // self.steps_per_epoch != self.epochs


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
