"""Progress in a notebook: the table of the epochs, a bar and the newest preview, below the cell that trains."""

from base64 import b64encode
from html import escape
from typing import Self

from IPython.display import HTML, display

from gancli.cli.live import TableConsole
from gancli.events import Event, Preparing, Progress, RunEnded
from gancli.text import duration, html_table, printable

INTERVAL_SECONDS = 0.5
WIDE = 1000  # characters of a line: all columns fit


class NotebookConsole(TableConsole):
    """One display of HTML, which is replaced as the training goes on. It needs no widgets."""

    _shown = float("-inf")

    def __enter__(self) -> Self:
        self._display = display(HTML(self.html()), display_id=True)
        return self

    def __call__(self, event: Event) -> None:
        """Show one event, now or half a second later."""
        super().__call__(event)
        if isinstance(event, RunEnded):
            self._running, self._note = None, f"{event.status}: {event.run}"
        often = isinstance(event, Progress | Preparing)
        if not often or self._clock() - self._shown >= INTERVAL_SECONDS:
            self._shown = self._clock() if often else self._shown
            self._display.update(HTML(self.html()))

    def html(self) -> str:
        """All of it."""
        run, running = self._started, self.running()
        if run is None:
            return f"<p>{escape(printable(self._waiting))}</p>"
        columns, rows = self.columns(WIDE), [*self._rows, *([running] if running else [])]
        facts = [f"{run.run}: {run.dataset}", f"{run.arch}, {run.device}, {run.precision}", *run.notes]
        parts = [f"<p>{'<br>'.join(escape(printable(fact)) for fact in facts)}</p>"]
        parts += [html_table([column.title for column in columns], [[row.get(c.key, "-") for c in columns] for row in rows])]
        if running:
            left = duration(self._end - self._clock())
            parts += [f'<p><progress value="{self._fraction:.4f}"></progress> {self._fraction:.0%}, {left} left</p>']
        parts += [f"<p>{escape(printable(text))}</p>" for text in (*self._alarms, self._note) if text]
        if self._preview:
            source = f"data:image/png;base64,{b64encode(self._preview.read_bytes()).decode()}"
            parts += [f'<img alt="preview" style="min-width: 16rem; image-rendering: pixelated" src="{source}">']
        return "".join(parts)
