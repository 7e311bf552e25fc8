"""Sheets: images in rows and columns with captions, of projections and of directions."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gancli.errors import UsageError
from gancli.images import MAX_PIXELS, to_bytes, to_picture, to_png
from gancli.sampling.sample import about
from gancli.storage.disk import refuse_missing_parent, replacing, write_atomically
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gancli.images import Pixels
    from gancli.models.directions import Directions
    from gancli.models.model import Model
    from gancli_evaluate.projection import Projection

AMOUNTS = (-3, -2, -1, 0, 1, 2, 3)  # columns of a sheet of directions: standard deviations of the latent
SMALLEST_CELL = 64  # images are enlarged by whole numbers until their shorter side has this many pixels
FONT, GAP = 14, 6


def sheet(images: Pixels, columns: Sequence[str], rows: Sequence[str]) -> Pixels:
    """Images with a title over each column and a caption behind each row, on white.

    uint8 ``(len(rows) * len(columns), h, w, c)``, row by row -> ``(H, W, 3)``, of at most 64 megapixels.
    """
    _, height, width, _ = images.shape
    scale = max(1, -(-SMALLEST_CELL // min(height, width)))
    wide, tall = width * scale, height * scale
    font = ImageFont.load_default(FONT)
    behind = max((round(font.getlength(text)) for text in rows), default=0)
    lefts = [GAP + column * (wide + GAP) for column in range(len(columns) + 1)]
    tops = [FONT + 2 * GAP + row * (tall + GAP) for row in range(len(rows) + 1)]
    width, height = lefts[-1] + behind + GAP, tops[-1]
    if width * height > MAX_PIXELS:
        raise UsageError(f"The sheet would have {width:,}x{height:,} pixels.", "Ask for fewer rows.")
    canvas = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(canvas)
    for left, title in zip(lefts, columns, strict=False):
        pen.text((left + wide / 2, GAP), title, fill="black", font=font, anchor="ma")
    for top, caption in zip(tops, rows, strict=False):
        pen.text((lefts[-1], top + tall / 2), caption, fill="black", font=font, anchor="lm")
    for number, pixels in enumerate(images):
        row, column = divmod(number, len(columns))
        cell = to_picture(pixels).convert("RGBA").resize((wide, tall), Image.Resampling.NEAREST)
        canvas.paste(cell, (lefts[column], tops[row]), cell)
    return np.asarray(canvas)


def write_projection(model: Model, originals: Tensor, found: Projection, target: Path) -> Path:
    """Write the latents of projected images to an ``.npz``, and beside it a sheet, whose path is returned.

    It shows original, reconstruction, |difference| and mean squared error of each image.
    """
    space = "w" if model.two_stage else "z"
    arrays: dict[str, Any] = {space: found.points.numpy(), "error": found.error.numpy(), "model": model.origin.digest}
    if found.labels is not None:
        arrays["labels"] = found.labels.numpy()
    difference = (originals - found.images).abs() - 1  # black: none
    if model.image.channels in {2, 4}:
        difference[:, -1] = 1  # of the opacity none is shown
    cells = torch.stack([originals, found.images, difference], 1).flatten(0, 1)
    captions = [f"error {error:.4f}" for error in found.error.tolist()]
    path = target.with_suffix(".png")
    pixels = sheet(to_bytes(cells), ["original", "found", "difference"], captions)
    _write(path, pixels, {**about(model.origin), "projection": len(captions)})
    write_arrays(target, arrays)
    return path


def write_directions(
    model: Model,
    found: Directions,
    target: Path,
    *,
    seed: int = 0,
    labels: Sequence[int] | None = None,
) -> None:
    """Write directions: an ``.npz`` of ``vectors (k, d)`` and ``strengths (k,)``, or a sheet (``.png``).

    A sheet has a row for each direction, -3 to 3 times along it, around the image of ``seed`` (and, of a conditional model,
    of the one class in ``labels``).
    """
    if target.suffix.lower() == ".npz":
        arrays = {"vectors": found.vectors.numpy(), "strengths": found.strengths.numpy()}
        write_arrays(target, {**arrays, "space": found.space, "method": found.method, "model": model.origin.digest})
        return
    classes = model.classes(1, labels)
    middle = model.points([seed], classes)
    amounts = torch.tensor(AMOUNTS, dtype=torch.float32)[:, None]
    own = None if classes is None else torch.tensor(list(classes) * len(AMOUNTS))
    rows = [to_bytes(model.render(middle + amounts * vector, own)) for vector in found.vectors]
    captions = [f"{number}: {strength:.3f}" for number, strength in enumerate(found.strengths.tolist(), 1)]
    titles = [f"{amount:+d}" if amount else "0" for amount in AMOUNTS]
    pixels = sheet(np.concatenate(rows), titles, captions)
    _write(target, pixels, {**about(model.origin), "directions": len(rows), "seed": seed})


def _write(target: Path, pixels: Pixels, metadata: dict[str, Any]) -> None:
    refuse_missing_parent(target)
    write_atomically(target, to_png(pixels, metadata))


def write_arrays(target: Path, arrays: Mapping[str, Any]) -> None:
    """Write an ``.npz``, which is there when it is complete, and whose comment says that gancli made it."""
    refuse_missing_parent(target)
    with replacing(target) as scratch:
        with scratch.open("wb") as file:
            np.savez(file, **arrays)
        with zipfile.ZipFile(scratch, "a") as archive:
            archive.comment = f"gancli {__version__}".encode()
