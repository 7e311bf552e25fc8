"""What a benchmark found, as rows of one Markdown table."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interleave import Spread

ROWS = "BENCHMARK_ROWS"
"""Names the file that the rows of a script are written to as well, for `python tests/benchmarks`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        what: was measured.
        figure: with its spread.
        target: what it should be; empty if nothing was asked.
        met: whether it is.
    """

    what: str
    figure: str
    target: str = ""
    met: bool = True

    @classmethod
    def of(cls, what: str, spread: Spread, form: str, *, at_least: float | None = None, at_most: float | None = None) -> Self:
        """A median with quartiles, and on which side of which number it should lie."""
        short = form if "%" in form else "g"
        if at_least is not None:
            return cls(what, format(spread, form), f"at least {at_least:{short}}", spread.median >= at_least)
        if at_most is not None:
            return cls(what, format(spread, form), f"at most {at_most:{short}}", spread.median <= at_most)
        return cls(what, format(spread, form))


def conclude(rows: Sequence[Row]) -> None:
    """Print the rows of a script, under when, where and how they were measured."""
    command = shlex.join(["python", f"tests/benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    print(f"\n{circumstances()}\n\n{table([(row, command) for row in rows])}")
    if target := os.environ.get(ROWS):
        Path(target).write_text(json.dumps([[asdict(row), command] for row in rows]))


def collected(source: Path) -> list[tuple[Row, str]]:
    """What another script concluded."""
    return [(Row(**row), command) for row, command in json.loads(source.read_text())]


def table(rows: Sequence[tuple[Row, str]]) -> str:
    """Markdown."""
    lines = ["| what | figure (quartiles) | target | command |", "|---|---|---|---|"]
    for row, command in rows:
        target = row.target if row.met else f"{row.target}: **missed**"
        lines.append(f"| {row.what} | {row.figure} | {target} | `{command}` |")
    return "\n".join(lines)


def circumstances() -> str:
    """Date, machine, versions."""
    import torch

    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{datetime.now(UTC):%d %B %Y}; {_processor()}, {cores} cores, load {load:.1f}{gpu}; "
        f"Python {platform.python_version()}, torch {torch.__version__}."
    )


def _processor() -> str:
    """As Linux names it, with the product's generation where the name leaves it out."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    said = dict(line.split("\t: ", 1) for line in (line.replace("\t\t", "\t") for line in lines) if "\t: " in line)
    return f"{said.get('model name', platform.machine())} (family {said.get('cpu family')}, model {said.get('model')})"
