"""A small game on random pictures, for tests of the trainer and its state."""

from types import SimpleNamespace

import pytest
import torch

from gancli.config import TrainConfig
from gancli.data.batches import Batches
from gancli.plugin import ImageSpec
from gancli.registry import ARCHITECTURES, OBJECTIVES
from gancli.training.runtime import Runtime
from gancli.training.setup import mean_image
from gancli.training.state import Average, Player, TrainingState
from gancli.training.trainer import Trainer


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
        players = {
            name: Player(network, torch.optim.Adam(network.parameters(), betas=rules.betas, fused=True))
            for name, network in (("generator", networks.generator), ("discriminator", networks.discriminator))
        }
        state = TrainingState(players, Average(networks.generator))
        batches = Batches(images, labels, batch_size=rules.batch_size, seed=rules.seed)
        goal = OBJECTIVES.load(objective)(**(options or {}))
        trainer = Trainer(state, goal, batches, Runtime(torch.device("cpu")), rules, latent_dim)
        return SimpleNamespace(state=state, trainer=trainer, batches=batches, rules=rules, image=image, **vars_of(networks))

    def vars_of(networks):
        return {"generator": networks.generator, "discriminator": networks.discriminator}

    return make


@pytest.fixture
def weights_of():
    """``(network)`` -> a copy of its parameters and buffers."""
    return lambda network: {name: value.clone() for name, value in network.state_dict().items()}
