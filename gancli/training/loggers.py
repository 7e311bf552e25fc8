"""The thread of a logger: a slow or failing one never holds up a training. The known ones are in gancli-loggers."""

from __future__ import annotations

from contextlib import suppress
from queue import Full, Queue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gancli.plugin import Event, Logger

MOST_WAITING = 10_000  # events that may wait for a slow logger
PATIENCE_SECONDS = 60.0  # how long the end of a run waits for a logger to finish


class Background:
    """Passes events to a logger in a thread of its own: whatever it does, training goes on at its own pace."""

    def __init__(self, name: str, logger: Logger) -> None:
        self._name, self._logger = name, logger
        self._waiting: Queue[Event | None] = Queue(MOST_WAITING)
        self._problem, self._reported = "", False
        self._thread = Thread(target=self._work, name=f"logger {name}", daemon=True)  # one that hangs is left behind
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Pass an event on, unless the logger has failed."""
        if not self._problem:
            try:
                self._waiting.put_nowait(event)
            except Full:
                self._problem = f"it is {MOST_WAITING:,} events behind"

    def problem(self) -> str:
        """What has gone wrong, once, as a sentence; empty if nothing has."""
        if not self._problem or self._reported:
            return ""
        self._reported = True
        return f"The logger '{self._name}' gets nothing more: {self._problem}. Training goes on without it."

    def close(self) -> None:
        """Let the logger finish what waits, for a minute at most."""
        with suppress(Full):
            if self._thread.is_alive():
                self._waiting.put(None, timeout=PATIENCE_SECONDS)
                self._thread.join(PATIENCE_SECONDS)
        if self._thread.is_alive():
            self._problem = self._problem or f"it has not finished within {PATIENCE_SECONDS:.0f} seconds"

    def _work(self) -> None:
        def log_all() -> None:
            while (event := self._waiting.get()) is not None:
                self._logger.log(event)

        for work in (log_all, self._logger.close):
            try:
                work()
            except BaseException as error:  # noqa: BLE001  (a plugin may raise anything, SystemExit included)
                self._problem = self._problem or f"{type(error).__name__}: {error}".rstrip(".: ")
