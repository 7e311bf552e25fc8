"""Networks, models and data of no size, which need no training."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gancli.checkpoint.provenance import Origin, Provenance
from gancli.config.schema import TrainConfig
from gancli.data.batches import Batches
from gancli.gan.build import assemble
from gancli.gan.trainer import Trainer
from gancli.models.model import Model
from gancli.plugin import ImageSpec
from gancli.plugins.registry import ARCHITECTURES, OBJECTIVES
from gancli.runtime.device import Runtime
from gancli.training.setup import mean_image


@pytest.fixture
def make_game():
    """``(arch options, objective name, objective options, classes, **train)`` -> networks, state and trainer."""
    torch.set_num_threads(1)

    def make(arch=None, objective="non-saturating", options=None, classes=0, **train):
        image, latent_dim = ImageSpec(1, 6, 6, classes), 5
        plugin = ARCHITECTURES.load("dense")
        config = plugin.Config(**{"generator_widths": (8,), "discriminator_widths": (8,), **(arch or {})})
        torch.manual_seed(0)
        networks = plugin().build(config, image, latent_dim)
        rules = TrainConfig(epochs=1, **{"batch_size": 4, "learning_rate": 1e-3, "learning_rate_decay": 0, **train})
        generator = torch.Generator().manual_seed(1)
        images = torch.randint(0, 256, (32, 1, 6, 6), dtype=torch.uint8, generator=generator)
        labels = torch.arange(32) % classes if classes else None
        plugin().calibrate(networks, mean_image(images))
        batches = Batches(images, labels, batch_size=rules.batch_size, seed=rules.seed)
        goal = OBJECTIVES.load(objective)(**(options or {}))
        state, updates = assemble(plugin(), config, goal, networks, rules)
        trainer = Trainer(state, updates, batches, Runtime(torch.device("cpu")), rules=rules, latent_dim=latent_dim)
        return SimpleNamespace(state=state, trainer=trainer, batches=batches, rules=rules, image=image, **vars_of(networks))

    def vars_of(networks):
        return {"generator": networks.generator, "discriminator": networks.discriminator}

    return make


@pytest.fixture
def weights_of():
    """``(network)`` -> a copy of its parameters and buffers."""
    return lambda network: {name: value.clone() for name, value in network.state_dict().items()}


class Smooth(nn.Module):
    """``tanh(W z)``, which may fail at its n-th batch."""

    def __init__(self, image, fails_at):
        super().__init__()
        self.image, self.fails_at, self.calls = image, fails_at, 0
        self.linear = nn.Linear(3, image.channels * image.height * image.width)

    def forward(self, z):
        self.calls += 1
        if self.calls == self.fails_at:
            raise RuntimeError("drawing failed")
        return self.linear(z).tanh().unflatten(1, self.image.shape)


@pytest.fixture(scope="session")
def smooth_model():
    """``(image, fails_at)`` -> a model whose pictures change smoothly with the latent."""

    def make(image, fails_at=None):
        facts = {
            "arch": {"name": "smooth", "distribution": "none", "version": "1", "options": {}},
            "image": {"channels": 1, "height": 1, "width": 1},
            "classes": [],
            "latent_dim": 1,
            "dataset": {"name": "none"},
        }
        torch.manual_seed(0)
        return Model(
            Smooth(image, fails_at),
            3,
            image,
            (),
            Origin("run", Path("run"), 1, "0" * 64, "ema", Provenance.parse(facts, Path())),
        )

    return make
