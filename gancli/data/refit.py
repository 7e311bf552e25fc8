"""Arrays of pictures in another size, or with another number of channels, than they came in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from gancli.data.fit import Fit, colour, parse_size, place_array

if TYPE_CHECKING:
    from gancli.config.schema import DataConfig
    from gancli.data.watch import Watch
    from gancli.plugin import ImageSet

__all__ = ["refit"]


def refit(images: ImageSet, config: DataConfig, watch: Watch) -> ImageSet:
    """The same pictures, each made to fit what the configuration asks for; what it leaves open stays as it is."""
    count, channels, height, width = images.images.shape
    if config.image_size is not None:
        height, width = parse_size(config.image_size)
    fit = Fit(height, width, config.channels or channels, config.fit, colour(config.background))
    if (fit.channels, fit.height, fit.width) == tuple(images.images.shape[1:]):
        return images
    pixels = images.images.numpy()
    fitted = np.empty((count, fit.channels, fit.height, fit.width), np.uint8)
    for i in range(count):
        fitted[i] = place_array(pixels[i], fit)
        watch("fitting pictures", i + 1, count)
    spec = images.spec()
    note = f"Pictures are {spec} and are made {fit}."
    return replace(images, images=torch.from_numpy(fitted), notes=(*images.notes, note))
