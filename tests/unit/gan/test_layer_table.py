from pathlib import Path

import pytest

from gancli.config.resolve import resolve
from gancli.errors import ConfigError
from gancli.gan.layer_table import networks
from gancli.plugin import ImageSpec


def config(**keys):
    return resolve(flags={"arch.generator_widths": [4], "arch.discriminator_widths": [6], **keys}, environment={}).config


def test_layers_and_parameters():
    found = networks(config(**{"model.latent_dim": 5, "arch.patch_size": 0}), ImageSpec(1, 2, 3))
    assert found["parameters"] == {"generator": 5 * 4 + 4 + 4 * 6 + 6, "discriminator": 6 * 6 + 6 + 6 + 1}
    assert "Linear(in_features=5, out_features=4" in found["layers"]["generator"]


FOREIGN = Path(__file__).parents[2] / "foreign.py"


@pytest.mark.parametrize("name", ["StyleGAN2", "Pix2Pix", "WeightNorm", "Projected"])
def test_every_network_is_there(name):
    chosen = resolve(flags={"arch.name": f"{FOREIGN}:{name}"}, environment={}).config
    found = networks(chosen, ImageSpec(3, 8, 8))
    expected = {"Projected": ["features", "encoder"]}.get(name, [])
    assert list(found["parameters"]) == list(found["layers"]) == ["generator", "discriminator", *expected]
    assert min(found["parameters"].values()) > 0


def test_conditional_networks():
    plain, conditional = (networks(config(), ImageSpec(1, 2, 3, n))["parameters"]["generator"] for n in (0, 3))
    assert conditional > plain


def test_images_that_cannot_be_made(monkeypatch):
    monkeypatch.setattr("gancli.gan.architectures.dense.Dense.supports", lambda *_: "Too small.")
    with pytest.raises(ConfigError, match=r"images of 1x1x1\. Too small\."):
        networks(config(), ImageSpec(1, 1, 1))
