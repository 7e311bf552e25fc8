"""Sampling with and without a mapping network: points, truncation. Translating, and the size of the images that it takes."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gancli.checkpoint.provenance import Origin
from gancli.errors import UsageError
from gancli.models.loading import load
from gancli.models.model import Model
from gancli.plugin import ImageSpec

IMAGE = ImageSpec(1, 4, 4)


class TwoStage(nn.Module):
    """A mapping of no linear kind, and a linear synthesis."""

    def __init__(self, layers=0):
        super().__init__()
        self.layers = layers
        self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 16)
        self.register_buffer("mean_w", torch.arange(5.0))

    def mapping(self, z, *_):
        w = self.first(z).exp()
        return w[:, None].repeat(1, self.layers, 1) if self.layers else w

    def synthesis(self, w):
        return self.second(w.mean(1) if w.ndim == 3 else w).unflatten(1, (1, 4, 4))

    def forward(self, z, *conditions):
        return self.synthesis(self.mapping(z, *conditions))


class OneStage(nn.Module):
    """Every pixel is the first component of z."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, z):
        return (self.scale * z[:, :1]).expand(-1, 16).unflatten(1, (1, 4, 4))


def model_of(generator):
    torch.manual_seed(0)
    provenance = {"arch": {"name": "x"}, "dataset": {"name": "none"}}
    return Model(generator, 3, IMAGE, (), Origin("run", Path("run"), 1, "0" * 64, "ema", provenance))


@pytest.mark.parametrize("layers", [0, 3])
def test_points_are_w_where_there_is_a_mapping_network(layers):
    model = model_of(TwoStage(layers))
    points = model.points(range(4))
    assert points.shape == (4, 5 * max(1, layers))
    torch.testing.assert_close(model.render(points), model.sample(4))


def test_truncation_moves_w_toward_its_mean():
    model = model_of(TwoStage())
    whole, half, centre = (model.points(range(6), truncation=psi) for psi in (1, 0.5, 0.05))
    mean = model.generator.mean_w
    torch.testing.assert_close(half - mean, (whole - mean) / 2)
    torch.testing.assert_close(centre - mean, (whole - mean) / 20)
    torch.testing.assert_close(model.sample(6, truncation=0.5), model.render(half))


def test_without_a_mapping_network_the_most_typical_of_several_candidates_is_taken():
    """Of a generator whose images are far from the others where z is large: fewer of them the stronger the truncation."""
    model = model_of(OneStage())
    spreads = [float(model.sample(300, truncation=psi)[:, 0, 0, 0].abs().quantile(0.9)) for psi in (1, 0.5, 0.1)]
    assert spreads[0] > 1.3 * spreads[2]
    assert spreads[0] > spreads[1] > spreads[2]
    alone = model.sample(seeds=[7], truncation=0.25)
    torch.testing.assert_close(alone[0], model.sample(seeds=[3, 7, 9], truncation=0.25)[1])


@pytest.mark.parametrize("truncation", [0, 0.04, 1.01, -1, float("nan")])
def test_F40_a_truncation_out_of_range_is_refused(truncation):
    with pytest.raises(UsageError, match="out of range"):
        model_of(TwoStage()).sample(2, truncation=truncation)


def test_interpolation_is_straight_in_w():
    model = model_of(TwoStage())
    frames = torch.cat(list(model.interpolate(5, keyframes=[0, 1], loop=False)))
    ends = model.sample(seeds=[0, 1])
    torch.testing.assert_close(frames[2], ends.mean(0))  # synthesis is linear here


def test_images_of_any_size_and_number(translator):
    images = torch.rand(5, 3, 19, 33) * 2 - 1
    translated = translator.translate(images, batch_size=2)
    assert translated.shape == images.shape
    assert torch.allclose(translated[3:], translator.translate(images[3:]), atol=1e-5)
    assert torch.equal(translator.translate(images.numpy()), translator.translate(images))


class Fixed(nn.Module):
    """Inverts images of 8 x 8, and knows no others."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 64, bias=False)
        self.layer.weight = nn.Parameter(-torch.eye(64))

    def forward(self, z, source):  # noqa: ARG002  (the signature is given)
        return self.layer(source.flatten(1)).unflatten(1, (1, 8, 8))


def test_a_network_of_one_size_is_given_images_of_its_size(translator):
    small = Model(Fixed(), 1, ImageSpec(1, 8, 8, source=(1, 8, 8)), (), translator.origin)
    halves = torch.cat([torch.full((1, 1, 24, 20), -0.5), torch.full((1, 1, 24, 20), 0.5)], 3)
    translated = small.translate(halves)
    assert translated.shape == halves.shape
    assert torch.allclose(translated[..., :10], torch.tensor(0.5), atol=1e-5)
    assert torch.allclose(translated[..., -10:], torch.tensor(-0.5), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 1, 16, 16), (0, 3, 16, 16)])
def test_images_of_another_kind_are_refused(translator, shape):
    with pytest.raises(UsageError, match=r"cannot be translated\. They have to be \(n, 3, h, w\)"):
        translator.translate(torch.zeros(shape))


def test_no_image_without_an_image(translator):
    for generate in (translator.sample, translator.interpolate, lambda: translator.points([0])):
        with pytest.raises(UsageError, match="Use `gancli translate"):
            generate()
    with pytest.raises(UsageError, match="Use `gancli sample`"):
        load("latent", runs_dir=translator.origin.checkpoint.parents[2]).translate(torch.zeros(1, 3, 16, 16))


def test_raw_weights_of_the_way_back(translator, translators):
    back, raw = (load("cyclegan", runs_dir=translators, back=True, weights=weights) for weights in ("ema", "raw"))
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(back.translate(images), raw.translate(images))  # never trained
    assert not torch.equal(back.translate(images), translator.translate(images))
