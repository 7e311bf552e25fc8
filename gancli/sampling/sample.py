"""Write what a model generates: a grid, a folder, an archive, or standard output. Memory does not grow with the number."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, PositiveInt, ValidationError

from gancli import images
from gancli.errors import DatasetError, StorageError, UsageError
from gancli.models.sampler import Sampler, check_truncation
from gancli.randomness.latents import MAX_SEED
from gancli.storage.disk import explained, refuse_missing_parent, replacing, write_atomically
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gancli.checkpoint.provenance import Origin
    from gancli.images import Images, Pixels

MAX_IMAGES = 1_000_000  # images in one call
_SEED_ITEM = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?")


@dataclass(frozen=True, slots=True)
class Request:
    """What to generate and where to."""

    seeds: Sequence[int]
    target: str  # grid.png, a folder (folder/ or one that is there), images.npz, or - for PNG on standard output
    labels: Sequence[int] | None = None  # the class of every image, for conditional models
    columns: int | None = None  # of a grid; None makes it about square
    metadata: bool = True  # whether the files say how they were made
    truncation: float | None = None  # see Model.sample
    scale: int = 1  # of a grid: pixels of the file per pixel of an image, in each direction


def parse_seeds(text: str) -> list[int]:
    """``0-3,99`` -> [0, 1, 2, 3, 99]; at most a million.

    >>> parse_seeds("0-3,99")
    [0, 1, 2, 3, 99]
    """
    seeds: list[int] = []
    for item in map(str.strip, text.split(",")):
        match = _SEED_ITEM.fullmatch(item)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last > MAX_SEED:
            raise UsageError(f"'{item}' is not a seed or range of seeds.", "Write for instance 0-63,99.")
        if len(seeds) + last - first >= MAX_IMAGES:
            raise UsageError(f"'{text}' names more than {MAX_IMAGES:,} seeds.", "Generate the images in several calls.")
        seeds.extend(range(first, last + 1))
    return seeds


def format_seeds(seeds: Sequence[int]) -> str:
    """``[0, 1, 2, 3, 99]`` -> ``0-3,99``, the inverse of :func:`parse_seeds`."""
    breaks = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(seeds)) if b != a + 1), len(seeds)]
    runs = [(seeds[start], seeds[end - 1]) for start, end in pairwise(breaks)]
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def seeds_from(seed: int, count: int) -> range:
    """As many seeds, counting up from ``seed``."""
    if not 1 <= count <= MAX_IMAGES:
        raise UsageError(f"-n {count} is out of range.", f"Choose 1 to {MAX_IMAGES:,} images.")
    last = MAX_SEED - count + 1
    if not 0 <= seed <= last:
        raise UsageError(f"--seed {seed} is out of range.", f"Choose 0 to {last}.")
    return range(seed, seed + count)


class Recipe(BaseModel):
    """How an image was made, as stored in it."""

    model_config = ConfigDict(frozen=True)

    run: str
    step: int
    digest: str
    weights: Literal["ema", "raw"]
    seeds: Annotated[list[int], BeforeValidator(lambda text: parse_seeds(str(text)))]
    labels: list[int] | None = None
    columns: PositiveInt | None = None
    truncation: float | None = None
    scale: PositiveInt = 1


def like(image: Path) -> Recipe:
    """How an image that ``gancli sample`` made was made.

    Raises:
        DatasetError: it carries no such metadata.
    """
    stored = images.read_metadata(image)
    if "run" in stored and "seeds" not in stored:
        source = stored.get("translated")
        made = "was not made from seeds alone" if source is None else f"is a translation of '{source}'"
        raise DatasetError(f"'{image}' {made}.", "Give an image that `gancli sample` made of seeds.")
    try:
        recipe = Recipe.model_validate(stored)
        check_truncation(recipe.truncation)
    except (ValidationError, UsageError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(error).rstrip(".")
        problem = f"The metadata of '{image}' are damaged ({reason})."
        raise DatasetError(problem, "Give an image that `gancli sample` made.") from error
    return recipe


def about(origin: Origin) -> dict[str, Any]:
    """What an image says about the model that made it."""
    return {
        "gancli": __version__,
        **{name: getattr(origin, name) for name in ("run", "step", "digest", "weights")},
        "arch": origin.provenance.arch.name,
        "dataset": origin.provenance.dataset.name,
    }


def write(
    model: Sampler[Images], request: Request, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> dict[str, object]:
    """Generate and write: the path, how many images, and from which seeds or latents.

    ``progress`` is called with (images done, images in all).

    Raises:
        UsageError: the target's kind is not known, the grid too large, or a seed or class out of range.
        StorageError: it cannot be written; what was there before is still there, and nothing half-written is.
    """
    total, target = len(request.seeds), request.target
    if not 1 <= total <= MAX_IMAGES:
        raise UsageError(f"{total:,} images cannot be generated in one call.", f"Ask for 1 to {MAX_IMAGES:,}.")
    with explained(Path(target)):
        is_folder = target.endswith(("/", os.sep)) or Path(target).is_dir()
    suffix = Path(target).suffix.lower()
    if target != "-" and not is_folder and suffix not in {".png", ".npz"}:
        raise UsageError(f"'{target}' is not a kind of output.", "End it in .png, .npz or / (a folder), or give -.")
    if request.scale > 1 and (is_folder or suffix == ".npz"):
        problem = f"'{target}' is not a grid to enlarge with --scale {request.scale}."
        raise UsageError(problem, "Leave --scale out, or name a .png.")
    request = replace(request, labels=model.classes(total, request.labels))
    generated = model.batches(request.seeds, request.labels, truncation=request.truncation)

    def batches() -> Iterator[Pixels]:
        done = 0
        for batch in generated:
            yield images.to_bytes(batch)
            done += len(batch)
            progress(done, total)

    if is_folder:
        _write_folder(model, request, batches())
    elif suffix == ".npz":
        _write_archive(model, request, batches())
    else:
        images.refuse_huge_grid(total, model.image.height, model.image.width, request.columns, scale=request.scale)
        if target != "-":
            refuse_missing_parent(Path(target))
        canvas = images.grid(np.concatenate(list(batches())), request.columns, scale=request.scale)
        png = images.to_png(canvas, _metadata(model, request))
        if target == "-":
            sys.stdout.buffer.write(png)
            sys.stdout.buffer.flush()
        else:
            write_atomically(Path(target), png)
    return {"path": target, "images": total, **(model.made_from or {"seeds": format_seeds(request.seeds)})}


def _metadata(model: Sampler[Images], request: Request) -> dict[str, Any]:
    if not request.metadata:
        return {}
    return {
        **about(model.origin),
        **(model.made_from or {"seeds": format_seeds(request.seeds)}),
        "labels": None if request.labels is None else list(request.labels),
        **{name: getattr(request, name) for name in ("columns", "truncation", "scale")},
    }


def _write_folder(model: Sampler[Images], request: Request, batches: Iterator[Pixels]) -> None:
    """One file per image, encoded on all cores: ``seed0007.png``, ``seed0007-class3.png``, ``latent0007.png``."""
    folder, prefix = Path(request.target), "latent" if model.made_from else "seed"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)

    def encode(pixels: Pixels, index: int) -> None:
        seed, labels = request.seeds[index], request.labels and [request.labels[index]]
        name = f"{prefix}{seed:04d}{f'-class{labels[0]}' if labels else ''}.png"
        metadata = _metadata(model, replace(request, seeds=[seed], labels=labels))
        write_atomically(folder / name, images.to_png(pixels, metadata))

    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in batches:
            try:
                list(pool.map(encode, batch, range(done, done + len(batch))))
            except StorageError as error:
                kept = f"The images in the folder, {done:,} of {len(request.seeds):,} or more, are whole. "
                raise StorageError(error.problem, f"{kept}{error.remedy}") from error
            done += len(batch)


def _write_archive(model: Sampler[Images], request: Request, batches: Iterator[Pixels]) -> None:
    """``images``: uint8 ``(n, h, w)`` for grey images, ``(n, h, w, c)`` for others; ``seeds``: int64 ``(n,)``."""
    image, target = model.image, Path(request.target)
    shape = (len(request.seeds), image.height, image.width) + ((image.channels,) if image.channels > 1 else ())
    refuse_missing_parent(target)
    with replacing(target) as scratch, zipfile.ZipFile(scratch, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for batch in batches:
                member.write(batch.tobytes())
        archive.comment = f"gancli {__version__}".encode()
        with archive.open("seeds.npy", "w") as member:
            np.lib.format.write_array(member, np.asarray(request.seeds, dtype=np.int64), allow_pickle=False)
