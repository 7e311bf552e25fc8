"""The real images: which ones, and what the extractor reads in them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gancli.config.schema import LONGEST_SIDE, SHORTEST_SIDE, DataConfig
from gancli.data import Loaded, load_images, open_source
from gancli.data.cache import READINGS, root
from gancli.data.collection import Collection
from gancli.errors import DatasetError, GancliError
from gancli.metrics.extractors import Extractor, Reading, StackedDigitExtractor, batches, extractor_for, read, some_of
from gancli.plugins.registry import for_colour
from gancli.storage.disk import make_directories, write_atomically
from gancli.storage.tensors import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gancli.checkpoint.provenance import Provenance

MOST_BYTES = 256 * 2**20  # of all that is kept; beyond that the files that were not read for the longest time go
MOST_REAL = 10_000  # real images that distances and manifolds are computed with
COLOUR = 3  # channels from which on images are in colour
MOST_TRAINING = 60_000  # training images among which the nearest are looked for


@dataclass(frozen=True, slots=True)
class Reference:
    """Real images, and what reads them."""

    training: Loaded  # the split that the extractor was chosen by and whose copies are looked for
    held_out: Loaded | None  # the test split
    against: str  # which of them metrics are measured against: test or train
    extractor: Extractor
    notes: tuple[str, ...] = ()  # sentences that the user should read

    @property
    def real(self) -> Loaded:
        """The split that metrics are measured against."""
        return self.held_out if self.against == "test" and self.held_out is not None else self.training

    @property
    def device(self) -> torch.device:
        """Where images are read."""
        return next(self.extractor.parameters()).device

    def reading(self, loaded: Loaded, most: int = MOST_REAL) -> Reading:
        """What the extractor reads in at most ``most`` images of a split; kept on the disk for the next time."""
        images = loaded.images.images
        return cached(
            self.extractor,
            f"{loaded.fingerprint} {most}",
            lambda: read(self.extractor, batches(some_of(images, most), self.device)),
        )

    def class_shares(self) -> Tensor:
        """What the class histogram is compared with, ``(K,)``: Stacked-MNIST's classes are equally frequent by definition."""
        count, images = self.extractor.classes, self.training.images
        labels = images.labels
        if isinstance(self.extractor, StackedDigitExtractor) or labels is None or len(images.class_names) != count:
            return torch.full((count,), 1 / count, dtype=torch.float64)
        return labels.bincount(minlength=count).double() / len(labels)


def data_of(provenance: Provenance) -> DataConfig:
    """The data set that a model was trained on, as its checkpoint tells."""
    settings = provenance.config
    known = {field: settings[f"data.{field}"] for field in DataConfig.model_fields if f"data.{field}" in settings}
    return DataConfig.model_validate({"dataset": provenance.dataset.name, **known})


def of_size(data: DataConfig, size: tuple[int, ...]) -> DataConfig:
    """The same, with encoded images of any size read in this one (height and width), unless another was chosen."""
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
    frozen: Iterable[str] = (),
    trained_on: object = None,
) -> Reference:
    """Load both splits and choose the extractor: ``auto``, ``mnist``, ``random``, or the name of a plugin.

    Measured is ``against`` the split ``test`` or ``train``, by default the test split if there is one. ``tell`` is called with
    what is downloaded; ``frozen`` are digests of the networks that the model was trained against, and ``trained_on`` is the
    fingerprint of the images that it was trained on: other ones get a note.

    Raises:
        DatasetError: there is no such data, or no test split although it was asked for.
        UsageError: the extractor does not fit.
    """
    training, held_out = load_images(data, "train"), None
    notes = []
    try:
        held_out = load_images(data, "test")
    except DatasetError as error:
        if against == "test":
            raise
        if against is None:
            notes.append(f"Measured against the training images: {error.problem}")
    if trained_on not in (None, training.fingerprint):
        notes.append(f"The images of '{training.name}' are not those that the model was trained on.")
    chosen = against or ("test" if held_out is not None else "train")
    images = training.images.images
    otherwise = for_colour() if images.shape[1] >= COLOUR else None
    reader = extractor_for(training.name, images, extractor, otherwise=otherwise, frozen=frozen, tell=tell)
    return Reference(training, held_out, chosen, reader.to(device), tuple(notes))


def cached(extractor: Extractor, images: str, compute: Callable[[], Reading]) -> Reading:
    """The reading of ``images`` (their fingerprint, and whatever chose from them): kept from last time, or computed.

    The file is named after the images and the extractor, so that it cannot be taken for another. Where it is damaged, the
    images are read again; where nothing can be written, they always are.
    """
    state = sha256(f"{extractor.digest} {images}".encode())
    for name, tensor in sorted(extractor.state_dict().items()):
        state.update(name.encode())
        state.update(tensor.cpu().contiguous().numpy().data)
    try:
        path = root() / READINGS / f"{state.hexdigest()[:40]}.safetensors"
    except GancliError:  # there is no place for a cache
        return compute()
    with suppress(OSError, GancliError, KeyError):
        tensors = decode(path.read_bytes(), f"'{path}'")
        features, classes = tensors["features"], tensors.get("classes")
        os.utime(path)
        return Reading(features, None if classes is None else classes.long())
    found = compute()
    with suppress(OSError, GancliError):
        make_directories(path.parent)
        tensors = {"features": found.features} | ({} if found.classes is None else {"classes": found.classes.int()})
        write_atomically(path, encode(tensors))
        total = 0  # the oldest go, and what a killed process left
        for each in sorted(path.parent.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True):
            total += each.stat().st_size
            if total > MOST_BYTES:
                each.unlink(missing_ok=True)
    return found
