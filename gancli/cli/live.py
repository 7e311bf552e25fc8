"""The progress of a training on a terminal. Finished epochs are printed once and scroll away like any text; only the few
lines below them, which change, are redrawn: that is cheap, survives a resize and leaves the whole table behind for reading.

    epoch    step  D loss  G loss  D(x)  D(G(z))      FD  diversity   img/s     time
     1/20     469   1.210   0.934  0.61     0.42   41.20       0.71   5,123    00:11      printed once
     2/20     750   1.198   0.941  0.60     0.42       -          -   5,098    00:18      redrawn
    ━━━━━━━━━╺━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 8%  02:41 left
    preview runs/20261123-120431-mnist-dense/samples/000469.png
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from gancli.cli.console import STOPPING, Console
from gancli.events import Alarm, EpochEnded, Event, Preparing, PreviewWritten, Progress, RunStarted
from gancli.text import distance, duration, loss, printable, score

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import rich.console


REFRESHES_PER_SECOND = 4
ROW_SECONDS = 0.25  # where epochs are shorter than this, not each of them gets a row
ROWS_KEPT = 100
ALARMS_SHOWN = 3
LINES_CHANGING = 3
SHORTEST_PAGE = 5  # the heading is repeated when it has left the screen, but not more often than this many rows
GAP = 2


class Column(NamedTuple):
    """A column of the table: a key of :func:`cells`, its heading, its width, and its rank: the highest goes first."""

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
WIDTH = 80  # characters of a line of a training with two losses


def fitting(width: int, metrics: Sequence[str] = (), *, probabilities: bool = True) -> tuple[Column, ...]:
    """The columns that fit ``width`` characters, at least one, of a training that has reported these metrics so far.

    >>> [column.title for column in fitting(32, ["d_loss", "g_loss", "cycle"])]
    ['epoch', 'D loss', 'G loss', 'FD']
    """
    known = {column.key for column in (*LOSSES, *SCORES)}
    losses = [column for column in LOSSES if not metrics or column.key in metrics]
    others = [Column(k, k.replace("_", " "), max(6, len(k)), 10 + i) for i, k in enumerate(metrics) if k not in known]
    scores = SCORES if probabilities and (not metrics or "real_score" in metrics) else ()
    columns = [*BEFORE, *losses, *others, *scores, *AFTER]
    while len(columns) > 1 and sum(column.width + GAP for column in columns) - GAP > width:
        columns.remove(max(columns, key=lambda column: column.rank))
    return tuple(columns)


def row_of(values: Mapping[str, str], columns: Sequence[Column], style: str = "") -> Text:
    """The values of the columns, right-aligned, on one line."""
    cells = [values.get(column.key, "-").rjust(column.width) for column in columns]
    return Text((" " * GAP).join(cells), style=style, no_wrap=True, overflow="crop")


def heading(columns: Sequence[Column]) -> Text:
    """Their titles."""
    return row_of({column.key: column.title for column in columns}, columns, "bold")


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


class TableConsole(Console):
    """The table of the epochs as it grows, and what stands below it; a subclass shows it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._origin = clock, clock()
        self._started: RunStarted | None = None
        self._metrics: dict[str, None] = {}
        self._rows: deque[dict[str, str]] = deque(maxlen=ROWS_KEPT)
        self._running: Progress | None = None
        self._fraction, self._end = 0.0, math.inf
        self._waiting, self._note = "loading torch", ""
        self._preview: Path | None = None
        self._alarms: list[str] = []

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case Preparing():
                self._waiting = f"{event.what}: {event.done:,}{f' of {event.total:,}' if event.total else ''}"
            case RunStarted():
                self._started, self._waiting = event, "taking the first steps"
                self._origin = self._clock() - event.elapsed_seconds
            case Progress():
                self._metrics.update(dict.fromkeys(event.metrics))
                self._running, self._waiting = event, ""
                self._fraction, self._end = event.fraction, self._clock() + event.eta_seconds
            case EpochEnded():
                self._metrics.update(dict.fromkeys(event.metrics))
                self._rows.append(cells(event, event.epochs, event.elapsed_seconds))
                self._running, self._waiting = None, ""
                self._origin = self._clock() - event.elapsed_seconds
            case PreviewWritten():
                self._preview = event.path
            case Alarm():
                self._alarms.append(f"! {printable(event.message)}")

    def stopping(self) -> None:
        """At the next refresh; nothing is printed here, since a signal may come in the middle of a print."""
        self._note = STOPPING

    def columns(self, width: int) -> tuple[Column, ...]:
        """The columns that fit."""
        return fitting(width, tuple(self._metrics), probabilities=self._started is None or self._started.probabilities)

    def running(self) -> dict[str, str] | None:
        """The row of the epoch that is running."""
        event, epochs = self._running, self._started.epochs if self._started else None  # read once: threads refresh
        return None if event is None else cells(event, epochs, self._clock() - self._origin)


class LiveConsole(TableConsole):
    """The table on a terminal. As a Rich renderable it is the whole table so far: ``Console(record=True).print(live)``."""

    def __init__(self, console: rich.console.Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._console = console
        self._held: dict[str, str] | None = None  # the last row, as long as it is not printed
        self._heading: tuple[Column, ...] | None = None
        self._printed, self._rows_below = -ROW_SECONDS, 0
        ascii_only = console.options.ascii_only
        self._done, self._to_do = ("#", ".") if ascii_only else ("━", "─")
        self._spinner = Spinner("line" if ascii_only else "dots")
        self._live = Live(
            console=console, get_renderable=self._changing, refresh_per_second=REFRESHES_PER_SECOND, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        self._console.show_cursor(True)  # a hidden one would stay hidden after Ctrl-Z and kill -9
        return self

    def __exit__(self, *_: object) -> None:
        self._print_held()  # what stays; what changes is erased
        self._live.stop()
        for alarm in self._alarms:
            self._console.print(Text(alarm, style="yellow"))

    def __call__(self, event: Event) -> None:
        """Show one event, now or at the next refresh; the command's own last lines are about the end of a run."""
        super().__call__(event)
        if isinstance(event, RunStarted):
            parameters = ", ".join(f"{name} {count:,}" for name, count in event.parameters.items())
            arch = f"{event.arch}: {parameters} parameters; {event.device}, {event.precision}"
            notes = [f"note  {note}" for note in event.notes]
            for line in (f"run   {event.run}", f"data  {event.dataset}", f"arch  {arch}", *notes, ""):
                self._console.print(Text(printable(line), overflow="fold"))
        elif isinstance(event, EpochEnded):
            self._held = self._rows[-1]
            if self._clock() - self._printed >= ROW_SECONDS:
                self._print_held()

    def abandon(self) -> None:
        """Begin a new line, for the shell's prompt."""
        os.write(2, b"\n")

    def __rich__(self) -> RenderableType:
        self._heading = self.columns(self._console.width)
        return Group(heading(self._heading), *(row_of(row, self._heading) for row in self._rows), self._changing())

    def _print_held(self) -> None:
        """Print the last row, below a heading of the same columns: on a terminal that was resized, below a new one."""
        if self._held is None:
            return
        columns = self.columns(self._console.width)
        page = max(SHORTEST_PAGE, self._console.height - ALARMS_SHOWN - LINES_CHANGING)
        if columns != self._heading or self._rows_below >= page:
            self._console.print(heading(columns))
            self._heading, self._rows_below = columns, 0
        self._console.print(row_of(self._held, columns))
        self._held, self._printed = None, self._clock()
        self._rows_below += 1

    def _changing(self) -> RenderableType:
        """The lines that are redrawn: the epoch that is running, a bar, the preview, alarms; first a spinner."""
        lines: list[RenderableType] = []
        if self._waiting:
            self._spinner.update(text=self._waiting)
            lines.append(self._spinner)
        else:
            running, columns = self.running(), self.columns(self._console.width)
            if running and columns != self._heading:
                lines.append(heading(columns))
            if running:
                lines.append(row_of(running, columns, "dim"))
            label = f" {self._fraction:4.0%}  {duration(self._end - self._clock())} left"
            width = max(0, min(self._console.width, WIDTH) - len(label))
            done = round(width * self._fraction)
            bar = Text(self._done * done, style="green", no_wrap=True, overflow="crop")
            lines.append(bar.append(self._to_do * (width - done), style="dim").append(label, style="default"))
            lines += [Text(f"preview {printable(self._preview)}", overflow="fold")] if self._preview else []
        lines += [Text(alarm, style="yellow") for alarm in self._alarms[-ALARMS_SHOWN:]]
        return Group(*lines, *([Text(self._note, style="bold")] if self._note else []))
