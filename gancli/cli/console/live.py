"""Progress on a terminal. Finished epochs are printed once and scroll away like any text; only the few lines below them,
which change, are redrawn: that is cheap, survives a resize and leaves the whole table behind for reading.

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
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from gancli.cli.console import table
from gancli.cli.console.plain import STOPPING
from gancli.events import (
    Alarm,
    CheckpointSaved,
    EpochEnded,
    IntervalEnded,
    Preparing,
    PreviewWritten,
    Progress,
    RunEnded,
    RunStarted,
)
from gancli.text import duration, printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.console import Console, RenderableType

    from gancli.events import Event

__all__ = ["LiveConsole"]

REFRESHES_PER_SECOND = 4
ROW_SECONDS = 0.25
"""Where epochs are shorter than this, not each of them gets a row."""
ROWS_KEPT = 100
ALARMS_SHOWN = 3
LINES_CHANGING = 3
SHORTEST_PAGE = 5
"""The heading is repeated when it has left the screen, but not more often than this many rows."""


class LiveConsole:
    """The growing table. As a Rich renderable it is the whole table so far: ``Console(record=True).print(live)``.

    Args:
        console: where to.
        clock: seconds that never go back.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._epochs: int | None = None
        self._probabilities = True
        self._metrics: dict[str, None] = {}
        self._rows: deque[dict[str, str]] = deque(maxlen=ROWS_KEPT)
        self._held: dict[str, str] | None = None
        self._heading: tuple[table.Column, ...] | None = None
        self._printed = -ROW_SECONDS
        self._rows_below = 0
        self._running: Progress | None = None
        self._fraction, self._end = 0.0, math.inf
        self._origin = clock()
        self._preview: Text | None = None
        self._alarms: list[Text] = []
        self._note: Text | None = None
        ascii_only = console.options.ascii_only
        self._done, self._to_do = ("#", ".") if ascii_only else ("━", "─")
        self._waiting: Spinner | None = Spinner("line" if ascii_only else "dots", "loading torch")
        self._live = Live(
            console=console, get_renderable=self._changing, refresh_per_second=REFRESHES_PER_SECOND, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        self._console.show_cursor(True)  # a hidden one would stay hidden after Ctrl-Z and kill -9
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Erase what changes and keep what stays."""
        self._print_held()
        self._live.stop()
        for alarm in self._alarms:
            self._console.print(alarm)

    def __call__(self, event: Event) -> None:
        """Show one event, now or at the next refresh."""
        match event:
            case Preparing():
                self._prepare(event)
            case RunStarted():
                self._start(event)
            case Progress():
                self._metrics.update(dict.fromkeys(event.metrics))
                self._running, self._waiting = event, None
                self._fraction, self._end = event.fraction, self._clock() + event.eta_seconds
            case EpochEnded():
                self._end_epoch(event)
            case PreviewWritten():
                self._preview = Text(f"preview {printable(event.path)}", overflow="fold")
            case Alarm():
                self._alarms.append(Text(f"! {printable(event.message)}", style="yellow"))
            case IntervalEnded() | CheckpointSaved() | RunEnded():
                pass  # a checkpoint at each epoch is no news, and the command's own last lines tell the rest

    def stopping(self) -> None:
        """Say so at the next refresh; nothing is printed here, since a signal may come in the middle of a print."""
        self._note = Text(STOPPING, style="bold")

    def abandon(self) -> None:
        """Begin a new line, so that the shell's prompt does not end up in this one."""
        os.write(2, b"\n")

    def __rich__(self) -> RenderableType:
        """The whole table so far."""
        self._heading = self._columns()
        rows = [Text(table.line(row, self._heading)) for row in self._rows]
        return Group(self._header(self._heading), *rows, self._changing())

    def _columns(self) -> tuple[table.Column, ...]:
        return table.fitting(self._console.width, tuple(self._metrics), probabilities=self._probabilities)

    def _header(self, columns: tuple[table.Column, ...]) -> Text:
        titles = table.line({column.key: column.title for column in columns}, columns)
        return Text(titles, style="bold", no_wrap=True, overflow="crop")

    def _prepare(self, event: Preparing) -> None:
        if self._waiting is not None:
            of = f" of {event.total:,}" if event.total else ""
            self._waiting.update(text=f"{event.what}: {event.done:,}{of}")

    def _start(self, event: RunStarted) -> None:
        self._epochs, self._probabilities = event.epochs, event.probabilities
        self._origin = self._clock() - event.elapsed_seconds
        if self._waiting is not None:
            self._waiting.update(text="taking the first steps")
        parameters = ", ".join(f"{name} {count:,}" for name, count in event.parameters.items())
        self._say(f"run   {event.run}")
        self._say(f"data  {event.dataset}")
        self._say(f"arch  {event.arch}: {parameters} parameters; {event.device}, {event.precision}")
        for note in event.notes:
            self._say(f"note  {note}")
        self._console.print()

    def _say(self, text: str) -> None:
        self._console.print(Text(printable(text), overflow="fold"))

    def _end_epoch(self, event: EpochEnded) -> None:
        self._metrics.update(dict.fromkeys(event.metrics))
        row = table.cells(event, self._epochs, event.elapsed_seconds)
        self._rows.append(row)
        self._running, self._held, self._waiting = None, row, None
        self._origin = self._clock() - event.elapsed_seconds
        if self._clock() - self._printed >= ROW_SECONDS:
            self._print_held()

    def _print_held(self) -> None:
        """Print the last row, below a heading of the same columns: on a terminal that was resized, below a new one."""
        if self._held is None:
            return
        columns = self._columns()
        page = max(SHORTEST_PAGE, self._console.height - ALARMS_SHOWN - LINES_CHANGING)
        if columns != self._heading or self._rows_below >= page:
            self._console.print(self._header(columns))
            self._heading, self._rows_below = columns, 0
        self._console.print(Text(table.line(self._held, columns), no_wrap=True, overflow="crop"))
        self._held, self._printed = None, self._clock()
        self._rows_below += 1

    def _changing(self) -> RenderableType:
        """The lines that are redrawn."""
        lines = [self._waiting] if self._waiting else [*self._running_row(), self._bar(), self._preview]
        return Group(*(line for line in (*lines, *self._alarms[-ALARMS_SHOWN:], self._note) if line is not None))

    def _running_row(self) -> list[Text]:
        """The epoch that is running, with a heading if the last that was printed has other columns."""
        running, columns = self._running, self._columns()  # read once: this runs in the thread that refreshes, too
        if running is None:
            return []
        row = table.line(table.cells(running, self._epochs, self._clock() - self._origin), columns)
        heading = [] if columns == self._heading else [self._header(columns)]
        return [*heading, Text(row, style="dim", no_wrap=True, overflow="crop")]

    def _bar(self) -> Text:
        label = f" {self._fraction:4.0%}  {duration(self._end - self._clock())} left"
        width = max(0, min(self._console.width, table.WIDTH) - len(label))
        done = round(width * self._fraction)
        bar = Text(self._done * done, style="green", no_wrap=True, overflow="crop")
        return bar.append(self._to_do * (width - done), style="dim").append(label, style="default")
