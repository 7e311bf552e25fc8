"""Single image files, fitted to the images that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gancli.config.schema import DataConfig
from gancli.data.decoding import Flaw, decode, header, picky_pillow
from gancli.data.fit import WHITES, Fit, colour
from gancli.data.paths import open_regular, quoted
from gancli.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from gancli.plugin import ImageSpec

__all__ = ["load_files"]

_HOW = ("fit", "background", "alpha", "max_pixels")


def load_files(paths: Sequence[Path], image: ImageSpec, settings: Mapping[str, object]) -> Tensor:
    """Images as a model saw its training images: float32 ``(n, c, h, w)`` in [-1, 1].

    Args:
        paths: of the files.
        image: channels and size of the model.
        settings: those of its training, by dotted key; ``data.fit`` and others say how images are fitted.

    Raises:
        DatasetError: a file is missing, or is not an image that can be read.
    """
    import numpy as np
    import torch

    given = {name: settings[f"data.{name}"] for name in _HOW if f"data.{name}" in settings}
    config = DataConfig.model_validate(given)
    pixels = np.empty((len(paths), *image.shape), np.uint8)
    with picky_pillow(config.max_pixels):
        for i, path in enumerate(paths):
            try:
                with open_regular(path) as file:
                    deepest = header(file).deepest
                white = next(white for white in WHITES if white >= deepest)
                fit = Fit(image.height, image.width, image.channels, config.fit, colour(config.background), white)
                with open_regular(path) as file:
                    pixels[i] = decode(file, fit)
            except Flaw as flaw:
                raise DatasetError(f"{quoted(path)} cannot be read as an image: {flaw}.", "Give a PNG or JPEG.") from flaw
    return (torch.from_numpy(pixels).float() - 127.5) / 127.5
