"""What is evaluated: a model that draws, or pictures that are there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from gancli.config.schema import DataConfig
from gancli.data import open_source
from gancli.errors import UsageError
from gancli.metrics.extractor import batches as in_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

    from gancli.images import Images
    from gancli.models.sampler import Sampler

__all__ = ["Subject", "of_model", "of_pictures", "run_of"]


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
        notes: sentences that the user should read.
        class_names: of the classes in ``asked``.
    """

    title: str
    shape: tuple[int, int, int]
    count: int
    draw: Callable[[], Iterator[Tensor]]
    asked: Tensor | None
    facts: dict[str, Any]
    run: Path | None
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()


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
        run=run_of(origin.checkpoint),
        class_names=() if labels is None else tuple(model.class_names),
    )


def run_of(checkpoint: Path) -> Path | None:
    """The run in whose folder of checkpoints this one lies."""
    path = checkpoint.absolute()
    inside = path.parent.name == "checkpoints" and (path.parent.parent / "run.json").is_file()
    return path.parent.parent if inside else None


def size_at(path: Path) -> tuple[int, int]:
    """Height and width of the first image at a path.

    Raises:
        DatasetError: there are none, or they cannot be read.
    """
    from gancli.data.collection import Collection, images_at

    config = DataConfig(dataset=str(path.absolute()))
    source = open_source(config.dataset)
    if isinstance(source, Collection):
        return images_at(source, config, 1, 1).spec().shape[1:]
    return source.spec(config).shape[1:]


def of_pictures(path: Path, channels: int, n: int | None = None) -> Subject:
    """The first ``n`` pictures, by default all, at a path: of any kind that can be trained on, and all of one size.

    Args:
        path: a folder, archive or table of pictures, or an archive by ``gancli sample -o x.npz``.
        channels: of the real pictures, to which encoded ones are converted.
        n: how many.

    Raises:
        DatasetError: there are none, or they cannot be read.
    """
    from gancli.data.collection import Collection, images_at

    config = DataConfig(dataset=str(path.absolute()))
    source = open_source(config.dataset)
    if isinstance(source, Collection):
        found = images_at(source, config, channels, n)
    else:
        found = replace(source.load(config).images, notes=())
    pictures = found.images[:n].contiguous()
    return Subject(
        title=str(path),
        shape=(pictures.shape[1], pictures.shape[2], pictures.shape[3]),
        count=len(pictures),
        draw=lambda: in_batches(pictures),
        asked=None,
        facts={"pictures": str(path)},
        run=None,
        notes=found.notes,
    )


def refuse_other_shape(subject: Subject, shape: tuple[int, ...], dataset: str) -> None:
    """Pictures can be compared with real ones of their own shape only.

    Raises:
        UsageError: the shapes differ.
    """
    if subject.shape != shape:
        ours, theirs = ("x".join(map(str, one)) for one in (subject.shape, shape))
        raise UsageError(
            f"The pictures are {ours}, those of the data set '{dataset}' {theirs}.",
            "Make them that size, or name the data set that they are to be like with --dataset.",
        )
