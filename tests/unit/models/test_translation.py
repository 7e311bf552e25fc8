"""Models that translate images, and the size of the images that they take."""

import pytest
import torch
from torch import nn

from gancli.errors import UsageError
from gancli.models.loading import load
from gancli.models.model import Model
from gancli.plugin import ImageSpec


@pytest.fixture
def model(translators):
    return load("cyclegan", runs_dir=translators)


def test_images_of_any_size_and_number(model):
    images = torch.rand(5, 3, 19, 33) * 2 - 1
    translated = model.translate(images, batch_size=2)
    assert translated.shape == images.shape
    assert torch.allclose(translated[3:], model.translate(images[3:]), atol=1e-5)
    assert torch.equal(model.translate(images.numpy()), model.translate(images))


class Fixed(nn.Module):
    """Inverts images of 8 x 8, and knows no others."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 64, bias=False)
        self.layer.weight = nn.Parameter(-torch.eye(64))

    def forward(self, z, source):  # noqa: ARG002
        return self.layer(source.flatten(1)).unflatten(1, (1, 8, 8))


def test_a_network_of_one_size_is_given_images_of_its_size(model):
    small = Model(Fixed(), 1, ImageSpec(1, 8, 8, source=(1, 8, 8)), (), model.origin)
    halves = torch.cat([torch.full((1, 1, 24, 20), -0.5), torch.full((1, 1, 24, 20), 0.5)], 3)
    translated = small.translate(halves)
    assert translated.shape == halves.shape
    assert torch.allclose(translated[..., :10], torch.tensor(0.5), atol=1e-5)
    assert torch.allclose(translated[..., -10:], torch.tensor(-0.5), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 1, 16, 16), (0, 3, 16, 16)])
def test_images_of_another_kind_are_refused(model, shape):
    with pytest.raises(UsageError, match=r"cannot be translated\. They have to be \(n, 3, h, w\)"):
        model.translate(torch.zeros(shape))


def test_no_image_without_an_image(model):
    for generate in (model.sample, model.interpolate, lambda: model.points([0])):
        with pytest.raises(UsageError, match="Use `gancli translate"):
            generate()
    with pytest.raises(UsageError, match="Use `gancli sample`"):
        load("latent", runs_dir=model.origin.checkpoint.parents[2]).translate(torch.zeros(1, 3, 16, 16))


def test_raw_weights_of_the_way_back(model, translators):
    back, raw = (load("cyclegan", runs_dir=translators, back=True, weights=weights) for weights in ("ema", "raw"))
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(back.translate(images), raw.translate(images))  # never trained
    assert not torch.equal(back.translate(images), model.translate(images))
