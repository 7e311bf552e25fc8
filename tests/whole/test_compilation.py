"""Compiled networks and captured steps train the same. Compiling takes seconds, so that few runs are asked everything."""

import json
import logging
import shutil

import pytest
import torch

from gancli.checkpoint.store import CheckpointStore
from gancli.gan.compilation import compile_networks
from gancli.runs import RunDirectory
from gancli.storage.tensors import decode
from gancli.training.metrics import read_rows
from gancli.training.run import resume, train
from gancli.training.setup import set_up

COMPILER = pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="no C++ compiler")


@COMPILER
def test_a_resumed_run_has_the_bits_of_one_that_never_stopped_and_the_losses_of_one_that_is_not_compiled(
    configure, tmp_path, stop_after
):
    penalised = "objective.r1_gamma=1", "objective.penalty_interval_steps=2"
    length = "train.epochs=2", "checkpoint.every_steps=3", "log.every_steps=1"
    config = configure("runtime.compile=true", *penalised, *length)
    train(config, runs_dir=tmp_path, name="whole")
    train(config, runs_dir=tmp_path, name="halves", stop=stop_after(7))
    halves = RunDirectory(tmp_path / "halves")
    said = []
    resume(halves, observe=said.append)
    whole, halved = (CheckpointStore(tmp_path / name / "checkpoints").load() for name in ("whole", "halves"))
    assert [name for name in whole.files if whole.files[name] != halved.files[name]] == []
    assert halved.manifest.facts["environment"]["compiled"] is True
    assert json.loads(halves.info_path.read_text())["compiled"] is True
    assert not [note for event in said for note in getattr(event, "notes", ()) if "bits" in note]

    train(configure(*penalised, *length), runs_dir=tmp_path, name="plain")
    found, expected = (
        [row for row in read_rows(tmp_path / name / "metrics.jsonl") if row["kind"] == "interval"]
        for name in ("whole", "plain")
    )
    assert len(found) == 18
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert key == "kind" or value == pytest.approx(other[key], rel=2e-2), key  # dropout's masks are the same


def test_without_a_compiler_the_networks_are_as_they_are_and_the_run_says_why(configure, tmp_path, monkeypatch):
    def broken(*_, **__):
        def fail(*_, **__):
            raise RuntimeError("No working C++ compiler found\nin any of these places")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    said = []
    train(configure("runtime.compile=true"), runs_dir=tmp_path, name="run", observe=said.append)
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["compiled"] is False
    assert info["uncompiled"] == "RuntimeError: No working C++ compiler found"
    assert "The networks are not compiled: RuntimeError: No working C++ compiler found." in said_notes(said)
    monkeypatch.undo()
    train(configure(), runs_dir=tmp_path, name="plain")
    pair = [CheckpointStore(tmp_path / name / "checkpoints").load() for name in ("run", "plain")]
    assert pair[0].files["optim.safetensors"] == pair[1].files["optim.safetensors"]


def test_what_the_compiler_leaves_uncompiled_fills_no_terminal(configure, monkeypatch):
    """What warns is the part that reads Python: no code need be generated for it."""
    monkeypatch.delenv("TORCH_LOGS", raising=False)
    real, said = torch.compile, []
    monkeypatch.setattr(torch, "compile", lambda network, *, dynamic, **_: real(network, dynamic=dynamic, backend="eager"))
    monkeypatch.setattr(logging.getLogger("torch._dynamo"), "handlers", [handler := logging.Handler()])
    handler.emit = said.append
    state = set_up(configure()).state
    generator = state.trained["generator"]
    forward = generator.network.forward
    generator.network.forward = lambda z: forward(z) * (1 + 0 * int(z.sum().item()))  # breaks the graph
    assert not compile_networks(
        state,
        lambda: [
            generator.compiled(torch.randn(n + 2, state.trained["generator"].network.hidden[0].in_features)) for n in range(9)
        ],
    )
    assert [record.getMessage() for record in said if record.levelno >= logging.WARNING] == []


def test_a_run_that_is_compiled_from_now_on_says_that_bits_may_differ(configure, tmp_path, stop_after, monkeypatch):
    train(configure(), runs_dir=tmp_path, name="run", stop=stop_after(3))
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    said = []
    resume(RunDirectory(tmp_path / "run"), changes={"runtime.compile": True}, observe=said.append)
    assert any("compiled was False, is True" in note for note in said_notes(said))


@pytest.mark.usefixtures("stand_in")
def test_a_resumed_run_of_captured_steps_has_the_bits_of_one_that_never_stopped(configure, tmp_path, stop_after):
    settings = "objective.penalty_interval_steps=2", "train.epochs=6", "checkpoint.every_steps=3", "log.every_steps=1"
    config = configure("runtime.cuda_graph=auto", "augment.mode=on", "arch.dropout=0.2", *settings)
    train(config, runs_dir=tmp_path, name="whole")
    train(config, runs_dir=tmp_path, name="halves", stop=stop_after(7))
    said = []
    resume(RunDirectory(tmp_path / "halves"), observe=said.append)
    train(
        configure("runtime.cuda_graph=off", "augment.mode=on", "arch.dropout=0.2", *settings), runs_dir=tmp_path, name="eager"
    )
    whole, halves, eager = (CheckpointStore(tmp_path / name / "checkpoints").load() for name in ("whole", "halves", "eager"))
    assert whole.step >= 12
    assert [name for name in whole.files if whole.files[name] != halves.files[name]] == []
    assert whole.manifest.facts["environment"]["captured"] is True
    info = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("halves", "eager")]
    assert [(each["captured"], each["uncaptured"]) for each in info] == [(True, None), (False, "not asked for")]
    assert not [note for note in said_notes(said) if "bits" in note]
    ours, theirs = (decode(each.files["ema.safetensors"], "ema") for each in (whole, eager))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-6)  # learning rates are rounded to float32


def test_where_no_graph_can_be_captured_the_run_says_why_if_it_was_asked_to(configure, tmp_path):
    why = "the device is cpu, and graphs are recorded on cuda"
    for choice, notes in (("auto", []), ("on", [f"The steps are not replayed as CUDA graphs: {why}."])):
        said = []
        train(configure(f"runtime.cuda_graph={choice}"), runs_dir=tmp_path, name=choice, observe=said.append)
        info = json.loads((tmp_path / choice / "run.json").read_text())
        assert (info["captured"], info["uncaptured"]) == (False, why)
        assert [note for note in said_notes(said) if "CUDA" in note] == notes


def said_notes(said):
    return [note for event in said for note in getattr(event, "notes", ())]
