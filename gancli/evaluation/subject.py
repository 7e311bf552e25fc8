"""What is evaluated: a model that draws, or pictures that are there already."""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from gancli.errors import DatasetError, UsageError
from gancli.quality.extractor import batches as in_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from gancli.generation.sampler import Sampler
    from gancli.images import Images

__all__ = ["Subject", "of_model", "of_pictures"]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
MAX_ARCHIVE_BYTES = 8 * 2**30
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, slots=True)
class Subject:
    """Pictures to evaluate.

    Attributes:
        title: what it is, for people.
        shape: (channels, height, width).
        count: how many pictures.
        draw: the pictures, batch by batch, float ``(b, c, h, w)`` in [-1, 1]; may be called again for the same ones.
        asked: the class that was asked for of each, int64 ``(n,)``; None if none was.
        facts: what the model says about itself: weights, seeds, data set.
        run: the directory of the run that it belongs to, if any.
    """

    title: str
    shape: tuple[int, int, int]
    count: int
    draw: Callable[[], Iterator[Tensor]]
    asked: Tensor | None
    facts: dict[str, Any]
    run: Path | None


def of_model(model: Sampler[Images], n: int, seed: int = 0) -> Subject:
    """``n`` pictures of a model: those of the seeds ``seed``, ``seed + 1``, ..., with the classes in turn if it knows any.

    Raises:
        UsageError: n or the seeds are out of range.
    """
    seeds, origin = range(seed, seed + n), model.origin
    labels = model.classes(n)
    first = model.batches(seeds, labels)  # complains at once
    del first
    return Subject(
        title=f"{origin.run}, step {origin.step:,}, {origin.weights} weights",
        shape=model.image.shape,
        count=n,
        draw=lambda: map(torch.as_tensor, model.batches(seeds, labels)),
        asked=None if labels is None else torch.as_tensor(labels),
        facts={"run": origin.run, "step": origin.step, "weights": origin.weights, "digest": origin.digest, "seed": seed},
        run=_run_of(origin.checkpoint),
    )


def _run_of(checkpoint: Path) -> Path | None:
    """The run in whose folder of checkpoints this one lies."""
    path = checkpoint.absolute()
    inside = path.parent.name == "checkpoints" and (path.parent.parent / "run.json").is_file()
    return path.parent.parent if inside else None


def of_pictures(path: Path, channels: int, n: int | None = None) -> Subject:
    """The first ``n`` pictures, by default all, of a folder of picture files or of an archive by ``gancli sample -o x.npz``.

    Args:
        path: the folder or archive.
        channels: of the real pictures, to which those of a folder are converted.
        n: how many.

    Raises:
        DatasetError: there are none, or they cannot be read.
    """
    pictures = _folder(path, channels, n) if path.is_dir() else _archive(path, n)
    return Subject(
        title=str(path),
        shape=(pictures.shape[1], pictures.shape[2], pictures.shape[3]),
        count=len(pictures),
        draw=lambda: in_batches(pictures),
        asked=None,
        facts={"pictures": str(path)},
        run=None,
    )


def _folder(path: Path, channels: int, n: int | None) -> Tensor:
    Image.init()
    endings = {ending for ending, kind in Image.EXTENSION.items() if kind in FORMATS}
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in endings and not file.name.startswith("."))[:n]
    if not files:
        raise DatasetError(f"'{path}' holds no pictures.", f"Give a folder of {', '.join(sorted(endings))} files.")
    first = _picture(files[0], channels)
    pictures = np.empty((len(files), *first.shape), np.uint8)
    for index, file in enumerate(files):
        pixels = _picture(file, channels)
        if pixels.shape != first.shape:
            sizes = " and ".join(f"{one.shape[1]}x{one.shape[0]}" for one in (first, pixels))
            raise DatasetError(f"'{path}' holds pictures of {sizes} ('{file.name}').", "Give pictures of one size.")
        pictures[index] = pixels
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def _picture(file: Path, channels: int) -> NDArray[np.uint8]:
    """uint8 ``(h, w, c)``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as picture:
                pixels = np.asarray(picture.convert(MODES[channels]))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DatasetError(f"'{file}' cannot be read as a picture: {error}.", "Replace or remove it.") from error
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels  # noqa: PLR2004  (grey)


def _archive(path: Path, n: int | None) -> Tensor:
    remedy = "Give a folder of pictures, or an archive by `gancli sample -o images.npz`."
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo("images.npy").file_size
            if size > MAX_ARCHIVE_BYTES:
                raise DatasetError(f"'{path}' would unpack to {size:,} bytes.", f"At most {MAX_ARCHIVE_BYTES:,} are read.")
            with archive.open("images.npy") as member:
                pixels = np.lib.format.read_array(member, allow_pickle=False)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise DatasetError(f"'{path}' cannot be read as an archive of pictures: {error}.", remedy) from error
    if pixels.dtype != np.uint8 or pixels.ndim not in {3, 4} or not pixels.size:
        found = f"{pixels.dtype} {tuple(pixels.shape)}"
        raise DatasetError(f"'{path}' holds {found}, not uint8 (n, h, w) or (n, h, w, c).", remedy)
    tensor = torch.from_numpy(pixels[:n])
    return tensor.unsqueeze(1) if pixels.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()  # noqa: PLR2004  (grey)


def refuse_other_shape(subject: Subject, shape: tuple[int, ...], dataset: str) -> None:
    """Pictures can be compared with real ones of their own shape only.

    Raises:
        UsageError: the shapes differ.
    """
    if subject.shape != shape:
        ours, theirs = ("x".join(map(str, one)) for one in (subject.shape, shape))
        raise UsageError(
            f"The pictures are {ours}, those of the data set '{dataset}' {theirs}.", "Name the data set with --dataset."
        )
