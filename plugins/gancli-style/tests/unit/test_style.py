"""What is StyleGAN2's own; the rules of the contract are in tests/whole."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from gancli.config.resolve import resolve
from gancli.plugin import ImageSpec, Networks
from gancli_style import Style, StyleConfig
from gancli_style.networks import Modulated, StyleDiscriminator, StyleGenerator, blur, upsample

SMALL = {"channels": 4, "max_channels": 8, "w_dim": 8}


def build(image: ImageSpec, **options: Any) -> Networks:
    torch.manual_seed(0)
    return Style().build(StyleConfig.model_validate(SMALL | options), image, 6)


def test_runs_of_0_1_keep_their_networks_and_a_new_one_gets_todays() -> None:
    stored = {"channels": 16, "mixing": 0.9, "path_length_interval": 4}
    old = StyleConfig.model_validate(Style().migrate(stored, "0.1.0"))
    assert (old.upsampling, old.discriminator_channels, old.growth) == ("bilinear", None, 2)
    assert resolve(assignments=["arch.name=style"], environment={}, preferences=False).arch.options == StyleConfig()
    new = resolve(assignments=["arch.name=style"], environment={}).arch.options
    assert isinstance(new, StyleConfig)
    assert new.upsampling == "transposed"


@pytest.mark.parametrize("up", ["", "bilinear", "transposed"])
def test_a_modulated_convolution_equals_one_with_weights_of_its_own_for_each_image(up: str) -> None:
    """Equations 1 and 3, as printed."""
    torch.manual_seed(0)
    layer, x, w = Modulated(4, 3, 8, up), torch.randn(5, 4, 6, 6), torch.randn(5, 8)
    made = layer(x, w)
    for image, style, result in zip(x, layer.style(w), made, strict=True):
        modulated = layer.weight / math.sqrt(4 * 9) * style[:, None, None]
        weight = modulated / (modulated.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up == "transposed":
            expected = blur(functional.conv_transpose2d(image[None], weight.transpose(0, 1), stride=2))
        else:
            expected = functional.conv2d(upsample(image[None]) if up else image[None], weight, padding=1)
        torch.testing.assert_close(result, expected[0] * math.sqrt(2), rtol=1e-4, atol=1e-5)


def test_a_transposed_convolution_and_its_filter_double_as_interpolation_does() -> None:
    x = torch.randn(2, 1, 5, 6)
    one = torch.zeros(1, 1, 3, 3)
    one[0, 0, 1, 1] = 1
    made = blur(functional.conv_transpose2d(x, one, stride=2))
    torch.testing.assert_close(made[:, :, 1:-1, 1:-1], upsample(x)[:, :, 1:-1, 1:-1])


def test_styles_are_mixed_from_a_random_layer_on_with_the_given_probability() -> None:
    generator = build(ImageSpec(1, 32, 32), mixing=0.5).generator
    assert isinstance(generator, StyleGenerator)
    own, other = torch.zeros(1000, 8), torch.ones(1000, 8)
    from_other = generator.mixed(own, other)[:, :, 0]
    assert from_other.shape == (1000, generator.layers)
    assert not from_other[:, 0].any()  # the first layer is the image's own
    assert (from_other.diff(dim=1) >= 0).all()  # and so are all before the first that is not
    assert 0.45 < from_other[:, -1].mean() < 0.55


def test_the_deviation_tells_copies_from_variety_and_real_from_generated() -> None:
    discriminator = build(ImageSpec(1, 16, 16)).discriminator
    assert isinstance(discriminator, StyleDiscriminator)
    varied, copies = torch.randn(6, 3, 4, 4), torch.randn(1, 3, 4, 4).expand(6, 3, 4, 4)
    found = discriminator.deviation(torch.cat([varied, copies]))
    assert found[:6].min() > 0.3  # groups of 3: of 4 they would hold both kinds
    assert found[6:].max() < 1e-3


def test_the_mean_of_w_is_of_the_images_own_latents() -> None:
    generator = build(ImageSpec(1, 16, 16), mixing=1.0).generator
    z = torch.randn(4, 6)
    generator(z)
    assert isinstance(generator, StyleGenerator)
    torch.testing.assert_close(generator.mean_w, 0.005 * generator.mapping(z).mean(0))


def test_what_the_latent_weight_does_not_see_changes_nothing() -> None:
    generator = build(ImageSpec(1, 16, 16), w_dim=128).generator.eval()
    assert isinstance(generator, StyleGenerator)
    weight, w = generator.latent_weight().detach(), torch.randn(3, 128)
    unseen = torch.linalg.svd(weight).Vh[len(weight) :]
    torch.testing.assert_close(generator.synthesis(w + unseen.sum(0)), generator.synthesis(w), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(generator.synthesis(w + weight[0]), generator.synthesis(w), atol=0.01)
