"""Ctrl-C, SIGTERM and SIGHUP: a request that a training grants between two steps, and an interruption elsewhere."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Self

from gancli.storage.system import STOP_SIGNALS

# one Ctrl-C may arrive twice, through the terminal and through a parent such as `timeout`; a second one comes later
ECHO_SECONDS = 0.5


class Interrupted(KeyboardInterrupt):
    """A signal came where there was nothing to finish first."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


class Signals:
    """Within the block a signal interrupts, and is only remembered after :meth:`defer`.

    Nothing is saved inside a handler. A signal that the parent had ignored (`nohup`) stays ignored. The first one calls
    ``announce``; a second Ctrl-C calls ``abandon`` and ends the process at once.
    """

    def __init__(
        self,
        announce: Callable[[], None] = lambda: None,
        abandon: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        *,
        lasting: bool = False,
    ) -> None:
        self._announce, self._abandon, self._clock, self._lasting = announce, abandon, clock, lasting
        self._number, self._since, self._deferred = 0, 0.0, False
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        here = threading.current_thread() is threading.main_thread()  # Python handles signals in no other
        for number in STOP_SIGNALS if here else ():
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # one of several processes ends with a code of its own, and is hurried by a launcher that saw another one end
            signal.signal(number, signal.SIG_IGN if self._lasting and number == signal.SIGTERM else handler)

    def defer(self) -> None:
        """From now on a signal waits for the end of the step."""
        self._deferred = True

    def stop(self) -> int:
        """The number of the first signal that came, else 0."""
        return self._number

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if not self._deferred:
            raise Interrupted(number)
        if not self._number:
            self._number, self._since = number, self._clock()
            self._announce()
        elif number == signal.SIGINT and self._clock() - self._since > ECHO_SECONDS:
            self._abandon()
            os._exit(128 + number)
