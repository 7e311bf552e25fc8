"""Disks that are full, read-only or forbidden: real ones, as far as this machine lets tests have them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gancli.checkpoint.store import CheckpointStore
from gancli.errors import StorageError
from gancli.storage.disk import write_atomically
from gancli.storage.lock import run_lock

NOBODY = 65534


@contextmanager
def mounted(directory, options):
    """A small file system in memory."""
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "gancli-test", directory], capture_output=True, text=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mount.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """``options -> directory`` on a new file system."""
    if sys.platform != "linux":
        pytest.skip("tmpfs is Linux's")

    @contextmanager
    def small_disk(options):
        with mounted(tmp_path, options):
            yield tmp_path / "checkpoints"

    return small_disk


@pytest.fixture
def unprivileged():
    """Within the block this process may do what mode bits say, and no more: for root they mean nothing."""

    @contextmanager
    def unprivileged():
        if os.geteuid() != 0:
            yield
            return
        group = os.getegid()
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(group)

    return unprivileged


@pytest.fixture
def forbidden_directory():
    """A directory that may be read, but not written to, unless by root."""
    with TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "checkpoints").mkdir()
        yield directory
        directory.chmod(0o700)


def used_bytes(directory):
    status = os.statvfs(directory)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def test_F06_a_full_disk_keeps_the_last_checkpoint_and_gets_its_space_back(small_disk, save, files_of):
    with small_disk("size=1m") as directory:
        store = CheckpointStore(directory)
        save(store, 1)
        before = used_bytes(directory)
        big = {"weights.safetensors": bytes(700_000), "optim.safetensors": bytes(700_000)}
        with pytest.raises(StorageError, match="The disk is full") as raised:
            store.save(2, big, images_seen=0, facts={})
        assert "step-000000002" in raised.value.problem
        assert used_bytes(directory) == before
        assert store.load().files == files_of(1)
        save(store, 3)
        assert store.load().files == files_of(3)


def test_F06_too_little_room_is_known_before_the_first_step(small_disk):
    with small_disk("size=1m") as directory:
        store = CheckpointStore(directory)
        store.prepare(500_000)
        with pytest.raises(StorageError, match=r"A checkpoint needs 2\.0 MB, and 1\.0 MB are free"):
            store.prepare(2_000_000)
        assert list(directory.iterdir()) == []


def test_F07_no_inodes_are_left(small_disk, save, files_of):
    with small_disk("nr_inodes=9") as directory:
        store = CheckpointStore(directory)
        save(store, 1)
        with pytest.raises(StorageError, match="or no inodes, are left"):
            save(store, 2)
        assert store.load().files == files_of(1)
        assert sorted(path.name for path in directory.iterdir()) == ["step-000000001"]


def test_F08_a_limit_on_the_size_of_files(tmp_path, save, files_of):
    store = CheckpointStore(tmp_path)
    save(store, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # Python ignores SIGXFSZ, so that write() tells
    try:
        with pytest.raises(StorageError, match="File too large"):
            store.save(2, {"weights.safetensors": bytes(200_000)}, images_seen=0, facts={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.load().files == files_of(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000001"]


def test_F09_a_read_only_disk_is_known_before_the_first_step_and_can_be_read(small_disk, save, files_of):
    with small_disk("size=1m") as directory:
        store = CheckpointStore(directory)
        save(store, 1)
        subprocess.run(["mount", "-o", "remount,ro", directory.parent], check=True)
        for write in (store.prepare, lambda: save(store, 2), lambda: CheckpointStore(directory.parent / "new").prepare()):
            with pytest.raises(StorageError, match="read-only file system"):
                write()
        with pytest.raises(StorageError, match="read-only file system"), run_lock(directory.parent / "run.lock"):
            pass
        assert store.load().files == files_of(1)


def test_F10_no_permission(forbidden_directory, unprivileged, save, files_of):
    store = CheckpointStore(forbidden_directory / "checkpoints")
    save(store, 1)
    (forbidden_directory / "checkpoints").chmod(0o555)
    forbidden_directory.chmod(0o555)
    with unprivileged():
        for write in (store.prepare, lambda: save(store, 2), lambda: CheckpointStore(forbidden_directory / "new").prepare()):
            with pytest.raises(StorageError, match="Permission denied"):
                write()
        with pytest.raises(StorageError, match="Permission denied"), run_lock(forbidden_directory / "run.lock"):
            pass
        with pytest.raises(StorageError, match="Permission denied"):
            write_atomically(forbidden_directory / "run.json", b"{}")
        assert store.load().files == files_of(1)
        assert store.steps() == [1]


def test_F11_temporary_files_lie_beside_their_target(tmp_path, monkeypatch, save, files_of):
    """Elsewhere would be another file system, from which nothing can be renamed."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "not there"))
    save(CheckpointStore(tmp_path / "checkpoints"), 1)
    write_atomically(tmp_path / "run.json", b"{}", durable=True)
    assert CheckpointStore(tmp_path / "checkpoints").load().files == files_of(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "run.json"]


@pytest.fixture(scope="module")
def small_model(small_run):
    from gancli.models.loading import load

    return load(small_run)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt2", ".onnx"])
def test_F49_an_export_that_does_not_fit_keeps_the_old_one(small_disk, small_model, suffix):
    from gancli.exporting.formats import choose, export

    if suffix != ".safetensors":
        pytest.importorskip("gancli_onnx")
    with small_disk("size=8k") as directory:
        target = directory.with_name(f"generator{suffix}")
        target.write_bytes(b"precious")
        before = used_bytes(target.parent)
        with pytest.raises(StorageError, match="The disk is full"):
            export(small_model, target, choose(target))
        assert target.read_bytes() == b"precious"
        assert list(target.parent.iterdir()) == [target]
        assert used_bytes(target.parent) == before


def test_F49_a_folder_that_does_not_fit_leaves_nothing(small_disk, small_model):
    from gancli_hub.folder import write_folder

    with small_disk("size=32k") as directory:
        with pytest.raises(StorageError, match="The disk is full"):
            write_folder(small_model, directory)
        assert list(directory.parent.iterdir()) == []


def test_F49_an_export_to_a_read_only_disk_says_so(small_disk, small_model):
    from gancli.exporting.formats import choose, export
    from gancli_hub.folder import write_folder

    with small_disk("ro") as directory:
        target = directory.with_name("a.safetensors")
        for attempt in (
            lambda: export(small_model, target, choose(target)),
            lambda: write_folder(small_model, directory),
        ):
            with pytest.raises(StorageError, match="is on a read-only file system"):
                attempt()


def test_F49_an_export_without_permission_says_so(forbidden_directory, unprivileged, small_model):
    from gancli.exporting.formats import choose, export

    target = forbidden_directory / "a.safetensors"
    form = choose(target)  # plugins are found once, and may be where others cannot read
    with unprivileged(), pytest.raises(StorageError, match="Permission denied"):
        export(small_model, target, form)
