"""One process fails, dies or hangs: all end, in time, with the code that says why; what was saved stays saved."""

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from gancli.checkpoint.store import CheckpointStore
from gancli.gan.trainer import Trainer
from gancli.runs import RunDirectory
from gancli.runtime import device as runtime
from gancli.storage.disk import Storage
from gancli.training import worker
from gancli.training.lines import Log
from gancli.training.session import Session

ENDLESS = 10**6


def saved(team):
    return CheckpointStore(team.folder(0) / "runs/r/checkpoints")


def saved_something(team):
    return lambda: (team.folder(0) / "runs/r/checkpoints").exists() and saved(team).latest()


@pytest.mark.parametrize("victim", [0, 1])
def test_F55_a_killed_process_ends_all_and_the_checkpoint_is_resumable(train_in, words, victim):
    team = train_in(*words(steps=ENDLESS), "--name", "r")
    team.until(saved_something(team))
    team.send(victim, signal.SIGKILL)
    begin = time.monotonic()
    assert team.codes()[1 - victim] == 12
    assert time.monotonic() - begin < 50  # the peer timeout is 60
    text = team.text(1 - victim)
    assert "error: One of the 2 processes is gone (Connection closed by peer" in text
    assert "--resume" in text
    newest = saved(team).newest_intact()
    assert newest == saved(team).latest()
    if victim:
        assert RunDirectory(team.folder(0) / "runs/r").info()["error"]["exit_code"] == 12
    resumed = train_in("--resume", team.folder(0) / "runs/r", "-s", f"train.images={32 * (newest + 3)}", name="resumed")
    assert resumed.codes() == {0: 0, 1: 0}, resumed.text(0)


@pytest.mark.parametrize("victim", [0, 1])
def test_F55_a_process_that_hangs_is_given_up_in_time(train_in, words, victim):
    team = train_in(*words("runtime.peer_timeout_seconds=3", steps=ENDLESS), "--name", "r")
    team.until(saved_something(team))
    team.send(victim, signal.SIGSTOP)
    begin = time.monotonic()
    assert team.codes(but=[victim]) == {1 - victim: 12}
    assert 2 < time.monotonic() - begin < 50  # as asked for here, and not the 60 of the others
    assert "Timed out waiting" in team.text(1 - victim)
    assert saved(team).newest_intact()


def test_F55_a_launcher_that_is_gone_stops_all_in_order(train_in, words):
    """Nobody could stop them any more, and whoever starts the training again would find its run busy."""

    def orphan(rank):
        honest = Trainer.step

        def step(self, *schedule, **settled):
            if rank == 1 and self.state.step == 14:
                os.getppid = lambda: 1
            return honest(self, *schedule, **settled)

        Trainer.step = step

    team = train_in(*words(steps=ENDLESS), "--name", "r", before=orphan)
    assert team.codes() == {0: 129, 1: 129}
    assert saved(team).newest_intact() == 15
    assert RunDirectory(team.folder(0) / "runs/r").info()["status"] == "stopped"


@pytest.mark.parametrize(
    ("module", "name", "value", "said"),
    [
        (worker, "__version__", "0.0.1", r"gancli: 0\.0\.1, not "),
        (runtime, "cpu_has_fast_bf16", lambda: True, r"precision: bf16, not fp32"),
    ],
)
def test_what_differs_between_machines_is_refused_before_anything_is_made(train_in, words, module, name, value, said):
    """Each process would play another game, and the sum would be neither's."""

    def change(rank):
        runtime.cpu_has_fast_bf16 = lambda: False
        if rank == 1:
            setattr(module, name, value)

    team = train_in(*words("runtime.precision=auto"), "--name", "r", before=change)
    assert team.codes() == {0: 2, 1: 2}
    assert re.search(rf"Process 1 has a different environment than process 0 \({said}", team.text(0)), team.text(0)
    assert not (team.folder(0) / "runs").exists()


@pytest.mark.parametrize(("kind", "name", "steps"), [(Storage, "rename", 10), (Log, "log", 10), (Session, "_plot", 20)])
def test_F56_a_full_disk_under_process_0_ends_all_with_6(train_in, words, kind, name, steps):
    """Whether that is noticed where it is expected, in the log, or where nothing is known about files."""

    def fill(rank):
        def full(*_):
            raise OSError(28, "No space left on device")

        if rank == 0:
            honest = Trainer.step

            def step(self, *schedule, **settled):
                if self.state.step == 15:
                    setattr(kind, name, full)
                return honest(self, *schedule, **settled)

            Trainer.step = step

    team = train_in(*words(), "--name", "r", before=fill)
    assert team.codes() == {0: 6, 1: 6}
    assert "Make room" in team.text(0)
    assert team.text(1).startswith("error: Process 0 of 2 has ended:")
    assert "Make room" in team.text(1)
    assert saved(team).newest_intact() >= steps


@pytest.mark.parametrize("rank", [0, 1])
def test_F34_what_is_not_finite_anywhere_ends_all_with_7(train_in, words, rank):
    def poison(me):
        honest = Trainer.step

        def step(self, *schedule, **settled):
            if me == rank and self.state.step == 15:
                with torch.no_grad():
                    next(self.state.networks["generator"].parameters()).fill_(float("nan"))
            return honest(self, *schedule, **settled)

        Trainer.step = step

    team = train_in(*words("log.quality_every_images=0"), "--name", "r", before=poison)
    assert team.codes() == {0: 7, 1: 7}, team.text(0)
    assert "Training diverged at step" in team.text(1)
    assert saved(team).steps() == [10]


@pytest.mark.parametrize("rank", [0, 1])
def test_F55_a_bug_in_one_process_ends_the_others_with_12_and_its_name(train_in, words, rank):
    def break_it(me):
        def step(*_args, **_settled):
            raise TypeError("a bug")

        if me == rank:
            Trainer.step = step

    team = train_in(*words(), "--name", "r", before=break_it)
    assert team.codes() == {rank: 1, 1 - rank: 12}
    assert f"Process {rank} of 2 has ended: TypeError: a bug." in team.text(1 - rank)


def test_other_pictures_on_another_machine_are_refused_before_anything_is_made(train_in, words, pictures):
    def place(rank):
        """The same name, in every process's own directory."""
        copy = Path(shutil.copytree(pictures, "mine")) / "train-images-idx3-ubyte"
        copy.write_bytes(copy.read_bytes()[:-1] + bytes([rank]))

    team = train_in(*words("data.dataset=mine"), "--name", "r", before=place)
    assert team.codes() == {0: 3, 1: 3}
    assert "is not the same in every process" in team.text(0)
    assert not (team.folder(0) / "runs").exists()


def test_the_run_directory_may_be_taken_and_all_say_so(train_in, words):
    def take(rank):
        if not rank:
            os.makedirs("runs/r")  # noqa: PTH103  (what os does is tested)

    team = train_in(*words(), "--name", "r", before=take)
    assert team.codes() == {0: 6, 1: 6}
    assert "exists already" in team.text(1)


def test_a_batch_that_cannot_be_divided_says_which_can(train_in, words):
    team = train_in(*words("train.batch_size=33"), "--name", "r", "--json")
    assert team.codes() == {0: 2, 1: 2}
    assert "Choose --batch-size 32 or 34" in json.loads(team.text(0, "out"))["error"]["remedy"]
    assert team.text(1, "out") == ""
    assert "Choose --batch-size 32 or 34" in team.text(1)
    assert not (team.folder(0) / "runs").exists()


def test_a_dry_run_shows_the_settings_once(train_in, words):
    team = train_in(*words(), "--dry-run")
    assert team.codes() == {0: 0, 1: 0}
    assert "train.accumulate" in team.text(0, "out")
    assert (team.text(1, "out"), team.text(1, "err")) == ("", "")
