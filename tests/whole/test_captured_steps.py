"""Runs whose steps are replayed train the same."""

import json

import pytest
import torch

from gancli.checkpoint.store import CheckpointStore
from gancli.runs import RunDirectory
from gancli.storage.tensors import decode
from gancli.training.run import resume, train


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
