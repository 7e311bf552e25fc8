"""Trainings of the papers' plugins at toy size."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from gancli.config.resolve import resolve
from gancli.config.schema import RunConfig
from gancli.data.batches import Batches
from gancli.gan.build import build_training
from gancli.gan.trainer import Trainer
from gancli.plugin import ImageSet, ImageSpec
from gancli.plugins.registry import ARCHITECTURES
from gancli.runtime.device import Runtime
from gancli.training.setup import mean_image

HERE = Path(__file__).parent
SIZE, COUNT, CLASSES = 16, 24, 3
TOY = (
    "train.batch_size=4",
    "train.images=1000",
    "runtime.device=cpu",
    "runtime.precision=fp32",
    "runtime.threads=1",
)


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch):
    """Half of the time of such trainings would be plots."""
    monkeypatch.setattr("gancli.training.session.plot_losses", lambda _, path: path.touch())


def images(channels, count=COUNT, side=SIZE, seed=0):
    """Smooth uint8 images ``(count, channels, side, side)``."""
    phase = np.random.default_rng(seed).uniform(0, 2 * math.pi, (count, channels, 1, 1, 2))
    grid = np.stack(np.meshgrid(*[np.linspace(0, 3, side)] * 2), -1)
    waves = np.sin(grid + phase).prod(-1)
    return (127.5 * (1 + waves)).astype(np.uint8)


@dataclass
class Training:
    """What a training of a paper consists of."""

    config: RunConfig
    trainer: Trainer
    image: ImageSpec

    @property
    def state(self):
        return self.trainer.state

    def train(self, steps):
        """The reports of these steps, merged: every column that was there."""
        merged: dict[str, list[float]] = {}
        for _ in range(steps):
            for name, value in self.trainer.step(self.state.step / 100).items():
                merged.setdefault(name, []).append(float(value))
        return merged


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def module():
    """``(paper's file, class)`` -> the module that a plugin's file became."""
    import sys

    def module(file, name):
        return sys.modules[ARCHITECTURES.load(f"{HERE / file}.py:{name}").__module__]

    return module


@pytest.fixture
def start():
    """``(paper, *assignments)`` -> its training, not yet begun."""

    def start(paper, *assignments):
        given = (f"arch.name={paper.target}", *TOY, *paper.settings, *assignments)
        config = resolve(assignments=given, environment={}).config
        pixels, paired = torch.from_numpy(images(paper.channels)), paper.sources == "paired"
        conditional = config.model.conditional
        sources = torch.from_numpy(images(paper.channels, COUNT if paired else 10, seed=1)) if paper.sources else None
        data = ImageSet(
            pixels,
            torch.arange(COUNT) % CLASSES if conditional else None,
            tuple("abc") if conditional else (),
            sources=sources,
            paired=paired,
        )
        image = data.spec(conditional=conditional)
        state, updates = build_training(config, image, torch.device("cpu"), mean_image(pixels))
        batches = Batches(
            pixels,
            data.labels,
            batch_size=config.train.batch_size,
            seed=config.train.seed,
            sources=data.sources,
            paired=data.paired,
        )
        runtime = Runtime(torch.device("cpu"))
        trainer = Trainer(state, updates, batches, runtime, rules=config.train, latent_dim=config.model.latent_dim)
        return Training(config, trainer, image)

    return start


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """``(paper)`` -> an .npz file of labelled images of its channels."""

    def archive(paper):
        path = tmp_path_factory.getbasetemp() / f"paper{paper.channels}.npz"
        if not path.exists():
            np.savez(path, images=images(paper.channels), labels=np.arange(COUNT) % CLASSES)
        return path

    return archive
