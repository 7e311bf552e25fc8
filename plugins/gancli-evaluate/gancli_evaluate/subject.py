"""What is evaluated: a model that generates or translates images, or images that are there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gancli.config.schema import DataConfig
from gancli.data import open_source
from gancli.data.collection import Collection
from gancli.data.decoding import Flaw, decode_all, picky_pillow, survey
from gancli.data.fit import Fit
from gancli.data.paths import count, quoted
from gancli.data.source import unwatched
from gancli.errors import DatasetError, UsageError
from gancli.images import normalise, to_bytes
from gancli.metrics.extractors import batches as in_batches
from gancli.plugin import ImageSet
from gancli.text import visible
from gancli_evaluate.reference import Reference, data_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gancli.images import Images
    from gancli.models.sampler import Sampler

BATCH_PIXELS = 2**18
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subject:
    """Images to evaluate."""

    title: str  # for people
    shape: tuple[int, int, int]  # (channels, height, width)
    count: int
    draw: Callable[[], Iterator[Tensor]]  # batches, float (b, c, h, w) in [-1, 1]; may be called again for the same ones
    facts: dict[str, Any]  # what the model says about itself: weights, seeds, data set
    run: Path | None = None  # the directory of the run that it belongs to
    notes: tuple[str, ...] = ()  # sentences that the user should read
    asked: Tensor | None = None  # the class that was asked for of each, int64 (n,)
    class_names: tuple[str, ...] = ()  # of the classes in asked


def of_model(model: Sampler[Images], n: int, seed: int = 0) -> Subject:
    """``n`` images of a model: those of the seeds ``seed``, ``seed + 1``, ..., with the classes in turn if it knows any."""
    seeds, labels = range(seed, seed + n), model.classes(n)
    model.batches(seeds, labels)  # complains at once
    subject = _of(model, n, lambda: map(torch.as_tensor, model.batches(seeds, labels)), {"seed": seed})
    return subject if labels is None else replace(subject, asked=torch.as_tensor(labels), class_names=tuple(model.class_names))


def _of(model: Sampler[Images], n: int, draw: Callable[[], Iterator[Tensor]], facts: dict[str, object]) -> Subject:
    origin, path = model.origin, model.origin.checkpoint.absolute()
    in_run = path.parent.name == "checkpoints" and (path.parent.parent / "run.json").is_file()
    return Subject(
        title=f"{origin.run}, step {origin.step:,}, {origin.weights} weights",
        shape=model.image.shape,
        count=n,
        draw=draw,
        facts={"run": origin.run, "step": origin.step, "weights": origin.weights, "digest": origin.digest, **facts},
        run=path.parent.parent if in_run else None,
    )


def data_of_translator(model: Sampler[Images]) -> DataConfig:
    """The data sets that a translator was trained on, read in its size and channels."""
    image, data = model.image, data_of(model.origin.provenance)
    update: dict[str, object] = {"image_size": f"{image.height}x{image.width}"}
    if image.source and image.source[0] == image.channels:
        update["channels"] = image.channels
    return data.model_copy(update=update)


def of_translator(model: Sampler[Images], reference: Reference, n: int | None = None) -> Subject:
    """The translations of the first ``n`` source images of the reference, by default of all.

    Raises:
        DatasetError: the reference has no source images of the model's shape.
    """
    sources, origin = reference.real.images.sources, model.origin
    if sources is None or tuple(sources.shape[1:]) != model.image.source:
        raise DatasetError(
            f"'{reference.real.name}' has no source images that the model of '{origin.run}' translates.",
            "Restore the data sets that it was trained on.",
        )
    chosen = sources[:n]
    size = max(1, BATCH_PIXELS // (chosen.shape[2] * chosen.shape[3]))

    @cache
    def translated() -> Tensor:
        """In 8 bits, as `gancli translate` writes them."""
        parts = (to_bytes(model.translate(normalise(part), batch_size=size)) for part in torch.split(chosen, size))
        return torch.cat([torch.from_numpy(part).permute(0, 3, 1, 2) for part in parts])

    return _of(model, len(chosen), lambda: in_batches(translated()), {"translations": len(chosen)})


def size_at(path: Path) -> tuple[int, int]:
    """Height and width of the first image at a path."""
    return of_images(path, 1, 1).shape[1:]


def of_images(path: Path, channels: int, n: int | None = None) -> Subject:
    """The first ``n`` images, by default all, at a path: of any kind that can be trained on, and all of one size.

    Encoded ones are converted to the channels of the real images.

    Raises:
        DatasetError: there are none, or they cannot be read.
    """
    config = DataConfig(dataset=str(path.absolute()))
    source = open_source(config.dataset)
    if isinstance(source, Collection):
        found = _images_at(source, config, channels, n)
    else:
        found = replace(source.load(config).images, notes=())
    images = found.images[:n].contiguous()
    return Subject(
        title=str(path),
        shape=(images.shape[1], images.shape[2], images.shape[3]),
        count=len(images),
        draw=lambda: in_batches(images),
        facts={"pictures": str(path)},
        notes=found.notes,
    )


def _images_at(source: Collection, config: DataConfig, channels: int, n: int | None = None) -> ImageSet:
    """The first ``n`` images, or all, in the one size that all of them have: nothing is cut, scaled or left out.

    A note says how many gained or lost their colour.
    """
    names = [item.name for item in source.items[:n]]
    if not names:
        raise DatasetError(f"{source} holds no images.", "Give a folder or an archive of images, or an .npz file.")

    def sound(name: str, found: T | Flaw) -> T:
        if not isinstance(found, Flaw):
            return found
        where = quoted(source.path / name) if source.kind == "folder" else f"'{visible(name)}' in {source}"
        raise DatasetError(f"{where} cannot be read as an image: {visible(str(found))}.", "Replace or remove it.")

    with picky_pillow(config.max_pixels):
        seen = survey(islice(source.each(), len(names)), unwatched, len(names))
        headers = [sound(name, header) for name, header in zip(names, seen, strict=True)]
        width, height = headers[0].width, headers[0].height
        for name, header in zip(names, headers, strict=True):
            if (header.width, header.height) != (width, height):
                sizes = f"{width}x{height} and {header.width}x{header.height}"
                raise DatasetError(f"{source} holds images of {sizes} ('{visible(name)}').", "Give images of one size.")
        fit = Fit(height, width, channels)
        images = np.empty((len(names), channels, height, width), np.uint8)
        for i, pixels in enumerate(decode_all(islice(source.each(), len(names)), fit)):
            images[i] = sound(names[i], pixels)
    notes = []
    if others := sum(header.grey == fit.is_colour for header in headers):
        are = f"{count(others, 'image')} of {source} {'is' if others == 1 else 'are'} stored in"
        then, now = ("grey", "colour") if fit.is_colour else ("colour", "grey")
        notes = [f"{are} {then}, and compared in {now}, as the data are."]
    return ImageSet(torch.from_numpy(images), notes=tuple(notes))


def refuse_other_shape(subject: Subject, shape: tuple[int, ...], dataset: str) -> None:
    """Images can be compared with real ones of their own shape only."""
    if subject.shape != shape:
        ours, theirs = ("x".join(map(str, one)) for one in (subject.shape, shape))
        raise UsageError(
            f"The images are {ours}, those of the data set '{dataset}' {theirs}.",
            "Make them that size, or name the data set that they are to be like with --dataset.",
        )
