from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.evaluation import nearest as module
from gancli.evaluation.nearest import picture, pixel_neighbours
from gancli.images import PADDING


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
    png = picture(generated, training, distances, indices[:, 0], indices[:, 0])
    with Image.open(BytesIO(png)) as shown:
        pixels = np.asarray(shown)
    rows = [pixels[PADDING + row * 8 : PADDING + row * 8 + 6, PADDING : PADDING + 6] for row in range(3)]
    assert all((row == training[7, 0].numpy()).all() for row in rows)
