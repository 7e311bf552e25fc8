from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gancli.config.resolve import resolve
from gancli.errors import ConfigError
from gancli.gan.layer_table import networks
from gancli.plugin import ImageSpec, Networks
from gancli.plugins.registry import ARCHITECTURES


def config(**keys):
    return resolve(flags={"arch.generator_widths": [4], "arch.discriminator_widths": [6], **keys}, environment={}).config


def test_layers_have_shapes_and_parameters():
    found = networks(config(**{"model.latent_dim": 5, "arch.patch_size": 0}), ImageSpec(1, 2, 3))["layers"]
    linear = [(x["network"], x["shape"], x["parameters"]) for x in found if x["type"] == "Linear"]
    assert linear == [
        ("generator", (4,), 5 * 4 + 4),
        ("generator", (6,), 4 * 6 + 6),
        ("discriminator", (6,), 6 * 6 + 6),
        ("discriminator", (1,), 6 + 1),
    ]


FOREIGN = Path(__file__).parents[2] / "foreign.py"


@pytest.mark.parametrize("name", ["StyleGAN2", "Pix2Pix", "WeightNorm", "Projected"])
def test_every_parameter_belongs_to_one_layer(name):
    chosen = resolve(flags={"arch.name": f"{FOREIGN}:{name}"}, environment={}).config
    found = networks(chosen, ImageSpec(3, 8, 8))
    for network, count in found["parameters"].items():
        assert sum(x["parameters"] for x in found["layers"] if x["network"] == network) == count > 0
    expected = {"Projected": ["features", "encoder"]}.get(name, [])
    assert list(found["parameters"]) == ["generator", "discriminator", *expected]


def test_a_layer_that_is_called_twice_and_one_with_children():
    chosen = resolve(flags={"arch.name": f"{FOREIGN}:StyleGAN2"}, environment={}).config
    rows = [x for x in networks(chosen, ImageSpec(1, 8, 8))["layers"] if x["network"] == "generator"]
    assert len({x["name"] for x in rows}) == len(rows)
    assert {x["name"]: x["parameters"] for x in rows}["first"] == 8 * 8 * 9 + 1 + 8


def test_conditional_networks():
    plain, conditional = (networks(config(), ImageSpec(1, 2, 3, n))["parameters"]["generator"] for n in (0, 3))
    assert conditional > plain


def test_every_parameter_is_shown_where_it_is(monkeypatch):
    class Weighted(nn.Module):
        """Has a weight and children, a spectral norm, a layer used twice, and one that is never called."""

        def __init__(self):
            super().__init__()
            self.constant = nn.Parameter(torch.zeros(7))
            self.inner = nn.Linear(5, 6)
            self.normed = spectral_norm(nn.Linear(6, 6))
            self.idle = nn.Linear(2, 2)
            self.again = self.inner

        def forward(self, z):
            return self.normed(self.inner(z)).unflatten(1, (1, 2, 3))

    monkeypatch.setattr(
        "gancli.gan.architectures.dense.Dense.build",
        lambda *_: Networks(Weighted(), nn.Sequential(nn.Flatten(), nn.Linear(6, 1), nn.Flatten(0))),
    )
    found = networks(config(**{"model.latent_dim": 5}), ImageSpec(1, 2, 3))
    rows = [(x["name"], x["shape"], x["parameters"]) for x in found["layers"] if x["network"] == "generator"]
    assert rows == [("inner", (6,), 36), ("normed", (6,), 42), ("", (1, 2, 3), 7), ("idle", (), 6)]
    assert sum(count for *_, count in rows) == found["parameters"]["generator"]


@pytest.mark.parametrize("arch", sorted({"dense", "dcgan", "resnet"} & set(ARCHITECTURES.names())))
def test_the_layers_of_every_architecture_have_all_its_parameters(arch):
    found = networks(resolve(flags={"arch.name": arch}, environment={}).config, ImageSpec(1, 32, 32))
    for network, parameters in found["parameters"].items():
        assert sum(layer["parameters"] for layer in found["layers"] if layer["network"] == network) == parameters


def test_images_that_cannot_be_made(monkeypatch):
    monkeypatch.setattr("gancli.gan.architectures.dense.Dense.supports", lambda *_: "Too small.")
    with pytest.raises(ConfigError, match=r"images of 1x1x1\. Too small\."):
        networks(config(), ImageSpec(1, 1, 1))
