import numpy as np
import pytest
import torch
from PIL import Image

from gancli.errors import UsageError
from gancli.images import read_metadata
from gancli.models.directions import Directions
from gancli.models.latents import read_latents
from gancli.plugin import ImageSpec
from gancli_evaluate.projection import Projection
from gancli_evaluate.sheets import sheet, write_directions, write_projection


@pytest.fixture(params=[1, 3, 4])
def model(request, smooth_model):
    return smooth_model(ImageSpec(request.param, 8, 8))


def test_a_sheet_shows_every_image_in_its_row_and_column():
    images = np.full((4, 64, 64, 1), 255, np.uint8)
    images[2] = 0  # row 1, column 0
    canvas = sheet(images, ["left", "right"], ["one", "two"])
    assert (canvas[-64 - 6 : -6, 6:70] == 0).all()
    assert (canvas[-64 - 6 : -6, 76:140] == 255).all()


def test_a_sheet_that_is_too_large_is_refused():
    with pytest.raises(UsageError, match="Ask for fewer rows"):
        sheet(np.zeros((1, 9000, 9000, 1), np.uint8), ["a"], ["b"])


def test_projected_images_are_written_with_their_sheet(model, tmp_path):
    z = torch.randn(2, 3)
    images = model.draw(z)
    path = write_projection(model, images, Projection(z, None, images, torch.tensor([0.0, 0.5])), tmp_path / "x.npz")
    torch.testing.assert_close(read_latents(tmp_path / "x.npz", model).points, z)
    assert read_metadata(path)["projection"] == 2
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    cell = slice(26, 90), slice(6 + 2 * 70, 6 + 2 * 70 + 64)
    assert pixels[cell].max() == 0, "there is no difference, which is shown black"


def test_directions_as_a_sheet_and_as_arrays(model, tmp_path):
    found = Directions(torch.eye(3)[:2], torch.tensor([2.0, 1.0]), "z", "Jacobian")
    write_directions(model, found, tmp_path / "d.png", seed=5)
    assert read_metadata(tmp_path / "d.png")["seed"] == 5
    write_directions(model, found, tmp_path / "d.npz")
    with np.load(tmp_path / "d.npz") as arrays:
        assert arrays["vectors"].tolist() == found.vectors.tolist()
        assert str(arrays["space"]) == "z"
