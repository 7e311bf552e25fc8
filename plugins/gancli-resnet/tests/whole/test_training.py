"""The plugin in its host: found, configured, trained, resumed and sampled like a built-in architecture."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from gancli.checkpoint.store import CheckpointStore
from gancli.config.resolve import resolve
from gancli.models.loading import load
from gancli.plugins.registry import ARCHITECTURES
from gancli.runs import RunDirectory
from gancli.training.run import resume, train
from gancli_resnet import ResNet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gancli.config.schema import RunConfig

    Configure = Callable[..., RunConfig]

try:
    distribution("gancli-resnet")
except PackageNotFoundError:
    pytest.skip("gancli-resnet is not installed: pip install ./plugins/gancli-resnet", allow_module_level=True)


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """``(*assignments)`` -> the configuration of a tiny run on 64 pictures of 8x8: those of class 0 dark, of class 1 bright."""
    torch.set_num_threads(1)
    monkeypatch.setattr("gancli.training.session.plot_losses", lambda _, path: path.touch())  # half of the time
    labels = np.arange(64, dtype=np.uint8) % 2
    pictures = np.random.default_rng(0).integers(10, 50, (64, 8, 8)).astype(np.uint8) + 190 * labels[:, None, None]
    for name, array in (("images-idx3", pictures), ("labels-idx1", labels)):
        header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
        (tmp_path / f"train-{name}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())
    small = ["arch.channels=4", "arch.growth=2", "arch.group_size=4", "train.batch_size=16", "runtime.device=cpu"]

    def make(*assignments: str) -> RunConfig:
        chosen = [f"data.dataset={tmp_path}", "arch.name=resnet", *small, *assignments]
        return resolve(assignments=chosen, environment={}).config

    return make


def stop_after(steps: int) -> Callable[[], int]:
    """A stop function that asks for SIGTERM after so many steps."""
    calls = count(1)
    return lambda: 15 if next(calls) == steps else 0


def digest(run: Path) -> str:
    return CheckpointStore(run / "checkpoints").load().state_digest


def test_the_registry_finds_it_by_its_entry_point() -> None:
    found = ARCHITECTURES.load("resnet")
    assert (found.__module__, found.__qualname__) == (ResNet.__module__, ResNet.__qualname__)
    assert ARCHITECTURES.find("resnet").distribution == "gancli-resnet"


def test_its_defaults_are_the_paper_s_game_unless_another_one_is_asked_for(configure: Configure) -> None:
    chosen, other = configure().objective, configure("objective.name=hinge").objective
    assert chosen.name == "relativistic"
    assert chosen.options["r1_gamma"] == chosen.options["r2_gamma"] > 0
    assert chosen.options["penalty_interval_steps"] == ResNet.defaults["objective.penalty_interval_steps"]
    assert other.options["r2_gamma"] == 0
    assert other.options["penalty_interval_steps"] == 8


@pytest.mark.parametrize(("conditional", "precision"), [("false", "fp32"), ("true", "bf16")])
def test_an_interrupted_run_ends_in_the_bits_of_one_that_never_stopped(
    configure: Configure, tmp_path: Path, conditional: str, precision: str
) -> None:
    config = configure(f"model.conditional={conditional}", f"runtime.precision={precision}", "train.epochs=3")
    whole = train(config, runs_dir=tmp_path, name="whole").run
    parts = train(config, runs_dir=tmp_path, name="parts", stop=stop_after(5)).run
    assert resume(RunDirectory(parts), stop=stop_after(2)).status == "stopped"
    assert resume(RunDirectory(parts)).status == "done"
    assert digest(parts) == digest(whole)
    assert RunDirectory(parts).metrics_path.read_bytes() == RunDirectory(whole).metrics_path.read_bytes()


def test_a_short_training_learns_which_class_is_which(configure: Configure, tmp_path: Path) -> None:
    config = configure("model.conditional=true", "train.epochs=25", "train.learning_rate=0.005", "checkpoint.every_steps=100")
    run = train(config, runs_dir=tmp_path, name="a").run
    brightness = load(run).sample(32).mean((1, 2, 3))  # class 0, 1, 0, 1, ...
    dark, bright = brightness[::2], brightness[1::2]
    assert dark.max() < -0.4
    assert bright.min() > 0.4


def test_describing_the_architecture_imports_no_torch() -> None:
    script = (
        "import sys; from gancli_resnet import ResNet, ResNetConfig; from gancli.plugin import ImageSpec; "
        "ResNet().supports(ResNetConfig(), ImageSpec(1, 28, 28)); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
