"""Several processes compute what one computes: bit for bit where two numbers are added, to rounding where more are."""

import os
import signal
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from gancli.checkpoint.store import CheckpointStore
from gancli.cli.app import run
from gancli.gan.trainer import Trainer
from gancli.runs import RunDirectory

STEPS = 50


@pytest.mark.parametrize("arch", ["dense", "dcgan", "spectral", "resnet", "cut", "cyclegan"])
def test_F54_two_processes_are_one_with_two_micro_steps_bit_for_bit(train_in, words, alone, same_bits, arch):
    plugin = {"resnet": "gancli_resnet", "cut": "gancli_translate", "cyclegan": "gancli_translate"}.get(arch)
    if plugin and not find_spec(plugin):
        pytest.skip(f"{plugin} is not installed here")
    settings = words(arch=arch, steps=STEPS)
    team = train_in(*settings, "--name", "two")
    assert team.codes() == {0: 0, 1: 0}, team.text(0) + team.text(1)
    same_bits(RunDirectory(team.folder(0) / "runs/two"), alone(*settings, "-s", "train.accumulate=2"))
    assert team.text(0, "out") == "runs/two\n"
    assert (team.text(1, "out"), team.text(1, "err")) == ("", "")
    assert not (team.folder(1) / "runs").exists()


def test_F54_four_shares_are_the_same_to_rounding_whoever_takes_them(train_in, words, alone, state_of):
    few = words("train.learning_rate=1e-4", "augment.mode=off", steps=3)
    team = train_in(*few, "-s", "train.accumulate=2", "--name", "two")
    assert team.codes() == {0: 0, 1: 0}, team.text(0) + team.text(1)
    (tensors, _), (others, _) = (
        state_of(RunDirectory(team.folder(0) / "runs/two")),
        state_of(alone(*few, "-s", "train.accumulate=4")),
    )
    for name, tensor in tensors.items():
        if name.startswith(("generator", "discriminator")):
            torch.testing.assert_close(tensor, others[name], atol=1e-5, rtol=1e-4)


def test_F54_all_processes_hold_the_same_weights_after_every_step(train_in, words):
    """And not only process 0, which is all that a checkpoint shows."""

    def record(_rank):
        honest = Trainer.step

        def step(self, *schedule, **settled):
            report = honest(self, *schedule, **settled)
            tensors = [t for network in self.state.stored_networks().values() for t in network.state_dict().values()]
            digest = sha256(b"".join(t.numpy().tobytes() for t in tensors)).hexdigest()
            with Path("digests").open("a", encoding="ascii") as file:
                file.write(f"{digest}\n")
            return report

        Trainer.step = step

    team = train_in(*words(arch="dcgan", steps=100), before=record)
    assert team.codes() == {0: 0, 1: 0}, team.text(0) + team.text(1)
    first, second = (team.text(rank, "digests").splitlines() for rank in range(2))
    assert len(set(first)) == 100
    assert first == second


def test_F57_a_run_resumes_exactly_in_as_many_processes_or_shares(train_in, words, alone, same_bits, tmp_path):
    """Half of it in two processes, a quarter again in two, the rest in one with two micro-steps."""

    def stop_at(step):
        def patch(rank):
            honest = Trainer.step

            def counted(self, *schedule, **settled):
                report = honest(self, *schedule, **settled)
                if rank == 1 and self.state.step == step:
                    os.kill(os.getpid(), signal.SIGTERM)  # to the process that does not lead
                return report

            Trainer.step = counted

        return patch

    runs = ["--runs-dir", tmp_path / "shared"]
    team = train_in(*words(steps=STEPS), "--name", "parts", *runs, before=stop_at(24))
    assert team.codes() == {0: 143, 1: 143}, team.text(0) + team.text(1)
    again = train_in("--resume", "parts", *runs, name="again", before=stop_at(37))
    assert again.codes() == {0: 143, 1: 143}, again.text(0) + again.text(1)
    parts = RunDirectory(tmp_path / "shared/parts")
    assert CheckpointStore(parts.checkpoints).latest() == 37
    assert parts.info()["status"] == "stopped"
    assert run(["-q", "train", "--resume", str(parts.path), "-s", "train.accumulate=2"]) == 0
    same_bits(parts, alone(*words(steps=STEPS), "-s", "train.accumulate=2"))
    assert CheckpointStore(parts.checkpoints).load(names=()).manifest.facts["inexact"] == ""


def test_F57_another_number_of_processes_is_refused_or_recorded(train_in, words, tmp_path, capsys):
    folder = ["--runs-dir", str(tmp_path)]
    assert run(["-q", "train", *words(steps=4), "--name", "whole", *folder]) == 0
    longer = ("--resume", "whole", *folder, "-s", "train.images=256")
    refused = train_in(*longer, name="refused")
    assert refused.codes() == {0: 2, 1: 2}
    reason = "divided among 1 process x train.accumulate=1, not 2 processes x train.accumulate=1"
    assert reason in refused.text(0)
    assert refused.text(1).startswith("error: Process 0 of 2 has ended: The batches of this run")
    allowed = train_in(*longer, "-s", "runtime.allow_other_processes=true", name="allowed")
    assert allowed.codes() == {0: 0, 1: 0}, allowed.text(0) + allowed.text(1)
    assert run(["-q", "train", *longer[:-1], "train.images=320", "-s", "train.accumulate=2"]) == 0  # exact from here on
    facts = CheckpointStore(tmp_path / "whole/checkpoints").load(names=()).manifest.facts
    assert facts["inexact"] == "from step 4 on 2 processes x train.accumulate=1, not 1 process x train.accumulate=1"
    assert facts["environment"]["processes"] == 1
    capsys.readouterr()
