"""What only a GPU can show; without one these tests are left out."""

import json
import warnings
from contextlib import contextmanager

import pytest
import torch

from gancli.checkpoint.store import CheckpointStore
from gancli.gan.architectures.dense_networks import DenseGenerator
from gancli.runs import RunDirectory
from gancli.training.run import resume, train
from gancli.training.setup import set_up

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")

ON_A_GPU = "runtime.device=cuda", "objective.penalty_interval_steps=2"
MODES = {
    "eager": ["runtime.cuda_graph=off"],
    "captured": ["runtime.cuda_graph=on"],
    "compiled": ["runtime.compile=true", "runtime.cuda_graph=off"],
    "both": ["runtime.compile=true", "runtime.cuda_graph=on"],
}


@contextmanager
def never_waiting():
    with warnings.catch_warnings(action="ignore"):  # it says that it is a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("mode", ["eager", "captured"])
@pytest.mark.parametrize("augment", ["off", "on"])
def test_a_step_never_waits_for_the_device(configure, mode, augment):
    game = set_up(configure(*ON_A_GPU, *MODES[mode], "runtime.precision=bf16", f"augment.mode={augment}"))
    for _ in range(6):
        game.step()
    with never_waiting():
        for _ in range(2):  # within an epoch: a new order is moved to the device once per epoch
            game.step()


@pytest.mark.parametrize("mode", MODES)
def test_the_losses_are_those_of_the_cpu(configure, mode):
    without = "arch.dropout=0", "objective.penalty_interval_steps=2"  # dropout's masks are another device's
    here = set_up(configure(*without))
    there = set_up(configure(*without, *ON_A_GPU, *MODES[mode], "runtime.precision=fp32"))
    assert there.uncaptured in ("", "not asked for")
    for _ in range(8):  # captured steps of both kinds are replayed from the fifth on
        expected, found = here.step(), there.step()
        for name, value in expected.items():
            assert float(found[name]) == pytest.approx(float(value), rel=1e-2, abs=1e-3)


def test_captured_steps_have_the_dropout_and_the_augmentation_of_eager_ones(configure):
    words = *ON_A_GPU, "arch.dropout=0.3", "augment.mode=on", "augment.strength=0.6", "runtime.precision=fp32"
    eager, captured = (set_up(configure(*words, *MODES[mode])) for mode in ("eager", "captured"))
    assert captured.uncaptured == ""
    for _ in range(8):
        expected, found = eager.step(), captured.step()
        for name, value in expected.items():
            assert float(found[name]) == pytest.approx(float(value), rel=1e-3, abs=1e-4)


def test_a_resumed_run_of_captured_steps_has_the_bits_of_one_that_never_stopped(configure, tmp_path, stop_after, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    words = *ON_A_GPU, *MODES["captured"], "runtime.deterministic=true", "train.epochs=6", "checkpoint.every_steps=3"
    train(configure(*words), runs_dir=tmp_path, name="whole")
    train(configure(*words), runs_dir=tmp_path, name="halves", stop=stop_after(7))
    resume(RunDirectory(tmp_path / "halves"))
    assert json.loads((tmp_path / "whole" / "run.json").read_text())["captured"] is True
    whole, halves = (CheckpointStore(tmp_path / name / "checkpoints").load() for name in ("whole", "halves"))
    assert [name for name in whole.files if whole.files[name] != halves.files[name]] == []
    torch.use_deterministic_algorithms(False)


def test_networks_that_wait_for_the_device_are_trained_as_they_are_written(configure, monkeypatch):
    forward = DenseGenerator.forward
    monkeypatch.setattr(DenseGenerator, "forward", lambda self, z, *c: forward(self, z, *c) * (1 + 0 * int(z.sum().item())))
    game = set_up(configure(*ON_A_GPU, *MODES["captured"], "arch.dropout=0.3"))
    assert "synchroniz" in game.uncaptured
    assert all(torch.isfinite(value) for value in game.step().values())


def test_dropout_works_after_a_recording_that_failed(configure, monkeypatch):
    from gancli.runtime.graphs import CudaGraphs

    monkeypatch.setattr(CudaGraphs, "warm_up", lambda _, compute: compute())  # so that the recording is what fails
    forward = DenseGenerator.forward
    monkeypatch.setattr(DenseGenerator, "forward", lambda self, z, *c: forward(self, z, *c) * (1 + 0 * int(z.sum().item())))
    game = set_up(configure(*ON_A_GPU, *MODES["captured"], "arch.dropout=0.3"))
    assert game.uncaptured
    assert all(torch.isfinite(value) for value in game.step().values())
