import os
import signal

import pytest

from gancli.cli.signals import ECHO_SECONDS, Interrupted, Signals
from gancli.storage.system import STOP_SIGNALS


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def calls(monkeypatch):
    """What was called, and the exit codes with which the process would have ended at once."""
    calls = []
    monkeypatch.setattr(os, "_exit", calls.append)
    return calls


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def signals(calls, clock):
    with Signals(lambda: calls.append("announced"), lambda: calls.append("abandoned"), clock) as signals:
        yield signals


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_before_there_is_anything_to_save_interrupts(signals, number, calls):
    with pytest.raises(Interrupted) as caught:
        send(number)
    assert (caught.value.number, signals.stop(), calls) == (number, 0, [])


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_later_it_is_remembered_and_announced(signals, number, calls):
    signals.defer()
    send(number)
    assert (signals.stop(), calls) == (number, ["announced"])


def test_F31_the_second_ctrl_c_leaves_at_once(signals, calls, clock):
    signals.defer()
    send(signal.SIGINT)
    clock.seconds += ECHO_SECONDS + 0.1
    send(signal.SIGINT)
    assert calls == ["announced", "abandoned", 130]


def test_F31_the_same_ctrl_c_may_arrive_twice(signals, calls):
    signals.defer()
    send(signal.SIGINT)
    send(signal.SIGINT)
    assert calls == ["announced"]


def test_F30_a_second_sigterm_or_sighup_changes_nothing(signals, calls, clock):
    signals.defer()
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP):
        send(number)
        clock.seconds += 60
    assert (signals.stop(), calls) == (signal.SIGTERM, ["announced"])


def test_ctrl_c_after_sigterm_leaves_at_once(signals, calls, clock):
    signals.defer()
    send(signal.SIGTERM)
    clock.seconds += 1
    send(signal.SIGINT)
    assert calls == ["announced", "abandoned", 130]


def test_the_former_handlers_come_back():
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with Signals(print, print):
        assert [signal.getsignal(number) for number in STOP_SIGNALS] != before
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


@pytest.mark.usefixtures("calls")
def test_F32_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals(print, print) as signals:
            signals.defer()
            send(signal.SIGHUP)
            assert signals.stop() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
