"""A translator's training that is killed ends, resumed, in the bits of one that never stopped."""

import signal
import subprocess
import sys
import time

import pytest
import torch

from gancli.runs import RunDirectory
from gancli.storage.tensors import decode
from gancli.training.run import resume, train

STEPS, PATIENCE_SECONDS = 24, 300


@pytest.mark.parametrize("name", ["cut", "cyclegan"])
def test_a_killed_training_ends_in_the_same_bits(configure, tmp_path, name):
    config = configure(name, f"train.images={4 * STEPS}", "checkpoint.every_steps=4", "runtime.threads=1")
    (tmp_path / "config.json").write_text(config.model_dump_json())
    command = [sys.executable, "-m", "gancli", "-q", "train", "-c", tmp_path / "config.json", "--name", "killed"]
    with subprocess.Popen([*command, "--runs-dir", tmp_path]) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not list(tmp_path.glob("killed/checkpoints/step-*/*.safetensors")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert RunDirectory(tmp_path / "killed").info()["status"] == "running"

    killed = resume(RunDirectory(tmp_path / "killed")).run
    whole = train(config, runs_dir=tmp_path, name="whole").run
    files = [sorted((run / "checkpoints" / f"step-{STEPS:09}").glob("*.safetensors")) for run in (killed, whole)]
    assert len(files[0]) >= 3
    for one, other in zip(*files, strict=True):
        tensors = [decode(path.read_bytes(), path.name) for path in (one, other)]
        assert tensors[0].keys() == tensors[1].keys()
        assert all(torch.equal(value, tensors[1][key]) for key, value in tensors[0].items())
