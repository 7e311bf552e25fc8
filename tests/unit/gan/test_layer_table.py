from pathlib import Path

import pytest

from gancli.config.resolve import resolve
from gancli.errors import ConfigError
from gancli.gan.layer_table import networks
from gancli.plugin import ImageSpec


def config(**keys):
    return resolve(flags={"arch.generator_widths": [4], "arch.discriminator_widths": [6], **keys}, environment={}).config


def test_layers_have_shapes_and_parameters():
    found = networks(config(**{"model.latent_dim": 5}), ImageSpec(1, 2, 3))["layers"]
    linear = [(x["network"], x["shape"], x["parameters"]) for x in found if x["type"] == "Linear"]
    assert linear == [
        ("generator", (4,), 5 * 4 + 4),
        ("generator", (6,), 4 * 6 + 6),
        ("discriminator", (6,), 6 * 6 + 6),
        ("discriminator", (1,), 6 + 1),
    ]


FOREIGN = Path(__file__).parents[1] / "testing" / "foreign.py"


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


def test_images_that_cannot_be_made(monkeypatch):
    monkeypatch.setattr("gancli.gan.architectures.dense.Dense.supports", lambda *_: "Too small.")
    with pytest.raises(ConfigError, match=r"images of 1x1x1\. Too small\."):
        networks(config(), ImageSpec(1, 1, 1))
