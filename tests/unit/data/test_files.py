import numpy as np
import pytest
from PIL import Image

from gancli.data.files import load_files
from gancli.errors import DatasetError
from gancli.plugin import ImageSpec


def test_images_are_fitted_as_in_training(tmp_path):
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    cropped = load_files([tmp_path / "wide.png"], ImageSpec(1, 4, 4), {})
    padded = load_files([tmp_path / "wide.png"], ImageSpec(1, 4, 4), {"data.fit": "pad", "data.background": "black"})
    assert cropped.shape == (1, 1, 4, 4)
    assert cropped.min() > 0.5
    assert padded[0, 0, 0, 0] == -1


def test_a_file_that_is_not_an_image_is_one_error(tmp_path):
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(DatasetError, match="cannot be read as an image"):
        load_files([tmp_path / "x.png"], ImageSpec(1, 4, 4), {})
    with pytest.raises(DatasetError):
        load_files([tmp_path / "none.png"], ImageSpec(1, 4, 4), {})
