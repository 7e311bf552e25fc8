"""What differs between operating systems: each function on this one, and as if names were missing."""

import errno
import os
import signal
from pathlib import Path

import pytest

from gancli.storage import system


def test_bytes_are_written_and_read_as_they_are(tmp_path):
    path = tmp_path / "x"
    descriptor = system.create(path)
    os.write(descriptor, b"a\n\x1a\r\n")
    os.close(descriptor)
    with pytest.raises(FileExistsError):
        system.create(path)
    descriptor = system.open_to_read(path)
    assert os.read(descriptor, 100) == b"a\n\x1a\r\n"
    os.close(descriptor)


@pytest.mark.parametrize("no_link", [system._NO_LINK, 0])
def test_a_link_is_refused_also_where_the_system_cannot(tmp_path, monkeypatch, no_link):
    monkeypatch.setattr(system, "_NO_LINK", no_link)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match="symbolic links") as raised:
        system.open_to_read(tmp_path / "link", follow=False)
    assert raised.value.errno == errno.ELOOP


def test_where_directories_cannot_be_synced_nothing_is_opened(monkeypatch):
    monkeypatch.setattr(system, "_DIRECTORY", None)
    system.sync_directory(Path("/no/such/place"))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_directories_is_no_failure(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", failing(number))
    system.sync_directory(tmp_path)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        system.sync_directory(tmp_path)


def test_a_file_that_is_open_elsewhere_is_waited_for(tmp_path, monkeypatch):
    calls, real = [], Path.replace

    def busy(path, target):
        calls.append(path)
        if len(calls) < 3:
            error = PermissionError(errno.EACCES, "Access is denied")
            error.winerror = system.IN_USE
            raise error
        real(path, target)

    monkeypatch.setattr(Path, "replace", busy)
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    system.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"


def test_what_may_not_be_renamed_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", failing(errno.EACCES))
    monkeypatch.setattr(system.time, "sleep", lambda _: pytest.fail("it waits"))
    with pytest.raises(PermissionError):
        system.replace(tmp_path / "new", tmp_path / "old")


def test_signals_that_this_system_has():
    assert system.STOP_SIGNALS[:2] == (signal.SIGINT, signal.SIGTERM)
    assert signal.SIGHUP in system.STOP_SIGNALS
    assert system.HANG_UP == signal.SIGHUP


def test_at_least_one_core_may_be_used(monkeypatch):
    assert system.usable_cores() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert system.usable_cores() >= 1


def failing(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail
