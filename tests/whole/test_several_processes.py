"""What other processes see of locks and descriptors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from platform import node

import pytest

from gancli.errors import RunBusyError
from gancli.storage.disk import DISK
from gancli.storage.lock import is_abandoned, run_lock


def test_descriptors_are_not_inherited(tmp_path):
    descriptor = DISK.create(tmp_path / "file")
    other = DISK.open(tmp_path / "file")
    program = f"import os; print([n for n in ({descriptor}, {other}) if os.path.exists(f'/dev/fd/{{n}}')])"
    done = subprocess.run([sys.executable, "-c", program], close_fds=False, capture_output=True, text=True, check=True)
    DISK.close(descriptor)
    DISK.close(other)
    assert done.stdout == "[]\n"


HOLD = """
import os, subprocess, sys, time
from pathlib import Path
from gancli.storage.lock import run_lock

with run_lock(Path(sys.argv[1])):
    {meanwhile}
    print("held", flush=True)
    time.sleep(60)
"""

FORKED_CHILD = """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, b"alive")
        time.sleep(60)
    os.read(reading, 5)
    print(child, flush=True)
"""
STARTED_PROGRAM = """
    print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False).pid, flush=True)
"""
CHILD_THAT_LEAVES_THE_BLOCK = """
    if not os.fork():
        sys.exit()  # through the end of the with block
    os.wait()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.lock"


@contextmanager
def holder(path, meanwhile="pass"):
    """Another process that holds the lock: the process, and what it printed before."""
    program = HOLD.format(meanwhile=meanwhile)
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True) as process:
        said = []
        try:
            while (line := process.stdout.readline().strip()) != "held":
                assert line, "it ended"
                said.append(line)
            yield process, said
        finally:
            process.kill()


def assert_busy(path, match=None):
    with pytest.raises(RunBusyError, match=match), run_lock(path):
        pass


def test_the_second_process_is_told_at_once_who_holds_it(path):
    with holder(path) as (process, _):
        start = time.monotonic()
        assert_busy(path, rf"Process {process.pid} on {node()}, since 20\d\d-.*\+00:00, trains in '{path.parent}'\. Only one")
        assert time.monotonic() - start < 20, "it did not wait for the holder, who stays for a minute"


def test_it_is_free_right_after_kill_9(path):
    with holder(path) as (process, _):
        process.kill()
        process.wait()
        with run_lock(path):
            pass


@pytest.mark.parametrize("meanwhile", [FORKED_CHILD, STARTED_PROGRAM], ids=["forked child", "started program"])
def test_it_is_free_right_after_kill_9_while_a_child_lives(path, meanwhile):
    with holder(path, meanwhile) as (process, said):
        child = int(said[0])
        try:
            assert_busy(path)
            process.kill()
            process.wait()
            os.kill(child, 0)
            with run_lock(path):
                pass
        finally:
            os.kill(child, signal.SIGKILL)
            process.stdout.close()


def test_a_child_that_leaves_the_block_takes_nothing_from_its_parent(path):
    with holder(path, CHILD_THAT_LEAVES_THE_BLOCK) as (process, _):
        assert_busy(path, f"Process {process.pid} on")


def test_a_lock_is_abandoned_when_its_process_is_gone(path):
    assert not is_abandoned(path)
    with holder(path) as (process, _):
        assert not is_abandoned(path)
        process.kill()
        process.wait()
        assert is_abandoned(path)
    assert not path.with_name("missing").exists()
