"""Write what a model draws: a grid, a folder, an archive, or standard output. Memory does not grow with the number."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gancli import images
from gancli.errors import DatasetError, StorageError, UsageError
from gancli.models.sampler import check_truncation
from gancli.randomness.latents import MAX_SEED
from gancli.storage.disk import explained, refuse_missing_parent, replacing, write_atomically
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from gancli.checkpoint.provenance import Origin
    from gancli.images import Images
    from gancli.models.sampler import Sampler

__all__ = ["MAX_IMAGES", "Recipe", "Request", "Written", "about", "format_seeds", "like", "parse_seeds", "write"]

MAX_IMAGES = 1_000_000
"""Pictures in one call."""

_SEED_ITEM = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?")


@dataclass(frozen=True, slots=True)
class Request:
    """What to draw and where to.

    Attributes:
        seeds: one per picture.
        target: ``grid.png``, ``folder/`` or an existing folder, ``images.npz``, or ``-`` for PNG on standard output.
        labels: the class of every picture, for conditional models.
        columns: pictures per row of a grid; None makes it about square.
        metadata: whether pictures carry text chunks that say how they were made.
        truncation: see :meth:`gancli.Model.sample`.
        instead: what the images were made from, if not from seeds alone; it is stored in the place of ``seeds``.
    """

    seeds: Sequence[int]
    target: str
    labels: Sequence[int] | None = None
    columns: int | None = None
    metadata: bool = True
    truncation: float | None = None
    instead: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the path (``-`` for standard output), how many pictures, and their seeds as text."""

    path: str
    images: int
    seeds: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a picture was made, as stored in it."""

    run: str
    step: int
    digest: str
    weights: str
    seeds: list[int]
    labels: list[int] | None
    columns: int | None
    truncation: float | None = None


def parse_seeds(text: str) -> list[int]:
    """``0-3,99`` -> [0, 1, 2, 3, 99].

    Raises:
        UsageError: it is no such list, or names more than a million seeds.

    >>> parse_seeds("0-3,99")
    [0, 1, 2, 3, 99]
    """
    seeds: list[int] = []
    for item in text.split(","):
        match = _SEED_ITEM.fullmatch(item.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last > MAX_SEED:
            raise UsageError(f"'{item.strip()}' is no seed or range of seeds.", "Write for instance 0-63,99.")
        if len(seeds) + last - first >= MAX_IMAGES:
            raise UsageError(f"'{text}' names more than {MAX_IMAGES:,} seeds.", "Draw them in several calls.")
        seeds.extend(range(first, last + 1))
    return seeds


def format_seeds(seeds: Sequence[int]) -> str:
    """The inverse of :func:`parse_seeds`.

    >>> format_seeds([0, 1, 2, 3, 99])
    '0-3,99'
    """
    breaks = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(seeds)) if b != a + 1), len(seeds)]
    runs = [(seeds[start], seeds[end - 1]) for start, end in pairwise(breaks)]
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def like(picture: Path) -> Recipe:
    """How a picture that ``gancli sample`` made was made.

    Raises:
        DatasetError: it carries no such metadata.
    """
    stored = images.read_metadata(picture)
    if "translated" in stored:
        raise DatasetError(
            f"'{picture}' is a translation of '{stored['translated']}', and was not generated from a seed.",
            "Use `gancli translate` again.",
        )
    if "run" in stored and "seeds" not in stored:
        raise DatasetError(f"'{picture}' was not made from seeds alone.", "Give an image that `gancli sample` made of seeds.")
    try:
        recipe = Recipe(
            run=str(stored["run"]),
            step=int(stored["step"]),
            digest=str(stored["digest"]),
            weights=str(stored["weights"]),
            seeds=parse_seeds(str(stored["seeds"])),
            labels=None if stored.get("labels") is None else [int(label) for label in stored["labels"]],
            columns=None if stored.get("columns") is None else int(stored["columns"]),
            truncation=None if stored.get("truncation") is None else float(stored["truncation"]),
        )
        check_truncation(recipe.truncation)
        if recipe.columns is not None and recipe.columns < 1:
            raise ValueError(f"columns = {recipe.columns}")  # noqa: TRY301  (one of several ways to be damaged)
    except (KeyError, TypeError, ValueError, OverflowError, UsageError) as error:
        told = f"{type(error).__name__}: {error}".rstrip(".")
        raise DatasetError(
            f"The metadata of '{picture}' are damaged ({told}).", "Give a picture that `gancli sample` made."
        ) from error
    return recipe


def write(
    model: Sampler[Images], request: Request, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Written:
    """Draw and write.

    Args:
        model: what draws.
        request: what and where to. An existing file is replaced, when the new one is complete.
        progress: called with (pictures done, pictures in all).

    Raises:
        UsageError: the target's kind is not known, the grid too large, or a seed or class out of range.
        StorageError: it cannot be written; nothing half-written is left.
    """
    if not 1 <= len(request.seeds) <= MAX_IMAGES:
        raise UsageError(f"{len(request.seeds):,} pictures cannot be drawn in one call.", f"Ask for 1 to {MAX_IMAGES:,}.")
    with explained(Path(request.target)):
        writer = _writer(request.target)
    request = replace(request, labels=model.classes(len(request.seeds), request.labels))
    batches = map(images.to_bytes, model.batches(request.seeds, request.labels, truncation=request.truncation))
    written = writer(model, request, _counted(batches, len(request.seeds), progress))
    return Written(written, len(request.seeds), format_seeds(request.seeds))


def _writer(target: str) -> Callable[[Sampler[Images], Request, Iterator[NDArray[np.uint8]]], str]:
    if target == "-":
        return _write_stdout
    if target.endswith(("/", os.sep)) or Path(target).is_dir():
        return _write_folder
    writers = {".png": _write_grid, ".npz": _write_archive}
    suffix = Path(target).suffix.lower()
    if suffix not in writers:
        raise UsageError(f"'{target}' is no kind of output that is known.", "End it in .png, .npz or / (a folder), or give -.")
    return writers[suffix]


def _counted(
    batches: Iterator[NDArray[np.uint8]], total: int, progress: Callable[[int, int], None]
) -> Iterator[NDArray[np.uint8]]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        progress(done, total)


def about(origin: Origin) -> dict[str, Any]:
    """What a picture tells about the model that made it."""
    return {
        "gancli": __version__,
        "run": origin.run,
        "step": origin.step,
        "digest": origin.digest,
        "weights": origin.weights,
        "arch": origin.provenance.arch.name,
        "dataset": origin.provenance.dataset.name,
    }


def _metadata(model: Sampler[Images], request: Request, seeds: Sequence[int], labels: Sequence[int] | None) -> dict[str, Any]:
    if not request.metadata:
        return {}
    return {
        **about(model.origin),
        **({"seeds": format_seeds(seeds)} if request.instead is None else request.instead),
        "labels": None if labels is None else list(labels),
        "columns": request.columns,
        "truncation": request.truncation,
    }


def _grid_png(model: Sampler[Images], request: Request, batches: Iterator[NDArray[np.uint8]]) -> bytes:
    image = model.image
    images.refuse_huge_grid(len(request.seeds), image.height, image.width, request.columns)
    buffer = BytesIO()
    canvas = images.grid(np.concatenate(list(batches)), request.columns)
    images.save_png(canvas, buffer, _metadata(model, request, request.seeds, request.labels))
    return buffer.getvalue()


def _write_grid(model: Sampler[Images], request: Request, batches: Iterator[NDArray[np.uint8]]) -> str:
    target = Path(request.target)
    refuse_missing_parent(target)
    write_atomically(target, _grid_png(model, request, batches))
    return str(target)


def _write_stdout(model: Sampler[Images], request: Request, batches: Iterator[NDArray[np.uint8]]) -> str:
    sys.stdout.buffer.write(_grid_png(model, request, batches))
    sys.stdout.buffer.flush()
    return "-"


def _write_folder(model: Sampler[Images], request: Request, batches: Iterator[NDArray[np.uint8]]) -> str:
    """One file per picture, encoded on all cores: ``seed0007.png``, ``seed0007-class3.png``, ``latent0007.png``."""
    folder = Path(request.target)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)

    def encode(pixels: NDArray[np.uint8], index: int) -> None:
        seed, label = request.seeds[index], None if request.labels is None else request.labels[index]
        buffer = BytesIO()
        images.save_png(pixels, buffer, _metadata(model, request, [seed], None if label is None else [label]))
        suffix = "" if label is None else f"-class{label}"
        prefix = "seed" if request.instead is None else "latent"
        write_atomically(folder / f"{prefix}{seed:04d}{suffix}.png", buffer.getvalue())

    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in batches:
            try:
                list(pool.map(encode, batch, range(done, done + len(batch))))
            except StorageError as error:
                kept = f"The pictures in the folder, {done:,} of {len(request.seeds):,} or more, are whole. "
                raise StorageError(error.problem, f"{kept}{error.remedy}") from error
            done += len(batch)
    return request.target


def _write_archive(model: Sampler[Images], request: Request, batches: Iterator[NDArray[np.uint8]]) -> str:
    """``images``: uint8 ``(n, h, w)`` for grey pictures, ``(n, h, w, c)`` for others; ``seeds``: int64 ``(n,)``."""
    image, n = model.image, len(request.seeds)
    shape = (n, image.height, image.width) + ((image.channels,) if image.channels > 1 else ())
    target = Path(request.target)
    refuse_missing_parent(target)
    with replacing(target) as scratch, zipfile.ZipFile(scratch, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as member:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, header)
            for batch in batches:
                member.write(batch.tobytes())
        archive.comment = f"gancli {__version__}".encode()
        with archive.open("seeds.npy", "w") as member:
            np.lib.format.write_array(member, np.asarray(request.seeds, dtype=np.int64), allow_pickle=False)
    return str(target)
