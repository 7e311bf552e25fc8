"""Compare in one run: turn by turn, so that a machine that drifts drifts for all, and ratios within a round."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Times = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Of at least one value."""
        listed = sorted(values)
        low, median, high = statistics.quantiles(listed, n=4, method="inclusive") if len(listed) > 1 else listed * 3
        return cls(median, low, high)

    def __format__(self, form: str) -> str:
        """Each number in that form: ``2.61 (2.55 to 2.70)``."""
        return f"{self.median:{form}} ({self.low:{form}} to {self.high:{form}})"


def gancli() -> str:
    """The console script of this environment."""
    return str(Path(sys.executable).with_name("gancli"))


def seconds(command: list[str]) -> float:
    """Wall time of one whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def taken(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(works: Mapping[str, Callable[[], float]], rounds: int) -> Times:
    """What each of the works says that it took, ``rounds`` times. Each round begins with another one."""
    times: Times = {name: [] for name in works}
    names = list(works)
    for round_ in range(rounds):
        first = round_ % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(works[name]())
    return times


def ratio(times: Times, name: str, base: str) -> Spread:
    """How many times as long as ``base`` it took, round by round."""
    return Spread.of(mine / theirs for mine, theirs in zip(times[name], times[base], strict=True))


def show(times: Times, base: str) -> None:
    """Print median and quartiles of each, in milliseconds, and its ratio to ``base``."""
    width, rounds = max(map(len, times)), len(times[base])
    print(f"{'':{width}} {'ms (quartiles)':>28}   times as long as '{base}' ({rounds} rounds, interleaved)")
    for name, values in times.items():
        milliseconds = Spread.of(1e3 * value for value in values)
        print(f"{name:{width}} {format(milliseconds, '.4g'):>28}   {ratio(times, name, base):.2f}")


def compare(commands: Mapping[str, list[str]], rounds: int) -> Times:
    """Whole processes, in turn, after one of each that is not counted; relative to the first."""
    for command in commands.values():
        seconds(command)  # warm the caches of the file system
    times = in_turn({name: lambda command=command: seconds(command) for name, command in commands.items()}, rounds)
    show(times, next(iter(commands)))
    return times
