"""H3, at every system call that matters: strace kills the process at the k-th fsync or rename, or makes the call fail."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gancli.checkpoint.store import CheckpointStore

SAVE_THREE = Path(__file__).with_name("save_three.py")
CALLS = {"fsync": "fsync,fdatasync", "rename": "rename,renameat,renameat2"}
MOST = 40


def _can_trace():
    if not shutil.which("strace"):
        return False
    probe = ["strace", "-f", "-o", "/dev/null", "-e", "inject=fsync:error=EIO:when=1", sys.executable, "-c", "pass"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _can_trace(), reason="strace is not installed, or may not trace here"),
]


def traced(calls, fault, k, command, log):
    """Run ``command``; the k-th of ``calls`` suffers ``fault``. Returns the process, and whether the fault fired."""
    inject = f"inject={CALLS[calls]}:{fault}:when={k}"
    trace = ["strace", "-f", "-o", str(log), "-e", f"trace={CALLS[calls]}", "-e", inject]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*trace, *command], capture_output=True, text=True, check=False, env=environment)
    text = log.read_text()
    return done, "(INJECTED)" in text or "killed by SIGKILL" in text


def acknowledged(output):
    return max((int(line.split()[1]) for line in output.splitlines() if line.startswith("saved")), default=0)


@pytest.mark.parametrize("calls", CALLS)
def test_F02_killed_at_every_call_nothing_acknowledged_is_lost(tmp_path, calls):
    fired = 0
    for k in range(1, MOST):
        directory = tmp_path / f"{k}"
        done, hit = traced(calls, "signal=KILL", k, [sys.executable, str(SAVE_THREE), str(directory)], tmp_path / "log")
        store = CheckpointStore(directory)
        if not hit:
            assert done.returncode == 0
            break
        assert done.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}
        fired += 1
        newest = store.latest() or 0
        assert newest >= acknowledged(done.stdout)
        assert not newest or store.load().step == newest
        store.prepare()
        assert not [name for name in (path.name for path in directory.iterdir()) if name.startswith((".tmp-", ".trash-"))]
    assert fired >= (4 if calls == "rename" else 6)  # three steps get their names, and one is removed


@pytest.mark.parametrize(("calls", "error"), [("fsync", "EIO"), ("rename", "ENOSPC")])
def test_F05_F06_a_call_that_fails_ends_in_exit_6_and_nothing_is_lost(tmp_path, calls, error):
    outcomes = set()
    for k in range(1, MOST):
        directory = tmp_path / f"{k}"
        command = [sys.executable, str(SAVE_THREE), str(directory)]
        done, hit = traced(calls, f"error={error}", k, command, tmp_path / "log")
        if not hit:
            break
        outcomes.add(done.returncode)
        store = CheckpointStore(directory)
        newest = store.latest() or 0
        assert newest >= acknowledged(done.stdout)
        assert not newest or store.load().step == newest
    assert outcomes == {6}


@pytest.fixture(scope="module")
def training(tmp_path_factory, small_pictures):
    """``(name)`` -> the command line of a small training, and the run directories, of which ``whole`` was never killed."""
    runs = tmp_path_factory.mktemp("runs")
    small = ["-s", "arch.generator_widths=[8]", "-s", "arch.discriminator_widths=[8]", "-s", "runtime.threads=1"]
    length = ["--images", "192", "--batch-size", "32", "-s", "checkpoint.every_steps=2", "--device", "cpu"]
    gancli = [sys.executable, "-m", "gancli", "-q", "train", "--runs-dir", str(runs)]
    fresh = [*gancli, "--dataset", str(small_pictures), *small, *length, "--name"]
    subprocess.run([*fresh, "whole"], check=True, capture_output=True)
    return gancli, fresh, runs


@pytest.mark.parametrize("k", [2, 12])
def test_F02_a_real_training_killed_inside_a_save_goes_on(tmp_path, training, k):
    gancli, fresh, runs = training
    name = f"killed-{k}"
    done, hit = traced("fsync", "signal=KILL", k, [*fresh, name], tmp_path / "log")
    assert hit
    assert done.returncode
    whole, killed = (CheckpointStore(runs / run / "checkpoints") for run in ("whole", name))
    if killed.latest() is None:  # killed inside the first save: there is nothing to go on from, and nothing half
        assert killed.steps() == []
        return
    subprocess.run([*gancli, "--resume", name], check=True, capture_output=True)
    assert whole.load().state_digest == killed.load().state_digest
