"""Plugins and checkpoints of version 1 of the contract, as they were before version 2.

``gancli_dcgan`` and ``gancli_resnet`` are copies of that time, ``trained`` is a run of three steps of
six that gancli 0.1.0 with version 1 wrote, and the EMA at its end.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import gancli
from gancli.checkpoint.store import CheckpointStore
from gancli.config.resolve import resolve
from gancli.images import grid, to_bytes
from gancli.plugins.distributions import read
from gancli.plugins.registry import ARCHITECTURES
from gancli.runs import find_run
from gancli.training.run import resume, train

HERE = Path(__file__).parent
TRAINED = HERE / "trained"
SETTINGS = (
    "model.latent_dim=4",
    "train.batch_size=4",
    "train.images=8",
    "log.quality_every_images=0",
    "log.previews=4",
    "runtime.device=cpu",
    "runtime.precision=fp32",
    "runtime.threads=1",
)


def forget():
    for name in list(sys.modules):
        if name.partition(".")[0] in ("gancli_dcgan", "gancli_resnet"):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def _version_1(tmp_path, monkeypatch):
    """The copies are what is installed, whatever else is."""
    for name, attribute in (("dcgan", "DCGAN"), ("resnet", "ResNet")):
        info = tmp_path / "site" / f"gancli_{name}-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: gancli-{name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[gancli.architectures]\n{name} = gancli_{name}:{attribute}\n")
    monkeypatch.delenv("GANCLI_PLUGINS", raising=False)
    for path in (HERE, tmp_path / "site"):
        monkeypatch.syspath_prepend(str(path))
    monkeypatch.chdir(tmp_path)
    read.cache_clear()
    forget()
    yield
    read.cache_clear()
    forget()


@pytest.mark.parametrize("arch", ["dcgan", "resnet", f"{HERE / 'stylegan2.py'}:StyleGAN2"], ids=lambda name: name[-9:])
def test_a_plugin_of_version_1_trains_and_resumes_to_the_same_bits(tmp_path, arch):
    plugin = ARCHITECTURES.load(arch)
    assert plugin.api == 1
    assert Path(sys.modules[plugin.__module__].__file__).is_relative_to(HERE)
    np.save("images.npy", np.random.default_rng(0).integers(0, 256, (12, 16, 16), np.uint8))
    given = (f"arch.name={arch}", "arch.channels=4", "data.dataset=./images.npy")
    config = resolve(assignments=[*given, *SETTINGS], environment={}).config
    train(config, runs_dir=tmp_path, name="whole")
    train(config, runs_dir=tmp_path, name="stopped", stop=lambda: 15)
    assert resume(find_run("stopped", tmp_path)).status == "done"
    whole, stopped = (CheckpointStore(find_run(name, tmp_path).checkpoints).load() for name in ("whole", "stopped"))
    assert whole.step == stopped.step == 2
    assert whole.state_digest == stopped.state_digest


def test_the_path_length_that_version_1_hides_reaches_the_generator():
    """What the trick adds to the gradient is the gradient of the term."""
    plugin = ARCHITECTURES.load(f"{HERE / 'stylegan2.py'}:StyleGAN2")
    gradients = []
    for weight in (0.0, 2.0):
        torch.manual_seed(0)
        generator = plugin().build(plugin.Config(path_weight=weight), gancli.ImageSpec(1, 8, 8), 4).generator
        torch.manual_seed(1)
        generator(torch.randn(4, 4)).mean().backward()
        gradients.append(generator.mapping[0].weight.grad)
    assert not torch.allclose(*gradients)


@pytest.fixture
def old_run(tmp_path):
    """A copy of the run that version 1 has begun, in the working directory, which its configuration refers to."""
    shutil.copytree(TRAINED, tmp_path, dirs_exist_ok=True)
    return find_run("run", tmp_path)


def test_a_checkpoint_of_version_1_is_sampled(old_run):
    """The images are those of the preview that version 1 wrote, to one level of rounding."""
    images = grid(to_bytes(gancli.load(old_run.path).sample(4)))
    preview = np.asarray(Image.open(old_run.samples / "000003.png")).astype(int)
    assert np.abs(np.asarray(images).squeeze().astype(int) - preview).max() <= 1


def test_a_run_of_version_1_is_resumed_to_the_end_that_version_1_found(old_run):
    """Adam's moments, the augmentation and the counters are taken over; equal bits would need one kind of CPU."""
    end = resume(old_run)
    assert (end.status, end.step) == ("done", 6)
    found = load_file(CheckpointStore(old_run.checkpoints).path(6) / "ema.safetensors")
    expected = load_file(old_run.path.parent / "end.safetensors")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=2e-4, rtol=1e-4)
