"""One run directory, one writer, and nothing stale."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from platform import node
from threading import Event, Thread

import pytest

from gancli.errors import RunBusyError, StorageError
from gancli.storage.lock import is_abandoned, run_lock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.lock"


def assert_busy(path, match=None):
    with pytest.raises(RunBusyError, match=match), run_lock(path):
        pass


def test_it_is_free_after_the_block_and_leaves_the_words(path):
    for _ in range(3):
        with run_lock(path):
            assert_busy(path, f"Process {os.getpid()} on")
    assert str(os.getpid()) in path.read_text()


def test_it_is_free_after_an_error_in_the_block(path):
    with pytest.raises(KeyError), run_lock(path):
        raise KeyError
    with run_lock(path):
        pass


@pytest.mark.parametrize("words", [b"", b"{", b'{"pid": "\\u001b[2J", "host": 7}', b"\xff" * 10_000, b"[]"])
def test_any_words_of_the_holder_are_bearable(path, words):
    path.write_bytes(words)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunBusyError) as raised, run_lock(path):
            pass
    assert raised.value.problem.startswith("Process ")
    assert str(raised.value).isprintable()


def test_words_that_were_longer_are_replaced(path):
    path.write_bytes(b"x" * 1000)
    with run_lock(path):
        assert_busy(path, f"Process {os.getpid()} on")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_refused(path, monkeypatch, number):
    monkeypatch.setattr(fcntl, "flock", failing(number))
    with pytest.raises(StorageError, match=r"has no file locks .* Choose a directory on a local disk"), run_lock(path):
        pass


def test_other_failures_are_explained_and_leave_no_descriptor(path, monkeypatch):
    before = len([*Path("/dev/fd").iterdir()])
    monkeypatch.setattr(fcntl, "flock", failing(errno.EIO))
    with pytest.raises(StorageError, match="Input/output error"), run_lock(path):
        pass
    assert len([*Path("/dev/fd").iterdir()]) == before


def test_a_full_disk_is_explained_and_frees_the_lock(path, monkeypatch):
    monkeypatch.setattr(os, "ftruncate", failing(errno.ENOSPC))
    with pytest.raises(StorageError, match="disk is full"), run_lock(path):
        pass
    monkeypatch.undo()
    with run_lock(path):
        pass


def test_a_look_at_the_lock_keeps_nobody_from_taking_it(path):
    path.write_text(json.dumps({"pid": 1, "host": node()}))
    stop = Event()
    looking = Thread(target=lambda: all(is_abandoned(path) or True for _ in iter(stop.is_set, True)))
    looking.start()
    try:
        for _ in range(50):
            with run_lock(path):
                pass
    finally:
        stop.set()
        looking.join()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"pid": 1, "host": node()}, True),
        ({"pid": 1, "host": "elsewhere"}, False),
        ([], False),
    ],
)
def test_only_a_process_of_this_machine_is_known_to_be_gone(path, words, expected):
    path.write_text(json.dumps(words))
    assert is_abandoned(path) is expected


def test_a_link_is_not_followed(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="symbolic links"), run_lock(path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def failing(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail
