"""The inside of a benchmark's process: steps when it is asked for them. Standard library only: any environment can import it.

Asked ``{"steps": 20}`` or ``{"seconds": 5}`` on standard input, a process plays that long and answers on standard output with
the seconds that it took, the processor's seconds in all its threads, the number of steps, and what else is to be said. While it
is not its turn, it waits.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def options() -> dict[str, Any]:
    """What the process was told at its start."""
    return json.loads(sys.argv[1])


class Turns:
    """Counts the steps of a turn and the time that it takes.

    Args:
        settle: called at the end of a turn, on the clock, for a device that is behind.

    Attributes:
        asked: what this turn is to be; there may be more in it than its length.
        facts: go into every answer.
    """

    def __init__(self, settle: Callable[[], object] = lambda: None) -> None:
        self.asked: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}
        self._settle = settle
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print is no answer
        self._total = self._before = 0.0
        self._since = time.perf_counter()
        self._steps, self._processor = 0, 0.0

    @property
    def clock(self) -> float:
        """Seconds of all turns so far."""
        return self._total + time.perf_counter() - self._since

    def begin(self, **facts: Any) -> bool:
        """Say that everything is ready; wait for the first turn. False if there is none. The clock is at 0."""
        self._since = time.perf_counter()
        return self._wait(facts)

    def after_step(self) -> bool:
        """To be called after each step; waits when the turn is over. False if no other will come."""
        self._steps += 1
        most_steps, most_seconds = self.asked.get("steps", math.inf), self.asked.get("seconds", math.inf)
        if self._steps < most_steps and self.clock - self._before < most_seconds:
            return True
        self._settle()
        return self._wait(self._of_this_turn())

    def end(self) -> None:
        """Answer the turn that was begun: it was the last, since there is nothing more to do."""
        self._tell({**self._of_this_turn(), "done": True})

    @contextmanager
    def off_the_clock(self) -> Iterator[None]:
        """What is done in the block takes no time."""
        self._total = self.clock
        try:
            yield
        finally:
            self._since = time.perf_counter()

    def _of_this_turn(self) -> dict[str, Any]:
        processor = time.process_time() - self._processor
        return {"seconds": self.clock - self._before, "processor_seconds": processor, "steps": self._steps, **self.facts}

    def _wait(self, answer: dict[str, Any]) -> bool:
        with self.off_the_clock():
            self._tell(answer)
            line = sys.stdin.readline()
        self.asked = json.loads(line) if line else {}
        self._steps, self._before, self._processor = 0, self._total, time.process_time()
        return bool(line)

    def _tell(self, answer: dict[str, Any]) -> None:
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()


def serve(step: Callable[[], object], turns: Turns, **facts: Any) -> None:
    """Take a step at a time for as long as somebody asks for more."""
    going = turns.begin(**facts)
    while going:
        step()
        going = turns.after_step()
