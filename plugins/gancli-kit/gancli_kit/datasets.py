"""Checks of a data set: bytes of one shape, labels that have names, the same every time."""

from __future__ import annotations

from functools import cached_property

import torch

from gancli.data import fingerprint
from gancli.data.source import broken_promise
from gancli.errors import GancliError
from gancli.plugin import Dataset, ImageSet
from gancli.plugins.registry import DATASETS
from gancli_kit.checks import Check, Rules, fail
from gancli_kit.description import IDENTITY, LOADING, PREFERENCES
from gancli_kit.randomness import surroundings
from gancli_kit.subject import Subject


class DatasetSubject(Subject[Dataset]):
    """A data set."""

    registry = DATASETS
    section = "data"
    key = "dataset"

    @cached_property
    def loaded(self) -> ImageSet:
        """The images for training."""
        return self.plugin().load("train")


RULES = Rules()


@RULES.check(needs="complete")
def loads(subject: DatasetSubject) -> None:
    """load('train') returns an ImageSet of uint8 images, labels that have names, and as many sources as images if paired
    Why: It is what a training reads: images are normalised on the device, and `sample --class` counts on the names.
    Fix: Return gancli.plugin.ImageSet(images, labels, class_names): torch.uint8 (n, c, h, w), contiguous; labels int64 (n,),
    numbered from 0 in the order of class_names, or neither; raise gancli.errors.DatasetError with what is missing.
    """
    if broken := broken_promise(subject.loaded):
        raise fail(f"load() returns {broken}.")


@RULES.check(needs="loads")
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


@RULES.check(needs="loads")
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


DATASET_CHECKS: tuple[Check, ...] = (*LOADING, *IDENTITY, *PREFERENCES, *RULES)
"""Every check of a data set; each comes after those that it needs."""
