"""Generators to export: trained ones of every kind, and made-up ones that do what a plugin's author may think of."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gancli.checkpoint.provenance import Origin, Provenance
from gancli.export.formats import FORMATS, Options, verified
from gancli.models.loading import load
from gancli.models.model import Model
from gancli.plugin import ImageSpec


class Drawn(nn.Module):
    """One linear layer, then whatever a test wants."""

    def __init__(self, then, image):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, image.channels * image.height * image.width)
        self.then, self.shape = then, image.shape

    def forward(self, z):
        return self.then(self.linear(z).unflatten(1, self.shape)).tanh()


@pytest.fixture(scope="session")
def made_up():
    """``(then, image) -> Model``: a generator with that operation in it, which says about itself what a run would."""

    def made_up(then=nn.Identity(), image=ImageSpec(1, 6, 4)):  # noqa: B008  (never changed)
        facts = {
            "arch": {"name": "made-up", "distribution": "none", "version": "1", "options": {}},
            "image": {"channels": image.channels, "height": image.height, "width": image.width},
            "classes": [],
            "latent_dim": 4,
            "dataset": {"name": "nothing", "licence": "CC0"},
        }
        origin = Origin("run", Path("runs/run/checkpoints/step-1"), 1, "0" * 64, "ema", Provenance.parse(facts, Path()))
        return Model(Drawn(then, image), 4, image, (), origin)

    return made_up


@pytest.fixture(scope="session")
def train_mnist(tmp_path_factory):
    """``(name, *assignments)`` -> the directory of a run on MNIST that learnt for a moment."""
    from gancli.config.resolve import resolve
    from gancli.training.run import train

    def train_mnist(name, *assignments):
        asked = resolve(assignments=["train.images=256", "runtime.device=cpu", *assignments], environment={})
        return train(asked.config, runs_dir=tmp_path_factory.mktemp("runs"), name=name).run

    return train_mnist


@pytest.fixture(scope="session")
def models(small_run, small_conditional_run, train_mnist):
    """Each kind of model by its name."""
    pytest.importorskip("gancli_dcgan")
    conditional = "model.conditional=true"
    runs = {
        "small": small_run,
        "classes": small_conditional_run,
        "mnist": train_mnist("mnist", conditional),
        "dcgan": train_mnist("dcgan", conditional, "arch.name=dcgan", "arch.channels=8", "model.latent_dim=8"),
    }
    return {name: load(run) for name, run in runs.items()}


@pytest.fixture(scope="session")
def exported(models):
    """``(name, suffix, **options) -> bytes``: an export of that model, made once."""
    made = {}

    def exported(name, suffix, **options):
        key = (name, suffix, *sorted(options.items()))
        if key not in made:
            made[key] = verified(models[name], FORMATS[suffix], Options(**options))
        return made[key].data

    return exported
