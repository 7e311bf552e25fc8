"""Tensors to pictures: range, grids, text chunks. Pillow and NumPy; torch is met, not imported."""

from __future__ import annotations

import json
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, PngImagePlugin

from gancli.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray
    from torch import Tensor

    Images = Tensor | NDArray[np.float32]

__all__ = ["grid", "grid_columns", "normalise", "read_metadata", "refuse_huge_grid", "save_png", "to_bytes", "to_picture"]

MAX_PIXELS = 64 * 2**20
"""Pixels of the largest grid that is drawn: a picture of 8192 x 8192."""

PADDING = 2
"""Pixels between and around the pictures of a grid."""

_KEY = "gancli"


def normalise(pixels: Tensor) -> Tensor:
    """(x - 127.5) / 127.5: uint8 of any shape -> float32 in [-1, 1] of the same shape."""
    return pixels.float().sub_(127.5).div_(127.5)


def to_bytes(images: Images) -> NDArray[np.uint8]:
    """Images in [-1, 1], ``(n, c, h, w)``, as uint8 ``(n, h, w, c)``: round(127.5 x + 127.5), clamped."""
    if isinstance(images, np.ndarray):
        with np.errstate(invalid="ignore"):  # NaN has no byte; any will do, as in torch
            rounded = np.rint(images * np.float32(127.5) + np.float32(127.5)).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(rounded.transpose(0, 2, 3, 1))
    scaled = (images.detach().float() * 127.5 + 127.5).round_().clamp_(0, 255)
    pixels: NDArray[np.uint8] = scaled.byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def to_picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """uint8 ``(h, w, c)`` as a Pillow image: 1 channel L, 2 LA, 3 RGB, 4 RGBA."""
    channels = pixels.shape[2]
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def grid_columns(n: int, height: int, width: int) -> int:
    """Columns that make a grid of n pictures about square.

    >>> grid_columns(64, 28, 28), grid_columns(10, 28, 28), grid_columns(1, 28, 28)
    (8, 4, 1)
    """
    return max(1, min(n, math.ceil(math.sqrt(n * height / width))))


def grid(pixels: NDArray[np.uint8], columns: int | None = None, padding: int = PADDING) -> NDArray[np.uint8]:
    """Pictures side by side, row by row: uint8 ``(n, h, w, c)`` -> ``(H, W, c)``; never scaled.

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
    for i, picture in enumerate(pixels):
        top, left = padding + i // columns * (height + padding), padding + i % columns * (width + padding)
        canvas[top : top + height, left : left + width] = picture
    return canvas


def refuse_huge_grid(n: int, height: int, width: int, columns: int | None = None, padding: int = PADDING) -> tuple[int, int]:
    """Height and width of a grid, which can be known before anything is drawn.

    Raises:
        UsageError: it would have more than 64 megapixels, or less than one column.
    """
    if columns is not None and columns < 1:
        raise UsageError(f"A grid cannot have {columns} columns.", "Give at least 1.")
    columns = min(columns or grid_columns(n, height, width), n)
    rows = -(-n // columns)
    tall, wide = rows * (height + padding) + padding, columns * (width + padding) + padding
    if tall * wide > MAX_PIXELS:
        raise UsageError(
            f"A grid of {n} pictures of {height}x{width} would be {wide}x{tall} pixels.",
            "A grid has at most 64 megapixels; write to a folder (-o folder/) or an archive (-o images.npz) instead.",
        )
    return tall, wide


def save_png(pixels: NDArray[np.uint8], target: BinaryIO, metadata: dict[str, Any] | None = None) -> None:
    """Write uint8 ``(h, w, c)`` as PNG, with ``metadata`` as JSON in the text chunk ``gancli``."""
    to_picture(pixels).save(target, format="PNG", pnginfo=png_metadata(metadata or {}))


def png_metadata(metadata: dict[str, Any]) -> PngImagePlugin.PngInfo:
    """The text chunks of a PNG that says how it was made; none if there is nothing to say."""
    chunks = PngImagePlugin.PngInfo()
    if metadata:
        chunks.add_text("Software", f"gancli {metadata.get('gancli', '')}".strip())
        chunks.add_text(_KEY, json.dumps(metadata, ensure_ascii=True))
    return chunks


def read_metadata(path: Path) -> dict[str, Any]:
    """What :func:`save_png` stored in a picture.

    Raises:
        DatasetError: the file is no PNG that gancli made, or its text chunk is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG"]) as picture:
                text = picture.info.get(_KEY)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DatasetError(f"'{path}' cannot be read as PNG: {error}.", "Give a picture made by `gancli sample`.") from error
    try:
        stored = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        raise DatasetError(
            f"'{path}' carries no usable gancli metadata.", "Give a picture made by `gancli sample` without --no-metadata."
        )
    return stored
