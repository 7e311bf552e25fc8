import pytest

from gancli.config.resolve import resolve
from gancli.errors import ConfigError
from gancli.gan.layer_table import networks
from gancli.plugin import ImageSpec


def config(**keys):
    return resolve(flags={"arch.generator_widths": [4], "arch.discriminator_widths": [6], **keys}, environment={}).config


def test_layers_have_shapes_and_parameters():
    found = networks(config(**{"model.latent_dim": 5}), ImageSpec(1, 2, 3))["layers"]
    linear = [(x["player"], x["shape"], x["parameters"]) for x in found if x["type"] == "Linear"]
    assert linear == [
        ("generator", (4,), 5 * 4 + 4),
        ("generator", (6,), 4 * 6 + 6),
        ("discriminator", (6,), 6 * 6 + 6),
        ("discriminator", (1,), 6 + 1),
    ]


def test_conditional_networks():
    plain, conditional = (networks(config(), ImageSpec(1, 2, 3, n))["parameters"]["generator"] for n in (0, 3))
    assert conditional > plain


def test_pictures_that_cannot_be_made(monkeypatch):
    monkeypatch.setattr("gancli.gan.architectures.dense.Dense.supports", lambda *_: "Too small.")
    with pytest.raises(ConfigError, match=r"pictures of 1x1x1\. Too small\."):
        networks(config(), ImageSpec(1, 1, 1))
