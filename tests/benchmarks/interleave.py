"""Compare commands in one run: turn by turn, so that a machine that drifts drifts for all; medians, and ratios of medians."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path


def gancli() -> str:
    """The console script of this environment."""
    return str(Path(sys.executable).with_name("gancli"))


def seconds(command: list[str]) -> float:
    """Wall time of one whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def compare(commands: dict[str, list[str]], rounds: int) -> None:
    """Print minimum, median and maximum of each command, and its median relative to the first one's."""
    for command in commands.values():
        seconds(command)  # warm the caches of the file system
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(seconds(command))
    base = statistics.median(next(iter(times.values())))
    print(f"{'':30} {'min ms':>8} {'median':>8} {'max':>8} {'ratio':>6}   ({rounds} rounds, interleaved)")
    for name, values in times.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name:30} {low * 1e3:8.1f} {middle * 1e3:8.1f} {high * 1e3:8.1f} {middle / base:6.2f}")
