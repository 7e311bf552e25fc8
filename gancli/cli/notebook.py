"""Progress in a notebook: the table of the epochs, a bar and the newest preview, below the cell that trains."""

from __future__ import annotations

import time
from base64 import b64encode
from collections import deque
from html import escape
from typing import TYPE_CHECKING, Self

from IPython.display import HTML, display

from gancli.cli.console import STOPPING, Console
from gancli.cli.live import cells, fitting
from gancli.events import Alarm, EpochEnded, Preparing, PreviewWritten, Progress, RunEnded, RunStarted
from gancli.text import duration, html_table, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.events import Event

INTERVAL_SECONDS = 0.5
ROWS_KEPT = 100
WIDE = 1000
"""Characters of a line: all columns fit."""


class NotebookConsole(Console):
    """One display of HTML, which is replaced as the training goes on. It needs no widgets.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._shown = clock, float("-inf")
        self._started: RunStarted | None = None
        self._rows: deque[dict[str, str]] = deque(maxlen=ROWS_KEPT)
        self._metrics: dict[str, None] = {}
        self._running: Progress | None = None
        self._alarms: list[str] = []
        self._preview = self._note = ""
        self._waiting = "loading torch"
        self._origin = clock()

    def __enter__(self) -> Self:
        self._display = display(HTML(self.html()), display_id=True)
        return self

    def __call__(self, event: Event) -> None:
        """Show one event, now or half a second later."""
        match event:
            case Preparing():
                self._waiting = f"{event.what}: {event.done:,}{f' of {event.total:,}' if event.total else ''}"
            case RunStarted():
                self._started, self._origin = event, self._clock() - event.elapsed_seconds
            case Progress():
                self._running = event
                self._metrics.update(dict.fromkeys(event.metrics))
            case EpochEnded():
                self._metrics.update(dict.fromkeys(event.metrics))
                self._rows.append(cells(event, event.epochs, event.elapsed_seconds))
            case PreviewWritten():
                source = f"data:image/png;base64,{b64encode(event.path.read_bytes()).decode()}"
                self._preview = f'<img alt="preview" style="min-width: 16rem; image-rendering: pixelated" src="{source}">'
            case Alarm():
                self._alarms.append(f"! {event.message}")
            case RunEnded():
                self._running, self._note = None, f"{event.status}: {event.run}"
            case _:
                pass
        often = isinstance(event, Progress | Preparing)
        if not often or self._clock() - self._shown >= INTERVAL_SECONDS:
            self._shown = self._clock() if often else self._shown
            self._display.update(HTML(self.html()))

    def stopping(self) -> None:
        """Say so at the next event: nothing is shown in a signal handler."""
        self._note = STOPPING

    def html(self) -> str:
        """All of it."""
        run, running = self._started, self._running
        if run is None:
            return f"<p>{escape(printable(self._waiting))}</p>"
        columns = fitting(WIDE, self._metrics, probabilities=run.probabilities)
        rows = list(self._rows)
        bar = ""
        if running is not None:
            rows.append(cells(running, run.epochs, self._clock() - self._origin))
            left = duration(running.eta_seconds)
            bar = f'<p><progress value="{running.fraction:.4f}"></progress> {running.fraction:.0%}, {left} left</p>'
        facts = [f"{run.run}: {run.dataset}", f"{run.arch}, {run.device}, {run.precision}", *run.notes]
        lines = [html_table([column.title for column in columns], [[row.get(c.key, "-") for c in columns] for row in rows])]
        lines += [bar, *(f"<p>{escape(printable(text))}</p>" for text in (*self._alarms, self._note) if text), self._preview]
        return f"<p>{'<br>'.join(escape(printable(fact)) for fact in facts)}</p>{''.join(lines)}"
