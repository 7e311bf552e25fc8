"""All checkpoints of a run: what is saved, chosen, verified, pruned and said."""

from __future__ import annotations

import errno
import os
from contextlib import nullcontext

import pytest

from gancli.checkpoint.manifest import Manifest, read_checkpoint
from gancli.checkpoint.store import CheckpointStore
from gancli.errors import CheckpointError, RunError, StorageError
from gancli.storage.disk import Storage


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "x" / "checkpoints")


def files(step, **changes):
    return {"weights.safetensors": bytes([step]) * 100, "state.json": b"{}", **changes}


def save(store, *steps):
    for step in steps:
        saved = store.save(step, files(step), images_seen=step * 128, facts={"architecture": "dense"})
    return saved


def names(store):
    return sorted(path.name for path in store.directory.iterdir())


def test_what_is_saved_is_loaded(store):
    saved = save(store, 50)
    checkpoint = store.load()
    assert checkpoint.step == saved.step == 50
    assert checkpoint.path == saved.path == store.directory / "step-000000050"
    assert checkpoint.files == files(50)
    assert checkpoint.manifest.images_seen == 6400
    assert checkpoint.manifest.facts == {"architecture": "dense"}
    assert checkpoint.state_digest == saved.state_digest
    assert names(store) == ["step-000000050"]
    assert names(CheckpointStore(saved.path)) == ["manifest.json", "state.json", "weights.safetensors"]


def test_the_newest_is_the_one_of_the_highest_number(store):
    save(store, 1, 2)
    os.utime(store.path(1))
    assert store.load().step == 2


def test_steps_are_ordered_by_number(store):
    save(store, 10, 9, 100, 1)
    for step in (1_234_567_890, 999_999_999):
        store.save(step, {}, images_seen=0, facts={})
    assert store.steps() == [1, 9, 10, 100, 999_999_999, 1_234_567_890]
    assert store.latest() == 1_234_567_890


def test_the_order_of_a_save(store):
    class Recorder(Storage):
        def __init__(self):
            self.log, self.names = [], {}

        def create(self, path):
            descriptor = super().create(path)
            self.names[descriptor] = path.name
            return descriptor

        def write(self, descriptor, data):
            if not self.names[descriptor].startswith("."):
                self.log.append(f"write {self.names[descriptor]}")
            super().write(descriptor, data)

        def fsync(self, descriptor):
            self.log.append(f"fsync {self.names[descriptor]}")
            super().fsync(descriptor)

        def fsync_dir(self, path):
            self.log.append(f"fsync_dir {path.name.split('-')[0]}")
            super().fsync_dir(path)

        def rename(self, source, target):
            self.log.append(f"rename to {target.name}")
            super().rename(source, target)

    save(store, 1)
    recorder = Recorder()
    save(CheckpointStore(store.directory, recorder), 2)
    assert recorder.log == [
        "write weights.safetensors",
        "fsync weights.safetensors",
        "write state.json",
        "fsync state.json",
        "write manifest.json",
        "fsync manifest.json",
        "fsync_dir .tmp",
        "rename to step-000000002",
        "fsync_dir checkpoints",
    ]


def test_only_what_was_asked_for_is_kept_and_everything_is_verified(store):
    save(store, 1)
    assert store.load(names=["state.json"]).files == {"state.json": b"{}"}
    assert store.load(names=()).files == {}
    (store.path(1) / "weights.safetensors").write_bytes(bytes(100))
    with pytest.raises(CheckpointError, match=r"weights\.safetensors' is not what was saved: its SHA-256 is"):
        store.load(names=["state.json"])


def test_a_file_that_was_never_saved_is_named(store):
    save(store, 1, 2)
    with pytest.raises(CheckpointError, match=r"has no ema\.safetensors\. It has state\.json, weights\.safetensors\.$"):
        store.load(names=["ema.safetensors"])


def test_a_chosen_step(store):
    save(store, 1, 5, 9)
    assert store.load(5).step == 5
    with pytest.raises(RunError, match=r"There is no checkpoint of step 6 in '.*'\. The nearest is step 5\.") as raised:
        store.load(6)
    assert not isinstance(raised.value, CheckpointError)


def test_no_checkpoint_at_all(store):
    assert store.steps() == []
    assert store.latest() is None
    assert store.newest_intact() is None
    store.clean()
    for step in (None, 5):
        with pytest.raises(RunError, match="There is no checkpoint in"):
            store.load(step)
    with pytest.raises(RunError, match=r"There is no checkpoint '.*nowhere'"):
        read_checkpoint(store.directory / "nowhere")


def test_a_file_is_no_checkpoint(tmp_path):
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"is a file\. A checkpoint is a directory with a manifest\.json"):
        read_checkpoint(tmp_path / "model.safetensors")


def test_the_remedy_names_the_newest_intact_step(store):
    save(store, 1, 2, 3, 4)
    for step in (3, 4):
        (store.path(step) / "state.json").write_bytes(b"[]")
    with pytest.raises(CheckpointError, match=rf"The newest intact one is step 2; take it with --checkpoint {store.path(2)}$"):
        store.load()
    with pytest.raises(CheckpointError, match="newest intact one is step 2"):
        store.load(3)
    assert store.newest_intact() == 2


def test_nothing_intact(store):
    save(store, 1)
    (store.path(1) / "state.json").write_bytes(b"[]")
    with pytest.raises(CheckpointError, match=r"No checkpoint in '.*' is intact: restore one from a backup, or train anew\.$"):
        store.load()


def test_saving_the_same_state_again_changes_nothing(store):
    first = save(store, 1, 2)
    before = (store.path(2) / "manifest.json").stat()
    again = store.save(2, files(2), images_seen=256, facts={"elapsed_seconds": 7.5})
    assert again == first
    assert (store.path(2) / "manifest.json").stat().st_mtime_ns == before.st_mtime_ns


def test_saving_another_state_as_the_same_step_is_refused(store):
    save(store, 1)
    with pytest.raises(CheckpointError, match=r"is already there and holds another state.*remove the later steps first"):
        store.save(1, files(2), images_seen=0, facts={})
    assert store.load().files == files(1)
    assert names(store) == ["step-000000001"]


@pytest.mark.parametrize("what", ["rotten", "no manifest", "empty", "another step", "file", "link to nothing"])
def test_what_cannot_be_loaded_makes_way(store, what):
    save(store, 1, 2)
    path = store.path(2)
    match what:
        case "rotten":
            (path / "weights.safetensors").write_bytes(bytes(100))
        case "no manifest":
            (path / "manifest.json").unlink()
        case "empty":
            path.rename(path.with_name("elsewhere"))
            path.mkdir()
        case "another step":
            store.discard([2])
            store.path(1).rename(path)
        case "file":
            store.discard([2])
            path.touch()
        case "link to nothing":
            store.discard([2])
            path.symlink_to("nothing")
    save(store, 2)
    assert store.load().files == files(2)
    assert not [name for name in names(store) if name.startswith(".")]


def test_pruning_keeps_the_newest_and_the_protected(store):
    save(store, 1, 2, 3, 4, 5)
    (store.directory / "step-000000006").mkdir()
    (store.directory / ".tmp-7-0123abcd").mkdir()
    assert store.prune(2, protect=[1]) == [2, 3]
    assert store.steps() == [1, 4, 5]
    assert store.prune(2, protect=[1]) == []
    assert store.prune(1) == [1, 4]
    assert store.prune(99) == []
    assert names(store) == [".tmp-7-0123abcd", "step-000000005", "step-000000006"]


def test_the_newest_is_never_pruned(store):
    with pytest.raises(ValueError, match="keep=0: the newest checkpoint is never pruned"):
        store.prune(0)


def test_later_steps_are_discarded_on_request(store):
    save(store, 1, 2, 3)
    store.discard([])
    store.discard([2, 3])
    assert store.steps() == [1]


@pytest.mark.parametrize("litter", [".DS_Store", "._state.json", ".nfs000000000012", "desktop.ini", "Thumbs.db"])
def test_what_an_operating_system_leaves_in_a_checkpoint_is_no_damage(store, litter):
    save(store, 1, 2)
    (store.path(2) / litter).write_bytes(b"x")
    assert (store.load().step, store.newest_intact()) == (2, 2)
    store.discard([2])
    assert store.steps() == [1]


@pytest.mark.parametrize(("error", "goes_on"), [(errno.EBUSY, True), (errno.ENOTEMPTY, True), (errno.EACCES, False)])
def test_a_checkpoint_that_somebody_reads_is_pruned_another_time(tmp_path, error, goes_on):
    class Busy(Storage):
        def rename(self, source, target):
            if target.name.startswith(".trash-000000001"):
                raise OSError(error, os.strerror(error))
            super().rename(source, target)

    store = CheckpointStore(tmp_path / "checkpoints", Busy())
    save(store, 1, 2, 3)
    with nullcontext() if goes_on else pytest.raises(StorageError):
        assert store.prune(1) == []
    assert CheckpointStore(store.directory).prune(1) == [1, 2]


def test_cleaning_removes_only_what_is_unfinished(store, tmp_path):
    save(store, 1)
    for name in (".tmp-2-0123abcd", ".trash-1-0123abcd"):
        (store.directory / name).mkdir()
        (store.directory / name / "weights.safetensors").touch()
    (store.directory / ".tmp-0123456789abcdef").touch()
    (store.directory / "notes.txt").touch()
    (store.directory / ".tmp-link").symlink_to(tmp_path)
    store.clean()
    assert names(store) == ["notes.txt", "step-000000001"]
    assert tmp_path.exists()


def test_preparing_makes_the_directory_and_leaves_nothing_in_it(store):
    store.prepare(1000)
    assert names(store) == []
    with pytest.raises(StorageError, match=r"A checkpoint needs 1,000,000,000,000\.0 MB"):
        store.prepare(10**18)


def test_a_place_that_cannot_be_a_directory(tmp_path):
    (tmp_path / "file").touch()
    store = CheckpointStore(tmp_path / "file" / "checkpoints")
    for attempt in (store.prepare, lambda: save(store, 1)):
        with pytest.raises(StorageError, match="is a file where a directory is needed"):
            attempt()


@pytest.mark.parametrize("name", ["../state.json", "manifest.json", "a/b", ""])
def test_a_name_that_could_not_be_read_again_is_not_written(store, name):
    with pytest.raises(CheckpointError, match="a file's name is"):
        store.save(1, {name: b""}, images_seen=0, facts={})
    assert not store.directory.exists()


def test_a_run_that_was_moved_or_linked_is_read(store, tmp_path):
    save(store, 1)
    (tmp_path / "link").symlink_to(store.directory)
    assert CheckpointStore(tmp_path / "link").load().files == files(1)
    store.directory.parent.rename(tmp_path / "moved")
    assert CheckpointStore(tmp_path / "moved" / "checkpoints").load().files == files(1)


def test_saving_draws_no_random_numbers(store):
    import random

    state = random.getstate()
    save(store, 1)
    assert random.getstate() == state


def test_the_manifest_on_disk_lists_every_file(store):
    path = save(store, 1).path
    manifest = Manifest.parse((path / "manifest.json").read_bytes())
    assert {name: member.size for name, member in manifest.files.items()} == {"weights.safetensors": 100, "state.json": 2}


def save_naming_the_best(store, best_of):
    for step, best in best_of.items():
        store.save(step, files(step), images_seen=step * 128, facts={"best": best})


def test_the_best_is_the_one_that_the_newest_names(store):
    save_naming_the_best(store, {1: {"step": 1}, 2: {"step": 2}, 3: {"step": 2}})
    assert store.best() == 2
    assert store.load_best(["state.json"]).step == 2
    store.discard([3, 2])
    assert store.load_best().step == 1


@pytest.mark.parametrize("named", [None, {"step": 7}, {"step": "1"}, {"step": None}, {}, [1], 1, {"step": [1]}])
def test_without_a_best_that_is_there_it_is_the_newest(store, named):
    save_naming_the_best(store, {1: None, 2: named})
    assert store.best() is None
    assert store.load_best().step == 2


def test_a_corrupt_best_is_an_error_and_no_silent_step_elsewhere(store):
    save_naming_the_best(store, {1: {"step": 1}, 2: {"step": 1}})
    (store.path(1) / "state.json").write_bytes(b"[]")
    with pytest.raises(CheckpointError, match="newest intact one is step 2"):
        store.load_best()


def test_a_corrupt_newest_is_an_error_for_the_best_too(store):
    save_naming_the_best(store, {1: {"step": 1}, 2: {"step": 1}})
    (store.path(2) / "manifest.json").write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="newest intact one is step 1"):
        store.load_best()


def test_F47_a_best_that_is_beaten_and_pruned_while_it_is_read_gives_way_to_the_better_one(store):
    save_naming_the_best(store, {1: {"step": 1}})

    class Beaten(CheckpointStore):
        def load(self, step=None, names=None):
            if step == 1:
                save_naming_the_best(store, {2: {"step": 2}})
                store.prune(1, protect=[2])
            return super().load(step, names)

    assert Beaten(store.directory).load_best().step == 2


def test_F47_without_a_best_and_without_checkpoints_the_error_is_that_of_load(store):
    with pytest.raises(RunError, match="no checkpoint"):
        store.load_best()
