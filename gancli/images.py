"""Tensors to image files: range, grids, metadata. Pillow and NumPy; torch's tensors are taken, torch is not imported."""

from __future__ import annotations

import json
import math
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, PngImagePlugin

from gancli.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    Images = Tensor | NDArray[np.float32]
    Pixels = NDArray[np.uint8]

MAX_PIXELS = 64 * 2**20  # pixels of the largest grid that is made: an image of 8192 x 8192

PADDING = 2  # pixels between and around the images of a grid

_KEY = "gancli"


def normalise(pixels: Tensor) -> Tensor:
    """(x - 127.5) / 127.5: uint8 of any shape -> float32 in [-1, 1] of the same shape."""
    return pixels.float().sub_(127.5).div_(127.5)


def to_bytes(images: Images) -> Pixels:
    """Images in [-1, 1], ``(n, c, h, w)``, as uint8 ``(n, h, w, c)``: round(127.5 x + 127.5), clamped."""
    if isinstance(images, np.ndarray):
        with np.errstate(invalid="ignore"):  # NaN has no byte; any will do, as in torch
            rounded = np.rint(images * np.float32(127.5) + np.float32(127.5)).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(rounded.transpose(0, 2, 3, 1))
    scaled = (images.detach().float() * 127.5 + 127.5).round_().clamp_(0, 255)
    pixels: Pixels = scaled.byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def to_picture(pixels: Pixels) -> Image.Image:
    """uint8 ``(h, w, c)`` as a Pillow image: 1 channel L, 2 LA, 3 RGB, 4 RGBA."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def grid_columns(n: int, height: int, width: int) -> int:
    """Columns that make a grid of n images about square.

    >>> grid_columns(64, 28, 28), grid_columns(10, 28, 28), grid_columns(1, 28, 28)
    (8, 4, 1)
    """
    return max(1, min(n, math.ceil(math.sqrt(n * height / width))))


def grid(pixels: Pixels, columns: int | None = None, padding: int = PADDING, scale: int = 1) -> Pixels:
    """Images side by side, row by row: uint8 ``(n, h, w, c)`` -> ``(H, W, c)``, each pixel a square of ``scale`` pixels.

    The gaps are mid-grey for grey and colour, transparent where there is an alpha channel.

    Raises:
        UsageError: the grid would have more than 64 megapixels.
    """
    n, height, width, channels = pixels.shape
    tall, wide = refuse_huge_grid(n, height, width, columns, padding)
    columns = min(columns or grid_columns(n, height, width), n)
    canvas = np.full((tall, wide, channels), 128, dtype=np.uint8)
    if channels in {2, 4}:
        canvas[:, :, -1] = 0
    for i, image in enumerate(pixels):
        top, left = padding + i // columns * (height + padding), padding + i % columns * (width + padding)
        canvas[top : top + height, left : left + width] = image
    return canvas.repeat(scale, 0).repeat(scale, 1)


def refuse_huge_grid(
    n: int, height: int, width: int, columns: int | None = None, padding: int = PADDING, scale: int = 1
) -> tuple[int, int]:
    """Height and width of a grid, which can be known before any image is generated; each ``scale`` times as large.

    Raises:
        UsageError: it would have more than 64 megapixels, or less than one column.
    """
    if columns is not None and columns < 1:
        raise UsageError(f"A grid cannot have {columns} columns.", "Give at least 1.")
    columns = min(columns or grid_columns(n, height, width), n)
    tall, wide = scale * (-(-n // columns) * (height + padding) + padding), scale * (columns * (width + padding) + padding)
    if tall * wide > MAX_PIXELS:
        raise UsageError(
            f"A grid of {n} images of {scale * height}x{scale * width} would be {wide}x{tall} pixels.",
            "A grid has at most 64 megapixels; write to a folder (-o folder/) or an archive (-o images.npz) instead.",
        )
    return tall, wide


def to_png(pixels: Pixels, metadata: Mapping[str, Any] | None = None) -> bytes:
    """uint8 ``(h, w, c)`` as PNG, with ``metadata`` as JSON in the text chunk ``gancli``."""
    buffer = BytesIO()
    to_picture(pixels).save(buffer, format="PNG", pnginfo=text_chunks(metadata or {}))
    return buffer.getvalue()


def text_chunks(metadata: Mapping[str, Any]) -> PngImagePlugin.PngInfo:
    """The text chunks of a PNG that says how it was made; none if there is nothing to say."""
    chunks = PngImagePlugin.PngInfo()
    if metadata:
        chunks.add_text("Software", f"gancli {metadata.get('gancli', '')}".strip())
        chunks.add_text(_KEY, json.dumps(metadata, ensure_ascii=True))
    return chunks


def read_metadata(path: Path) -> dict[str, Any]:
    """What :func:`to_png` stored in an image.

    Raises:
        DatasetError: the file is not a PNG that gancli made, or its text chunk is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG"]) as image:
                text = image.info.get(_KEY)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DatasetError(f"'{path}' cannot be read as PNG: {error}.", "Give an image made by `gancli sample`.") from error
    try:
        stored = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        problem = f"'{path}' carries no usable gancli metadata."
        raise DatasetError(problem, "Give an image made by `gancli sample` without --no-metadata.")
    return stored
