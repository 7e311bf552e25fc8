"""Generators to export: trained ones of every kind, and made-up ones that do what a plugin's author may think of."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gancli.checkpoint.provenance import Origin, Provenance
from gancli.export.formats import choose, trained_generator
from gancli.models.model import Model
from gancli.plugin import ImageSpec
from gancli.plugins.registry import ARCHITECTURES


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


def built(run, arch, image, latent_dim, **options):
    """A model with fresh weights that says about itself what a run of two steps would."""
    entry = ARCHITECTURES.find(arch)
    plugin = ARCHITECTURES.load_entry(entry)()
    config = plugin.Config(**options)
    torch.manual_seed(0)
    generator = plugin.build(config, image, latent_dim).generator
    made_by = {"name": entry.name, "distribution": entry.distribution, "version": entry.version}
    facts = {
        "arch": {**made_by, "options": config.model_dump(mode="json")},
        "image": {"channels": image.channels, "height": image.height, "width": image.width},
        "classes": [str(i) for i in range(image.classes)],
        "latent_dim": latent_dim,
        "dataset": {"name": "mnist", "licence": "CC BY-SA 3.0"},
        "config": {"train.images": 256, "data.dataset": "/home/me/mnist", "runtime.device": "cpu"},
        "environment": {"elapsed_seconds": 3},
    }
    origin = Origin(
        run, Path(f"runs/{run}/checkpoints/step-000000002"), 2, "0123456789abcdef" * 4, "ema", Provenance.parse(facts, Path())
    )
    return Model(generator, latent_dim, image, tuple(facts["classes"]), origin)


@pytest.fixture(scope="session")
def models():
    """Each kind of model by its name."""
    pytest.importorskip("gancli_dcgan")
    return {
        "small": built("small", "dense", ImageSpec(1, 8, 8), 8, generator_widths=[32]),
        "classes": built("classes", "dense", ImageSpec(1, 8, 8, 3), 8, generator_widths=[32]),
        "plain": built("plain", "dense", ImageSpec(1, 28, 28), 64),
        "mnist": built("mnist", "dense", ImageSpec(1, 28, 28, 10), 64),
        "dcgan": built("dcgan", "dcgan", ImageSpec(1, 28, 28, 10), 8, channels=8),
    }


@pytest.fixture(scope="session")
def write(tmp_path_factory):
    """``(model, suffix, **options) -> (bytes, difference)``: an export, compared with its generator."""

    def write(model, suffix, **options):
        path = tmp_path_factory.mktemp("exports") / "generator"
        difference = choose(Path(suffix), suffix, options).write(trained_generator(model), path)
        return path.read_bytes(), difference

    return write


@pytest.fixture(scope="session")
def exported(models, write):
    """``(name, suffix, **options) -> bytes``: an export of that model, made once."""
    made = {}

    def exported(name, suffix, **options):
        key = (name, suffix, *sorted(options.items()))
        if key not in made:
            made[key] = write(models[name], suffix, **options)
        return made[key][0]

    return exported
