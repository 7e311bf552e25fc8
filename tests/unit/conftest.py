"""Networks, models and data of no size, which need no training."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from gancli.checkpoint.provenance import Origin, Provenance
from gancli.config.schema import TrainConfig
from gancli.data.batches import Batches
from gancli.gan.build import assemble
from gancli.gan.trainer import Trainer
from gancli.models.loading import load
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


class Tanh(nn.Module):
    """``tanh(W z + V y)``."""

    def __init__(self, image, latent_dim):
        super().__init__()
        self.image = image
        torch.manual_seed(3)
        self.linear = nn.Linear(latent_dim, image.channels * image.height * image.width)
        self.embedding = nn.Embedding(image.classes, self.linear.out_features) if image.classes else None

    def forward(self, z, labels=None):
        x = self.linear(z)
        return (x if labels is None else x + self.embedding(labels)).tanh().unflatten(1, self.image.shape)


@pytest.fixture
def tanh_model():
    """``(classes)`` -> a model of 8x8 pixels and 6 dimensions of z whose generator is known: linear, then tanh."""

    def make(classes):
        image = ImageSpec(1, 8, 8, classes)
        provenance = {"arch": {"name": "x"}, "dataset": {"name": "none"}}
        origin = Origin("run", Path("run"), 1, "0" * 64, "ema", provenance)
        return Model(Tanh(image, 6), 6, image, tuple(map(str, range(classes))), origin)

    return make


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


COLOURING = f"{Path(__file__).parents[2] / 'examples' / 'colouring.py'}:Colouring"


@pytest.fixture(scope="session")
def colouring_file():
    """The architecture of the run ``colouring``."""
    return COLOURING


@pytest.fixture(scope="session")
def grey_and_colour(tmp_path_factory):
    """A folder with two folders of pairs, ``grey`` and ``colour``: 24 squares of 16x16 to train on, 6 to test with."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pairs")
    for i in range(30):
        image = Image.new("RGB", (16, 16), (8 * i, 120, 255 - 8 * i))
        image.paste((250 - 8 * i, 30, 8 * i), (i % 8, 2, i % 8 + 8, 12))
        for name, mode in (("grey", "L"), ("colour", "RGB")):
            target = folder / name / ("test" if i % 5 == 4 else "train") / f"{i}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            image.convert(mode).save(target)
    return folder


@pytest.fixture(scope="session")
def untrained():
    """``(*assignments, runs_dir, name, step)`` -> the directory of a run with one checkpoint, as a training writes it."""

    def make(*assignments, runs_dir, name, step=7):
        from gancli.checkpoint.store import CheckpointStore
        from gancli.config.resolve import resolve
        from gancli.data.source import located
        from gancli.runs import create_run, mark_latest
        from gancli.training.run import config_document
        from gancli.training.setup import set_up

        torch.set_num_threads(1)
        game = set_up(located(resolve(assignments=["runtime.device=cpu", *assignments], environment={}).config))
        run = create_run(runs_dir, name, game.data.name, game.arch.name.rpartition(":")[2])
        run.config_path.write_bytes(config_document(game.config))
        game.state.step = step
        facts = game.facts().model_copy(update={"step": step})
        CheckpointStore(run.checkpoints).save(step, game.state.files(facts.document()), images_seen=0, facts=facts.document())
        run.write_info({"name": name, "status": "done", "step": step})
        mark_latest(run)
        return run.path

    return make


@pytest.fixture(scope="session")
def translators(grey_and_colour, untrained, tmp_path_factory):
    """A directory of runs: ``cyclegan``, which translates both ways, ``colouring``, in a file, and ``latent``; the last."""
    runs = tmp_path_factory.mktemp("translators") / "runs"
    data = [f"data.dataset={grey_and_colour / 'grey'}", f"data.to={grey_and_colour / 'colour'}"]
    small = ["arch.channels=4", "arch.blocks=1", "arch.discriminator_layers=1"]
    untrained(*data, "arch.name=cyclegan", *small, runs_dir=runs, name="cyclegan")
    untrained(*data, "data.paired=true", f"arch.name={COLOURING}", "arch.width=4", runs_dir=runs, name="colouring")
    widths = ["arch.generator_widths=[8]", "arch.discriminator_widths=[8]"]
    untrained(f"data.dataset={grey_and_colour / 'colour'}", *widths, runs_dir=runs, name="latent")
    return runs


@pytest.fixture
def translator(translators):
    """The model of ``cyclegan``."""
    return load("cyclegan", runs_dir=translators)


@pytest.fixture(scope="session")
def noise():
    """``(height, width, channels=3)`` -> two images of noise."""

    def noise(height, width, channels=3):
        return np.random.default_rng(0).uniform(-1, 1, (2, channels, height, width)).astype(np.float32)

    return noise
