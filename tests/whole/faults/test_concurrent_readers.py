"""Readers while another process saves and prunes: each sees a complete checkpoint, always."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from gancli.checkpoint.store import CheckpointStore
from gancli.errors import RunError
from gancli.storage.disk import Storage

PATIENCE_SECONDS = 120
WRITER = """
import sys
from itertools import count
from pathlib import Path
from gancli.checkpoint.store import CheckpointStore
from gancli.storage.disk import Storage

class Quick(Storage):
    def fsync(self, descriptor): pass
    def fsync_dir(self, path): pass

store = CheckpointStore(Path(sys.argv[1]), Quick())
for step in count(1):
    text = str(step).encode()
    store.save(step, {"weights.safetensors": text * 50_000, "state.json": text}, images_seen=step, facts={})
    if step == 1:
        print("saved", flush=True)
    store.prune(int(sys.argv[2]))
"""


def test_F46_F47_reading_while_another_process_writes_and_prunes(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    seen = set()
    with subprocess.Popen([sys.executable, "-c", WRITER, store.directory, "3"], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout.readline() == b"saved\n"
            end = time.monotonic() + 2
            while time.monotonic() < end or (len(seen) <= 5 and time.monotonic() < end + PATIENCE_SECONDS):
                checkpoint = store.load()
                text = str(checkpoint.step).encode()
                assert checkpoint.files == {"weights.safetensors": text * 50_000, "state.json": text}
                seen.add(checkpoint.step)
        finally:
            writer.kill()
    assert len(seen) > 5
    assert store.load().step >= max(seen)


class Interrupted(Storage):
    """Each of the ``events`` happens on the disk before the next file is opened."""

    def __init__(self, *events):
        self.events = list(events)

    def happen(self):
        if self.events:
            self.events.pop(0)()

    def open(self, path):
        self.happen()
        return super().open(path)


class InterruptedListing(Interrupted):
    """Each of the ``events`` happens after the next listing of a directory."""

    def open(self, path):
        return Storage.open(path)

    def listdir(self, path):
        names = super().listdir(path)
        self.happen()
        return names


@pytest.mark.parametrize("storage", [Interrupted, InterruptedListing])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_F47_the_newest_is_taken_again_when_it_is_pruned_while_being_read(tmp_path, save, files_of, storage, times):
    store = CheckpointStore(tmp_path)
    save(store, 1)

    def save_and_prune():
        save(store, store.latest() + 1)
        store.prune(1)

    reader = CheckpointStore(tmp_path, storage(*[save_and_prune] * times))
    assert reader.load().files == files_of(1 + times)


def test_F47_a_step_that_was_asked_for_is_never_replaced_by_another(tmp_path, save):
    store = CheckpointStore(tmp_path)
    save(store, 1)
    save(store, 2)
    with pytest.raises(RunError, match=r"no checkpoint of step 1 in .* The nearest is step 2\."):
        CheckpointStore(tmp_path, Interrupted(lambda: store.prune(1))).load(1)


def test_F46_what_is_unfinished_is_never_seen(tmp_path, save):
    store = CheckpointStore(tmp_path)
    save(store, 1)
    for name in (
        ".tmp-2-0123abcd",
        ".trash-2-0123abcd",
        "step-2",
        "step-0000000002",
        "step-000000002x",
        "step-\uff10\uff1000000002",
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_bytes((store.path(1) / "manifest.json").read_bytes())
    (tmp_path / "step-000000003").mkdir()
    (tmp_path / "step-000000004").touch()
    assert store.steps() == [1]
    assert store.latest() == 1
    assert store.load().step == 1


@pytest.mark.slow
def test_F46_F47_sampling_exporting_and_showing_beside_a_training(tmp_path, small_pictures):
    """The commands themselves, in a loop, while another process saves at every step and keeps the newest and the best."""
    from gancli.exporting.formats import choose, export
    from gancli.models.loading import load
    from gancli.runs import RunDirectory
    from gancli_reports.history import details

    settings = ["arch.generator_widths=[16]", "checkpoint.every_steps=1", "checkpoint.keep=1", "log.quality_every_images=1"]
    small = [f"data.dataset={small_pictures}", "train.batch_size=32", "train.images=1000000", "runtime.threads=1", *settings]
    options = [word for assignment in small for word in ("-s", assignment)]
    command = [sys.executable, "-m", "gancli", "train", "-q", "--runs-dir", tmp_path, "--name", "beside", *options]
    run, seen, target = RunDirectory(tmp_path / "beside"), set(), tmp_path / "generator.safetensors"
    with subprocess.Popen(command) as training:
        try:
            end = time.monotonic() + PATIENCE_SECONDS
            while len(seen) <= 4:
                assert training.poll() is None
                assert time.monotonic() < end
                if not CheckpointStore(run.checkpoints).steps():
                    time.sleep(0.01)
                    continue
                for which in ("best", "latest"):
                    model = load(run.path, checkpoint=which)
                    assert model.sample(2).isfinite().all()
                    seen.add(model.origin.step)
                export(model, target, choose(target))
                assert details(run)["name"] == "beside"
            training.terminate()
            assert training.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
        finally:
            training.kill()
    assert run.info()["status"] == "stopped"
