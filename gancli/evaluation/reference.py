"""The real pictures: which ones, and what the extractor reads in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from gancli.config.schema import LONGEST_SIDE, SHORTEST_SIDE, DataConfig
from gancli.data import load_images, open_source
from gancli.errors import DatasetError
from gancli.evaluation.cache import cached
from gancli.metrics.choice import extractor_for
from gancli.metrics.digits import StackedDigitExtractor
from gancli.metrics.extractor import batches, read, some_of
from gancli.plugins.assets import for_colour

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from torch import Tensor

    from gancli.checkpoint.provenance import Provenance
    from gancli.data import Loaded
    from gancli.metrics.extractor import Extractor, Reading

__all__ = ["MOST_REAL", "Reference", "data_of", "load_reference"]

MOST_REAL = 10_000
"""Real pictures that distances and manifolds are computed with."""

COLOUR = 3
"""Channels from which on images are in colour."""

MOST_TRAINING = 60_000
"""Training pictures among which the nearest are looked for."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Real pictures, and who reads them.

    Attributes:
        training: the split that the extractor was chosen by and whose copies are looked for.
        held_out: the test split; None if there is none.
        against: ``test`` or ``train``: which one figures are measured against.
        extractor: on the device where pictures are read.
        notes: sentences that the user should read.
    """

    training: Loaded
    held_out: Loaded | None
    against: str
    extractor: Extractor
    notes: tuple[str, ...] = ()

    @property
    def real(self) -> Loaded:
        """The split that figures are measured against."""
        return self.held_out if self.against == "test" and self.held_out is not None else self.training

    def reading(self, loaded: Loaded, most: int = MOST_REAL) -> Reading:
        """What the extractor reads in at most ``most`` pictures of a split; kept on the disk for the next time."""
        device = next(self.extractor.parameters()).device
        pictures = f"{loaded.fingerprint} {most}"
        return cached(
            self.extractor, pictures, lambda: read(self.extractor, batches(some_of(loaded.images.images, most), device))
        )

    def class_shares(self) -> Tensor:
        """What the class histogram is compared with, ``(K,)``: Stacked-MNIST's classes are equally frequent by definition."""
        count = self.extractor.classes
        labels = self.training.images.labels
        if (
            isinstance(self.extractor, StackedDigitExtractor)
            or labels is None
            or len(self.training.images.class_names) != count
        ):
            return torch.full((count,), 1 / count, dtype=torch.float64)
        return labels.bincount(minlength=count).double() / len(labels)


def data_of(provenance: Provenance) -> DataConfig:
    """The data set that a model was trained on, as its checkpoint tells."""
    settings = provenance.config
    known = {field: settings[f"data.{field}"] for field in DataConfig.model_fields if f"data.{field}" in settings}
    return DataConfig.model_validate({"dataset": provenance.dataset.name, **known})


def of_size(data: DataConfig, size: tuple[int, ...]) -> DataConfig:
    """The same, with encoded images of any size read in this one (height and width), unless another was chosen."""
    from gancli.data.collection import Collection

    source = open_source(data.dataset)
    allowed = all(SHORTEST_SIDE <= side <= LONGEST_SIDE for side in size)
    if data.image_size is None and allowed and isinstance(source, Collection):
        spec = source.spec(data)
        if (spec.height, spec.width) != size:
            return data.model_copy(update={"image_size": "x".join(map(str, size))})
    return data


def load_reference(
    data: DataConfig,
    *,
    against: str | None,
    extractor: str,
    device: torch.device,
    tell: Callable[[str], None],
    frozen: Collection[str] = (),
) -> Reference:
    """Load both splits and choose the extractor.

    Args:
        data: the data set.
        against: ``test``, ``train``, or None for the test split if there is one.
        extractor: ``auto``, ``mnist``, ``random``, or the name of a plugin.
        device: where pictures are read.
        tell: is told of downloads.
        frozen: digests of the frozen networks that the model was trained against.

    Raises:
        DatasetError: there is no such data, or no test split although it was asked for.
        UsageError: the extractor does not fit.
    """
    training = load_images(data, "train")
    notes: tuple[str, ...] = ()
    held_out = None
    try:
        held_out = load_images(data, "test")
    except DatasetError as error:
        if against == "test":
            raise
        if against is None:
            notes = (f"Measured against the training images: {error.problem}",)
    chosen = against or ("test" if held_out is not None else "train")
    images = training.images.images
    otherwise = for_colour() if images.shape[1] >= COLOUR else None
    reader = extractor_for(training.name, images, extractor, otherwise=otherwise, frozen=frozen, tell=tell)
    return Reference(training, held_out, chosen, reader.to(device), notes)


def with_note(reference: Reference, fingerprint: object) -> Reference:
    """The same, with a note if the pictures are not those that a model was trained on."""
    if fingerprint in (None, reference.training.fingerprint):
        return reference
    note = f"The pictures of '{reference.training.name}' are not those that the model was trained on."
    return replace(reference, notes=(*reference.notes, note))
