"""Checks of a data set: bytes of one shape, labels that have names, the same every time."""

from __future__ import annotations

from functools import cached_property

import torch

from gancli.data import fingerprint
from gancli.errors import GancliError
from gancli.plugin import Dataset, ImageSet
from gancli.plugins.registry import DATASETS
from gancli.testing.chance import surroundings
from gancli.testing.checks import Check, fail
from gancli.testing.description import IDENTITY, PREFERENCES
from gancli.testing.subject import Subject

__all__ = ["DATASET_CHECKS", "DatasetSubject"]

_MOST_CHANNELS = 4


class DatasetSubject(Subject[Dataset]):
    """A data set."""

    registry = DATASETS
    section = "data"

    @property
    def key(self) -> str:
        """``data.dataset``, not ``data.name``."""
        return "dataset"

    @cached_property
    def loaded(self) -> ImageSet:
        """The pictures for training."""
        return self.plugin().load("train")


def _loads(subject: DatasetSubject) -> None:
    if not isinstance(subject.loaded, ImageSet):
        raise fail(f"load() returns {type(subject.loaded).__name__}, not gancli.plugin.ImageSet.")


def _pictures_are_bytes(subject: DatasetSubject) -> None:
    images = subject.loaded.images
    if not isinstance(images, torch.Tensor) or images.dtype != torch.uint8 or images.dim() != 4:  # noqa: PLR2004  (n, c, h, w)
        shown = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, torch.Tensor) else type(images).__name__
        raise fail(f"The pictures are {shown}, not a torch.Tensor, uint8 (n, c, h, w).")
    if not len(images) or images.shape[1] > _MOST_CHANNELS or not images.is_contiguous():
        raise fail(f"The pictures are {tuple(images.shape)}, contiguous: {images.is_contiguous()}.")


def _labels_have_names(subject: DatasetSubject) -> None:
    labels, names = subject.loaded.labels, subject.loaded.class_names
    if labels is None:
        if names:
            raise fail(f"There are {len(names)} names of classes and no labels.")
        return
    if not isinstance(labels, torch.Tensor):
        raise fail(f"The labels are {type(labels).__name__}, not a torch.Tensor, int64 (n,).")
    if labels.dtype != torch.int64 or labels.shape != (len(subject.loaded.images),):
        raise fail(f"The labels are {labels.dtype} {tuple(labels.shape)}, not int64 ({len(subject.loaded.images)},).")
    if len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
        raise fail("The names of the classes are not all different texts.")
    if int(labels.min()) < 0 or int(labels.max()) >= len(names):
        raise fail(f"Labels go from {int(labels.min())} to {int(labels.max())}, and there are {len(names)} classes.")


def _is_the_same_again(subject: DatasetSubject) -> None:
    with surroundings(1):
        torch.manual_seed(1)
        again = subject.plugin().load("train")
    if fingerprint(again) != fingerprint(subject.loaded):
        raise fail("Loaded a second time, pictures or labels differ.")


def _splits_fit(subject: DatasetSubject) -> None:
    try:
        test = subject.plugin().load("test")
    except GancliError:
        return  # it says that it has none
    if test.images.shape[1:] != subject.loaded.images.shape[1:] or test.class_names != subject.loaded.class_names:
        raise fail(f"Pictures of the test part are {tuple(test.images.shape[1:])}, or have other classes.")


DATASET_CHECKS: tuple[Check[DatasetSubject], ...] = (
    *IDENTITY,
    *PREFERENCES,
    Check(
        "loads",
        "load('train') returns an ImageSet",
        "It is what a training asks for.",
        "Return gancli.plugin.ImageSet(images, labels, class_names); raise gancli.errors.DatasetError with what is missing.",
        _loads,
        ("complete",),
    ),
    Check(
        "bytes",
        "Pictures are uint8 (n, c, h, w), contiguous, at least one",
        "They stay bytes in memory and are normalised on the device.",
        "Convert once: images.to(torch.uint8).contiguous(), or torch.from_numpy(images) of an array of bytes.",
        _pictures_are_bytes,
        ("loads",),
    ),
    Check(
        "classes",
        "Labels are int64 (n,), and every label has a name of its own",
        "`--conditional` and `sample --class` count on them.",
        "Number the classes from 0 in the order of class_names; without labels give neither.",
        _labels_have_names,
        ("bytes",),
    ),
    Check(
        "same-again",
        "It is the same every time",
        "A run is refused on other pictures than its own: it could never be resumed.",
        "Sort the names of files, and draw nothing at random.",
        _is_the_same_again,
        ("bytes",),
    ),
    Check(
        "splits",
        "load('test') fits load('train'), or is refused with a reason",
        "`gancli evaluate` compares with pictures that the model has not seen.",
        "Raise gancli.errors.DatasetError if there is no such part.",
        _splits_fit,
        ("classes",),
    ),
)
"""Every check of a data set; each comes after those that it needs."""
