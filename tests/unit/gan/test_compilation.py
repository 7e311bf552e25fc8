"""Compiled networks play the same game. Compiling takes seconds, so that everything about it is asked of few games."""

import json
import logging
import shutil

import pytest
import torch

from gancli.checkpoint.store import CheckpointStore
from gancli.gan.compilation import compile_networks
from gancli.runs import RunDirectory
from gancli.training.run import resume, train
from gancli.training.setup import set_up

COMPILER = pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="no C++ compiler")


@pytest.fixture
def in_bf16(configure):
    """``(*assignments)`` -> a configuration with penalties at every other step, in mixed precision."""
    penalised = "objective.r1_gamma=1", "objective.penalty_interval_steps=2"
    return lambda *more: configure(*penalised, "runtime.precision=bf16", *more)


@COMPILER
def test_the_losses_are_those_of_the_networks_as_they_are_and_dropout_draws_the_same(in_bf16):
    plain, compiled = set_up(in_bf16()), set_up(in_bf16("runtime.compile=true"))
    assert (plain.uncompiled, compiled.uncompiled) == ("not asked for", "")
    assert all(player.compiled is not None for player in compiled.state.trained.values())
    for _ in range(6):
        expected, found = plain.step(), compiled.step()
        assert expected.keys() == found.keys()
        assert {name: float(value) for name, value in found.items()} == pytest.approx(
            {name: float(value) for name, value in expected.items()}, rel=2e-2
        )


@COMPILER
def test_a_resumed_run_has_the_bits_of_one_that_never_stopped(configure, tmp_path, stop_after):
    config = configure("runtime.compile=true", "train.epochs=2", "checkpoint.every_steps=3")
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


def test_a_compiler_that_cannot_even_be_loaded_is_a_reason_and_no_error(make_game, monkeypatch):
    def absent(*_, **__):
        raise ImportError("no module named triton")

    monkeypatch.setattr(torch, "compile", absent)
    game = make_game()
    assert compile_networks(game.state, lambda: None) == "ImportError: no module named triton"
    assert all(player.compiled is None for player in game.state.trained.values())


@COMPILER
def test_what_the_compiler_leaves_uncompiled_fills_no_terminal(make_game, monkeypatch):
    monkeypatch.delenv("TORCH_LOGS", raising=False)
    said = []
    monkeypatch.setattr(logging.getLogger("torch._dynamo"), "handlers", [handler := logging.Handler()])
    handler.emit = said.append
    state = make_game().state
    generator = state.trained["generator"]
    forward = generator.network.forward
    generator.network.forward = lambda z: forward(z) * (1 + 0 * int(z.sum().item()))  # breaks the graph
    assert not compile_networks(state, lambda: [generator.compiled(torch.randn(n + 2, 5)) for n in range(9)])
    assert [record.getMessage() for record in said if record.levelno >= logging.WARNING] == []


def test_a_failure_in_the_rehearsal_leaves_the_state_alone(make_game, weights_of):
    game = make_game()
    before = {name: weights_of(player.network) for name, player in game.state.trained.items()}

    def spoil():
        game.state.step = 7
        for player in game.state.trained.values():
            for weight in player.network.parameters():
                weight.data.zero_()
        raise ValueError

    assert compile_networks(game.state, spoil) == "ValueError"
    assert game.state.step == 0
    assert all(player.compiled is None for player in game.state.trained.values())
    for name, player in game.state.trained.items():
        assert all(torch.equal(value, before[name][key]) for key, value in player.network.state_dict().items())


def test_a_run_that_is_compiled_from_now_on_says_that_bits_may_differ(configure, tmp_path, stop_after, monkeypatch):
    train(configure(), runs_dir=tmp_path, name="run", stop=stop_after(3))
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    said = []
    resume(RunDirectory(tmp_path / "run"), changes={"runtime.compile": True}, observe=said.append)
    assert any("compiled was False, is True" in note for note in said_notes(said))


def said_notes(said):
    return [note for event in said for note in getattr(event, "notes", ())]
