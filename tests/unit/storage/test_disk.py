"""The primitives on a real disk, and the words for every way in which they fail."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from gancli.errors import StorageError
from gancli.storage.disk import (
    DISK,
    Storage,
    explain,
    make_directories,
    remove,
    remove_leftovers,
    replacing,
    write_atomically,
    write_file,
)


class Recorder(Storage):
    """Remembers what was done, and by name to what."""

    def __init__(self):
        self.log = []
        self.names = {}

    def create(self, path):
        descriptor = super().create(path)
        self.names[descriptor] = "scratch" if path.name.startswith(".tmp-") else path.name
        return descriptor

    def write(self, descriptor, data):
        self.log.append(f"write {self.names[descriptor]}")
        super().write(descriptor, data)

    def fsync(self, descriptor):
        self.log.append(f"fsync {self.names[descriptor]}")
        super().fsync(descriptor)

    def mkdir(self, path):
        self.log.append(f"mkdir {path.name}")
        super().mkdir(path)

    def fsync_dir(self, path):
        self.log.append(f"fsync_dir {path.name}")
        super().fsync_dir(path)

    def rename(self, source, target):
        self.log.append(f"rename to {target.name}")
        super().rename(source, target)


def test_an_atomic_write_replaces_the_old_content(tmp_path):
    path = tmp_path / "run.json"
    for content in (b"old", b"", b"new" * 100_000):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_an_atomic_write_has_the_mode_that_the_umask_leaves(tmp_path):
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "run.json", b"{}")
    finally:
        os.umask(old)
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("durable", "log"),
    [
        (False, ["write scratch", "rename to run.json"]),
        (True, ["write scratch", "fsync scratch", "rename to run.json", "fsync_dir here"]),
    ],
)
def test_the_order_of_an_atomic_write(tmp_path, durable, log):
    storage = Recorder()
    (tmp_path / "here").mkdir()
    write_atomically(tmp_path / "here" / "run.json", b"{}", storage, durable=durable)
    assert storage.log == log


def test_an_atomic_write_replaces_a_link_and_not_what_it_points_to(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (tmp_path / "link").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("directory", "'.*directory' is a directory where a file is needed"),
        ("not/there", "does not exist"),
        ("file/below", "A part of '.*file/below' is a file"),
        ("n" * 300, "too long"),
    ],
)
def test_a_target_that_cannot_be_one(tmp_path, name, message):
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    if len(name) > 255:
        name = f"{name}/file"
    with pytest.raises(StorageError, match=message):
        write_atomically(tmp_path / name, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["directory", "file"]


def test_an_interrupted_write_leaves_nothing(tmp_path):
    class Interrupted(Storage):
        def write(self, descriptor, data):
            super().write(descriptor, data[:1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "run.json", b"{}", Interrupted())
    assert list(tmp_path.iterdir()) == []


def test_short_writes_are_continued(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    write_file(tmp_path / "file", bytes(range(100)), durable=True)
    monkeypatch.undo()
    assert (tmp_path / "file").read_bytes() == bytes(range(100))


def test_a_file_that_is_there_is_never_written_over(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "file", b"new", durable=False)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "link", b"new", durable=False)
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.fixture
def at_once():
    """The test fails if it is not done after five seconds."""

    def too_late(*_):
        raise TimeoutError

    old = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(5)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.mark.usefixtures("at_once")
def test_reading_waits_for_nothing_and_follows_no_link(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    DISK.close(DISK.open(tmp_path / "fifo"))
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    with pytest.raises(OSError, match="symbolic link"):
        DISK.open(tmp_path / "link")


def test_directories_are_made_durably_one_after_the_other(tmp_path):
    storage = Recorder()
    (tmp_path / "there").mkdir()
    make_directories(tmp_path / "there" / "runs" / "x", storage)
    assert storage.log == [f"fsync_dir {tmp_path.name}", "mkdir runs", "fsync_dir there", "mkdir x", "fsync_dir runs"]
    make_directories(tmp_path / "there" / "runs" / "x", storage)
    assert storage.log[5:] == ["fsync_dir runs"]


def test_directories_are_made_below_one_whose_parent_may_not_be_read(tmp_path):
    class Private(Storage):
        def fsync_dir(self, path):
            if path == tmp_path:
                raise PermissionError(errno.EACCES, "Permission denied")
            super().fsync_dir(path)

    (tmp_path / "home").mkdir()
    make_directories(tmp_path / "home" / "runs", Private())
    assert (tmp_path / "home" / "runs").is_dir()


def test_directories_are_made_relative_to_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_directories(Path("runs/x"))
    assert (tmp_path / "runs" / "x").is_dir()


def test_a_file_system_that_cannot_sync_directories_is_accepted(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(Storage, "fsync", staticmethod(refuse))
    DISK.fsync_dir(tmp_path)
    with pytest.raises(OSError, match="Invalid argument"):
        write_file(tmp_path / "file", b"", durable=True)


def test_removing_never_follows_a_link(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    trash = tmp_path / ".trash-1"
    (trash / "deep" / "deeper").mkdir(parents=True)
    (trash / "deep" / "file").touch()
    (trash / "link").symlink_to(precious)
    (tmp_path / ".tmp-link").symlink_to(precious)
    (tmp_path / "kept.tmp-1").touch()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.tmp-1", "precious"]
    assert (precious / "file").exists()


def test_removing_what_is_not_there_is_done_already(tmp_path):
    remove(tmp_path / "nothing")
    remove_leftovers(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, r"disk is full: no space, or no inodes, are left for 'runs/x'.*df -h.*df -i"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "'runs/x' is on a read-only file system"),
        (errno.EACCES, "Permission denied for 'runs/x'"),
        (errno.EPERM, "Permission denied for 'runs/x'"),
        (errno.EIO, "cannot be used: Input/output error"),
        (errno.EFBIG, "cannot be used: File too large"),
        (errno.EMFILE, "cannot be used: Too many open files"),
        (errno.ENFILE, "cannot be used: Too many open files in system"),
        (errno.ENAMETOOLONG, "too long"),
        (errno.ENOENT, "'runs/x' does not exist"),
        (errno.EEXIST, "'runs/x' is already there"),
        (errno.ENOTEMPTY, "'runs/x' is already there"),
        (errno.ENOTDIR, "is a file where a directory is needed"),
        (errno.EISDIR, "is a directory where a file is needed"),
        (errno.ELOOP, "symbolic links"),
        (errno.ESTALE, "'runs/x' cannot be used: Stale file handle"),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)
def test_every_failure_is_explained(number, words):
    error = explain(OSError(number, os.strerror(number)), Path("runs/x"))
    assert error.exit_code == 6
    with pytest.raises(StorageError, match=words):
        raise error
    for sentence in (error.problem, error.remedy):
        assert sentence.endswith(".")
        assert sentence.isprintable()


def test_a_failure_without_a_number_is_explained():
    assert explain(OSError("odd"), Path("x{y}")).problem == "'x{y}' cannot be used: odd."


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "x.npz").mkdir()
    (tmp_path / "x.npz" / "precious").touch()
    with pytest.raises(StorageError, match="is a directory where a file is needed"), replacing(tmp_path / "x.npz") as scratch:
        scratch.touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["x.npz", "precious"]
