import re
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.evaluation import measure as module
from gancli.evaluation.measure import _asked_digits, _bias_of_few, nearest_sheet, pixel_neighbours
from gancli.images import PADDING

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
