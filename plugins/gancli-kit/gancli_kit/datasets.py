"""Checks of a data set: bytes of one shape, labels that have names, the same every time."""

from __future__ import annotations

from functools import cached_property

import torch

from gancli.data import fingerprint
from gancli.errors import GancliError
from gancli.plugin import Dataset, ImageSet
from gancli.plugins.registry import DATASETS
from gancli_kit.checks import Check, Rules, fail, skip
from gancli_kit.description import IDENTITY, LOADING, PREFERENCES
from gancli_kit.randomness import surroundings
from gancli_kit.subject import Subject

__all__ = ["DATASET_CHECKS", "DatasetSubject"]

_MOST_CHANNELS = 4


class DatasetSubject(Subject[Dataset]):
    """A data set."""

    registry = DATASETS
    section = "data"
    key = "dataset"

    @cached_property
    def loaded(self) -> ImageSet:
        """The images for training."""
        return self.plugin().load("train")


RULES = Rules[DatasetSubject]()


@RULES.check(needs="complete")
def loads(subject: DatasetSubject) -> None:
    """load('train') returns an ImageSet
    Why: It is what a training reads.
    Fix: Return gancli.plugin.ImageSet(images, labels, class_names); raise gancli.errors.DatasetError with what is missing.
    """
    if not isinstance(subject.loaded, ImageSet):
        raise fail(f"load() returns {type(subject.loaded).__name__}, not gancli.plugin.ImageSet.")


@RULES.check(needs="loads")
def bytes_(subject: DatasetSubject) -> None:
    """Images are uint8 (n, c, h, w), contiguous, at least one
    Why: They stay bytes in memory and are normalised on the device.
    Fix: Convert once: images.to(torch.uint8).contiguous(), or torch.from_numpy(images) of an array of bytes.
    """
    _refuse_other_than_bytes("images", subject.loaded.images)


@RULES.check(needs="bytes")
def classes(subject: DatasetSubject) -> None:
    """Labels are int64 (n,), and every label has a name of its own
    Why: `--conditional` and `sample --class` count on them.
    Fix: Number the classes from 0 in the order of class_names; without labels give neither.
    """
    labels, names, expected = subject.loaded.labels, subject.loaded.class_names, (len(subject.loaded.images),)
    if labels is None:
        if names:
            raise fail(f"There are {len(names)} names of classes and no labels.")
        return
    if not isinstance(labels, torch.Tensor):
        raise fail(f"The labels are {type(labels).__name__}, not a torch.Tensor, int64 (n,).")
    if labels.dtype != torch.int64 or labels.shape != expected:
        raise fail(f"The labels are {labels.dtype} {tuple(labels.shape)}, not int64 {expected}.")
    if len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
        raise fail("The names of the classes are not all different texts.")
    if int(labels.min()) < 0 or int(labels.max()) >= len(names):
        raise fail(f"Labels go from {int(labels.min())} to {int(labels.max())}, and there are {len(names)} classes.")


@RULES.check(needs="bytes")
def sources(subject: DatasetSubject) -> None:
    """Source images are uint8 (m, c, h, w), and m = n if they are paired
    Why: A translator is trained on them; a pair that does not belong together teaches it nothing.
    Fix: Give sources in the order of images with paired=True, or any number of them with paired=False.
    """
    loaded = subject.loaded
    if loaded.sources is None:
        raise skip("It has no source images.")
    _refuse_other_than_bytes("sources", loaded.sources)
    if loaded.paired and len(loaded.sources) != len(loaded.images):
        raise fail(f"There are {len(loaded.sources)} sources paired with {len(loaded.images)} images.")


@RULES.check(needs="bytes")
def same_again(subject: DatasetSubject) -> None:
    """It is the same every time
    Why: A run is refused on other images than its own: it could never be resumed.
    Fix: Sort the names of files, and use no random numbers but those of a seeded torch.Generator of your own.
    """
    with surroundings(1):
        torch.manual_seed(1)
        again = subject.plugin().load("train")
    if fingerprint(again) != fingerprint(subject.loaded):
        raise fail("Loaded a second time, images or labels differ.")


@RULES.check(needs="classes")
def splits(subject: DatasetSubject) -> None:
    """load('test') fits load('train'), or is refused with a reason
    Why: `gancli evaluate` compares with images that the model has not seen.
    Fix: Raise gancli.errors.DatasetError if there is no such part.
    """
    try:
        test = subject.plugin().load("test")
    except GancliError:
        return  # it says that it has none
    train = subject.loaded
    if test.images.shape[1:] != train.images.shape[1:] or test.class_names != train.class_names:
        raise fail(f"Images of the test part are {tuple(test.images.shape[1:])}, or have other classes.")


def _refuse_other_than_bytes(what: str, images: object) -> None:
    if not isinstance(images, torch.Tensor):
        raise fail(f"The {what} are {type(images).__name__}, not a torch.Tensor, uint8 (n, c, h, w).")
    shape, contiguous = tuple(images.shape), images.is_contiguous()
    if images.dtype != torch.uint8 or images.dim() != 4:  # noqa: PLR2004  (n, c, h, w)
        raise fail(f"The {what} are {images.dtype} {shape}, not uint8 (n, c, h, w).")
    if not len(images) or images.shape[1] > _MOST_CHANNELS or not contiguous:
        raise fail(f"The {what} are {shape}, contiguous: {contiguous}.")


DATASET_CHECKS: tuple[Check[DatasetSubject], ...] = (*LOADING, *IDENTITY, *PREFERENCES, *RULES)
"""Every check of a data set; each comes after those that it needs."""
