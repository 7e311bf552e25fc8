"""Single image files, fitted to the images that a model was trained on."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gancli.config.schema import DataConfig
from gancli.data.decoding import Flaw, decode, header, picky_pillow
from gancli.data.fit import WHITES, Fit, colour
from gancli.data.paths import open_regular, quoted
from gancli.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from PIL import Image
    from torch import Tensor

    from gancli.plugin import ImageSpec

__all__ = ["load_files"]

_HOW = ("fit", "background", "alpha", "max_pixels")


def load_files(sources: Sequence[Path | Image.Image], image: ImageSpec, settings: Mapping[str, object]) -> Tensor:
    """Images as a model saw its training images: float32 ``(n, c, h, w)`` in [-1, 1].

    Args:
        sources: paths of the files, or images of Pillow.
        image: channels and size of the model.
        settings: those of its training, by dotted key; ``data.fit`` and others say how images are fitted.

    Raises:
        DatasetError: a file is missing, or is not an image that can be read.
    """
    import numpy as np
    import torch

    given = {name: settings[f"data.{name}"] for name in _HOW if f"data.{name}" in settings}
    config = DataConfig.model_validate(given)
    pixels = np.empty((len(sources), *image.shape), np.uint8)
    with picky_pillow(config.max_pixels):
        for i, source in enumerate(sources):
            try:
                with _opened(source) as file:
                    deepest = header(file).deepest
                white = next(white for white in WHITES if white >= deepest)
                fit = Fit(image.height, image.width, image.channels, config.fit, colour(config.background), white)
                with _opened(source) as file:
                    pixels[i] = decode(file, fit)
            except Flaw as flaw:
                name = quoted(source) if isinstance(source, Path) else "The image"
                raise DatasetError(f"{name} cannot be read as an image: {flaw}.", "Give a PNG or JPEG.") from flaw
    return (torch.from_numpy(pixels).float() - 127.5) / 127.5


def _opened(source: Path | Image.Image) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, Path):
        return open_regular(source)
    buffer = BytesIO()
    source.save(buffer, format="PNG", icc_profile=source.info.get("icc_profile"))
    buffer.seek(0)
    return buffer
