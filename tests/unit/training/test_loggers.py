"""The thread of a logger."""

from threading import Event

from gancli.plugin import Logger
from gancli.training import loggers
from gancli.training.loggers import Background


class Kept(Logger):
    def __init__(self, fails_at=None, wait=None):
        self.seen, self.closed, self.fails_at, self.wait = [], False, fails_at, wait

    def log(self, event):
        if self.wait:
            self.wait.wait(10)
        if event == self.fails_at:
            raise ValueError("no room")
        self.seen.append(event)

    def close(self):
        self.closed = True


def test_events_arrive_in_order_and_then_it_is_closed():
    kept = Kept()
    logger = Background("kept", kept)
    for number in range(100):
        logger(number)
    logger.close()
    assert (kept.seen, kept.closed, logger.problem()) == (list(range(100)), True, "")
    logger.close()


def test_a_failure_is_reported_once_and_it_gets_nothing_more():
    kept = Kept(fails_at=2)
    logger = Background("kept", kept)
    for number in range(5):
        logger(number)
    logger.close()
    assert kept.seen == [0, 1]
    assert kept.closed
    assert logger.problem() == "The logger 'kept' gets nothing more: ValueError: no room. Training goes on without it."
    assert logger.problem() == ""


def test_nobody_waits_for_a_logger_that_hangs(monkeypatch):
    monkeypatch.setattr(loggers, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(loggers, "MOST_WAITING", 3)
    go_on = Event()
    logger = Background("kept", Kept(wait=go_on))
    for number in range(10):
        logger(number)
    logger.close()
    assert "3 events behind" in logger.problem()
    go_on.set()
