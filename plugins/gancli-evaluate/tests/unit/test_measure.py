import math
import re
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gancli.data import load_images
from gancli.errors import DatasetError
from gancli.images import PADDING
from gancli.models.loading import load
from gancli.models.model import Model
from gancli_evaluate import measure as module
from gancli_evaluate.measure import _asked_digits, _bias_of_few, evaluate, nearest_sheet, pixel_neighbours
from gancli_evaluate.reference import load_reference
from gancli_evaluate.subject import data_of_translator, of_translator

DIGITS = tuple("0123456789")


def asked(numbers, names):
    found = _asked_digits(SimpleNamespace(asked=torch.tensor(numbers), class_names=names), DIGITS)
    return None if found is None else found.tolist()


def test_requested_classes_are_compared_with_digits_by_name():
    assert asked([0, 8, 1], tuple("123456789")) == [1, 9, 2]
    assert asked([0, 1], ("7", "1")) == [7, 1]
    assert asked([3, 9], DIGITS) == [3, 9]


def test_classes_that_are_no_digits_are_compared_with_none():
    assert asked([0, 1], ("cat", "dog")) is None
    assert asked([0, 1], ("1", "10")) is None
    assert _asked_digits(SimpleNamespace(asked=None, class_names=()), DIGITS) is None


def test_the_distance_of_few_images_says_that_it_is_biased_by_few():
    features = torch.randn(5000, 8, generator=torch.Generator().manual_seed(0)) * 11
    reference = SimpleNamespace(
        real=None,
        reading=lambda _: SimpleNamespace(features=features),
        extractor=SimpleNamespace(distances=("FD-x", "KD-x")),
    )
    (note,) = _bias_of_few(reference, 20)
    said = re.fullmatch(r"FD-x of only 20 images is biased upward: 20 real images score ([\d.]+)\. Evaluate more\.", note)
    assert float(said[1]) > 100
    assert _bias_of_few(reference, 1000) == ()
    assert _bias_of_few(reference, 2600) == ()


def digits(n, seed, size=6):
    return torch.randint(0, 256, (n, 1, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def floats(pixels):
    return pixels.float() / 127.5 - 1


def test_neighbours_are_found_across_chunks(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 30)
    training, pictures = digits(100, 1), floats(digits(8, 2))
    distances, indices = pixel_neighbours(pictures, training)
    every = (pictures[:, None] - floats(training)[None]).flatten(2).square().mean(2).sqrt()
    expected = every.sort(dim=1)
    torch.testing.assert_close(distances, expected.values[:, :10], atol=1e-5, rtol=1e-5)
    assert torch.equal(indices, expected.indices[:, :10])


def test_large_pictures_are_compared_at_a_smaller_size():
    training = digits(3, 1, size=100)
    distances, indices = pixel_neighbours(floats(training), training)
    assert indices[:, 0].tolist() == [0, 1, 2]
    assert distances[:, 0].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert distances.shape == (3, 3)


def test_the_likeliest_copies_are_shown_first_over_what_they_copy():
    training, generated = digits(50, 1), floats(digits(40, 2))
    generated[23] = floats(training[7])
    distances, indices = pixel_neighbours(generated, training)
    png = nearest_sheet(generated, training, distances, indices[:, 0], indices[:, 0])
    with Image.open(BytesIO(png)) as shown:
        pixels = np.asarray(shown)
    rows = [pixels[PADDING + row * 8 : PADDING + row * 8 + 6, PADDING : PADDING + 6] for row in range(3)]
    assert all((row == training[7, 0].numpy()).all() for row in rows)


@pytest.fixture
def colouring(translators, colouring_file):
    return load("colouring", runs_dir=translators, arch=colouring_file)


class Right(nn.Module):
    """Knows the counterpart of every source image; adds an error."""

    def __init__(self, images, error):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(float(error)))
        self.sources, self.targets = (each.float() / 127.5 - 1 for each in (images.sources, images.images))

    def forward(self, z, source):  # noqa: ARG002  (the signature is given)
        nearest = torch.cdist(source.flatten(1), self.sources.flatten(1)).argmin(1)
        return (self.targets[nearest] + self.weight).clamp(-1, 1)


def reference_of(model):
    data = data_of_translator(model)
    return load_reference(data, against="train", extractor="random", device=torch.device("cpu"), tell=print)


def test_the_truth_is_no_distance_from_the_truth(colouring):
    images = load_images(data_of_translator(colouring)).images
    model = Model(Right(images, 0), 1, colouring.image, (), colouring.origin)
    reference = reference_of(model)
    report, _ = evaluate(of_translator(model, reference), reference)
    value = {name: estimate.value for name, estimate in report.figures.items()}
    assert value["L1"] == pytest.approx(0, abs=1e-6)
    assert value["SSIM"] == pytest.approx(1, abs=1e-4)
    difference = (images.sources.float() - images.images.float()) / 127.5
    assert value["L1 of the input"] == pytest.approx(float(difference.abs().mean()), rel=1e-4)
    psnr = (10 * torch.log10(4 / difference.square().flatten(1).mean(1))).mean()
    assert value["PSNR of the input"] == pytest.approx(float(psnr), rel=1e-4)
    assert value["FD-random"] < value["FD-random of the input"] / 100
    assert list(value)[:2] == ["FD-random", "FD-random of the input"]


def test_so_many_images(colouring):
    images = load_images(data_of_translator(colouring)).images
    model = Model(Right(images, 0.1), 1, colouring.image, (), colouring.origin)
    reference = reference_of(model)
    report, _ = evaluate(of_translator(model, reference, 12), reference)
    assert (report.images, report.figures["L1"].count) == (12, 12)
    assert 0 < report.figures["L1"].value < 0.11
    assert math.isfinite(report.figures["PSNR"].value)


def test_other_data_are_refused(colouring, translators):
    latent = load("latent", runs_dir=translators)
    data = data_of_translator(latent)
    reference = load_reference(data, against=None, extractor="random", device=torch.device("cpu"), tell=print)
    with pytest.raises(DatasetError, match="has no source images that the model"):
        of_translator(colouring, reference)
