"""H1: every operation on the disk fails, one after the other; then the disk works again and the truth is looked at.

For each scenario, each fault and each k: the k-th operation fails, once or with all later ones, or the process ends
there. Afterwards a real load gives a complete checkpoint of the expected steps, and the next save works.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from gancli.checkpoint.manifest import MANIFEST
from gancli.checkpoint.store import CheckpointStore
from gancli.errors import GancliError, StorageError
from gancli.storage.disk import write_atomically

FAULTS = ["ENOSPC", "EIO", "EACCES", "EROFS", "EMFILE"]
CASES = [(fault, forever) for fault in FAULTS for forever in (False, True)] + [("exit", True)]
IDS = [f"{fault}-{'for-ever' if forever else 'once'}" for fault, forever in CASES]


@pytest.fixture(params=CASES, ids=IDS)
def fail_at(request, failing):
    """``k -> storage`` whose k-th operation fails."""
    fault, forever = request.param
    number = failing.ProcessExit if fault == "exit" else getattr(errno, fault)
    return lambda k: failing.FailingStorage(k, number, forever=forever)


@pytest.fixture
def outcomes(fail_at, failing, tmp_path):
    """``(prepare, act)`` -> for every k: the directory, the storage, and what ``act`` returned or raised."""

    def outcomes(prepare, act):
        for k in range(1, 1000):
            directory = tmp_path / str(k)
            prepare(directory)
            storage = fail_at(k)
            before = open_descriptors()
            try:
                result = act(directory, storage)
            except (GancliError, failing.ProcessExit) as error:
                result = error
            assert open_descriptors() == before
            if not storage.fired:
                assert k > 10
                return
            yield directory, storage, result
        pytest.fail("the scenario never ends")

    return outcomes


def open_descriptors():
    return len([*Path("/dev/fd").iterdir()])


def leftovers(directory):
    return (
        [path.name for path in directory.iterdir() if path.name.startswith((".tmp-", ".trash-"))] if directory.exists() else []
    )


@pytest.fixture
def saved(save, failing):
    """``steps`` -> a function that saves them into a directory."""
    return lambda *steps: (
        lambda directory: [save(CheckpointStore(directory, failing.UnsyncedStorage()), step) for step in steps]
    )


@pytest.fixture
def assert_sound(files_of, save, failing):
    """Every visible step is complete and one of ``expected``; the next save works and nothing else is left."""

    def assert_sound(directory, *expected):
        store = CheckpointStore(directory, failing.UnsyncedStorage())
        assert set(store.steps()) in [set(steps) for steps in expected]
        assert all(store.load(step).files == files_of(step) for step in store.steps())
        store.clean()
        save(store, 9)
        assert store.load().files == files_of(9)
        assert {path.name for path in directory.iterdir()} == {store.path(step).name for step in store.steps()}

    return assert_sound


@pytest.mark.parametrize("earlier", [(), (1,), (1, 2)], ids=str)
def test_F02_save_fails_at_every_operation(outcomes, saved, save, assert_sound, earlier):
    def act(directory, storage):
        return save(CheckpointStore(directory, storage), 3)

    for directory, storage, result in outcomes(saved(*earlier), act):
        if not storage.forever:
            assert leftovers(directory) == []
        if isinstance(result, Exception):
            assert isinstance(result, StorageError)
            assert_sound(directory, earlier, (*earlier, 3))
        elif isinstance(result, BaseException):
            assert_sound(directory, earlier, (*earlier, 3))
        else:
            assert_sound(directory, (*earlier, 3))


def test_F02_saving_what_is_saved_already_fails_at_every_operation(outcomes, saved, save, assert_sound):
    for directory, _, result in outcomes(saved(1, 2), lambda directory, storage: save(CheckpointStore(directory, storage), 2)):
        assert not isinstance(result, Exception) or isinstance(result, StorageError)
        assert_sound(directory, (1, 2))


def test_F13_replacing_a_corrupt_step_fails_at_every_operation(outcomes, saved, save, files_of, failing):
    def prepare(directory):
        saved(1, 2)(directory)
        (directory / "step-000000002" / "state.json").write_bytes(b"X")

    for directory, _, result in outcomes(prepare, lambda directory, storage: save(CheckpointStore(directory, storage), 2)):
        store = CheckpointStore(directory, failing.UnsyncedStorage())
        assert store.load(1).files == files_of(1)
        if not isinstance(result, BaseException):
            assert store.load().files == files_of(2)
        store.clean()
        save(store, 2)
        assert store.load().files == files_of(2)


def test_F47_prune_fails_at_every_operation(outcomes, saved, assert_sound):
    for directory, _, result in outcomes(
        saved(1, 2, 3), lambda directory, storage: CheckpointStore(directory, storage).prune(1)
    ):
        if isinstance(result, BaseException):
            assert not isinstance(result, Exception) or isinstance(result, StorageError)
            assert_sound(directory, (1, 2, 3), (2, 3), (1, 3), (3,))
        else:
            assert result == [1, 2]
            assert_sound(directory, (3,))


def test_F02_cleaning_and_preparing_fail_at_every_operation(outcomes, saved, assert_sound):
    def prepare(directory):
        saved(1)(directory)
        for name in (".tmp-2-0123abcd", ".trash-0-0123abcd"):
            (directory / name).mkdir()
            (directory / name / MANIFEST).write_bytes(b"{}")

    for directory, _, result in outcomes(prepare, lambda directory, storage: CheckpointStore(directory, storage).prepare()):
        if isinstance(result, Exception):
            assert isinstance(result, StorageError)
        elif result is None:
            assert leftovers(directory) == []
        assert_sound(directory, (1,))


def test_F05_load_fails_at_every_operation_and_never_lies(outcomes, saved, files_of):
    for _, _, result in outcomes(saved(1, 2), lambda directory, storage: CheckpointStore(directory, storage).load()):
        if isinstance(result, Exception):
            assert isinstance(result, StorageError)
        elif not isinstance(result, BaseException):
            assert result.files == files_of(2)


@pytest.mark.parametrize("durable", [False, True])
def test_F02_an_atomic_write_fails_at_every_operation(fail_at, failing, tmp_path, durable):
    for k in range(1, 100):
        path = tmp_path / str(k) / "run.json"
        path.parent.mkdir()
        path.write_bytes(b"old")
        storage = fail_at(k)
        done = False
        try:
            write_atomically(path, b"new", storage, durable=durable)
            done = True
        except (StorageError, failing.ProcessExit):
            pass
        assert path.read_bytes() in ([b"new"] if done else [b"old", b"new"])
        if not storage.forever:
            assert leftovers(path.parent) == []
        if not storage.fired:
            assert k > 4
            return
    pytest.fail("the write never ends")


@pytest.mark.parametrize("operation", ["fsync", "fsync_dir"])
def test_F05_a_failed_sync_is_never_tried_again(failing, save, saved, tmp_path, operation):
    """The kernel forgets the error after having told it once: a second call would succeed without the data."""

    class Recording(failing.FailingStorage):
        def step(self, name):
            self.failed_after = getattr(self, "failed_after", None)
            if self.failed_after is not None:
                self.failed_after.append(name)
            elif name == operation:
                self.failed_after = []
                raise OSError(errno.EIO, "Input/output error")

    saved(1)(tmp_path)
    storage = Recording(10**9, errno.EIO)
    with pytest.raises(StorageError, match="Input/output error"):
        save(CheckpointStore(tmp_path, storage), 2)
    assert not {"fsync", "fsync_dir", "write", "rename"} & set(storage.failed_after)


def test_F05_a_failing_clean_up_does_not_hide_why_saving_failed(failing, save, tmp_path):
    class Dying(failing.UnsyncedStorage):
        def fsync(self, _descriptor):
            raise OSError(errno.EIO, "Input/output error")

        def unlink(self, _path):
            raise OSError(errno.EROFS, "Read-only file system")

    with pytest.raises(StorageError, match="Input/output error"):
        save(CheckpointStore(tmp_path, Dying()), 1)
