"""Evaluation during training: previews of fixed latents, diversity, and the distance to the data. Changes nothing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from gancli.data import load_images
from gancli.errors import GancliError
from gancli.images import grid_columns, normalise
from gancli.metrics.extractors import RandomExtractor, extractor_for, some_of
from gancli.metrics.probe import Diversity, Probe
from gancli.randomness.latents import latents
from gancli.storage.tensors import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gancli.plugin import ImageSet
    from gancli.training.setup import Training


BATCH_SIZE = 256
COUNT = 256  # images that diversity is measured on
MOST_CLASSES = 16  # with classes, that many of them are compared, so that there are several images of each
TRANSLATED_PIXELS = 2**18  # of the images that are translated at a time, unless one has more
_FIRST_SEED = 2**32  # seed of the first image that the distance is measured on: none that a person is likely to look at


def monitor_of(training: Training) -> Monitor:
    """The monitor of a model that translates images, or of one that generates them."""
    return Monitor(training) if training.image.source is None else TranslationMonitor(training)


class Monitor:
    """Looks at the images of a training's EMA; ``distance`` is what :meth:`evaluate` calls its distance, once it has."""

    columns: int | None = None
    distance = ""

    def __init__(self, training: Training) -> None:
        self._state, self._config, self._image = training.state, training.config, training.image
        self._device, self._data, self._images = training.runtime.device, training.data, training.data.images

    def previews(self) -> Tensor:
        """Images of latents that are always the same, those of the first seeds: ``(n, c, h, w)`` in [-1, 1]."""
        return torch.cat(list(self._generate(range(self._config.log.previews))))

    def diversity(self) -> float:
        """How different the images are, relative to the data's, see :class:`.Diversity`; with classes, within each."""
        if len(self._images.images) < 2:  # noqa: PLR2004  (one does not differ)
            return 1.0
        diversity, seeds = self._diversity
        classes = self._image.classes
        return diversity.measure(torch.cat(list(self._generate(seeds))), torch.tensor(seeds) % classes if classes else None)

    def evaluate(self, part: float = 1.0) -> dict[str, float]:
        """Distance to the data, and coverage of it, on 2,048 images, or a part of these."""
        if self._probe is None:
            return {}
        self.distance = self._probe.column
        return self._probe.measure(self._generate(range(_FIRST_SEED, _FIRST_SEED + round(part * self._probe.count))))

    def distance_of_a_constant(self) -> float:
        """The distance at which a generator would be that makes the mean image of the data and no other."""
        if self._probe is None:
            return torch.inf
        some = normalise(some_of(self._images.images, COUNT).to(self._device))
        return self._probe.measure([some.mean(0, keepdim=True).expand(2, -1, -1, -1)])[self._probe.column]

    @cached_property
    def _probe(self) -> Probe | None:
        """Made when it is first needed, since it has to look at the data: seconds, for images of any kind."""
        name, images = self._data.name, self._images.images
        if len(images) < 2:  # noqa: PLR2004  (one has no covariance)
            return None
        frozen = {digest_of(network.state_dict()) for network in self._state.frozen.values()}
        extractor = extractor_for(name, images, otherwise=self._config.log.extractor, frozen=frozen)
        return Probe.for_data(name, images, self._device, extractor)

    @cached_property
    def _diversity(self) -> tuple[Diversity, Sequence[int]]:
        """The measure, and the seeds of as many images as there are real ones to compare with: from all over the data."""
        data, count = self._images, self._image.classes
        extractor = RandomExtractor.for_data(data.images).to(self._device)
        if not count or data.labels is None:
            real = normalise(some_of(data.images, COUNT).to(self._device))
            return Diversity(extractor, real), range(len(real))
        kinds = [k * count // min(count, MOST_CLASSES) for k in range(min(count, MOST_CLASSES))]
        found = [some_of((data.labels == kind).nonzero().flatten(), COUNT // len(kinds)) for kind in kinds]
        places = torch.cat(found)
        seeds = [k * count + kind for kind, some in zip(kinds, found, strict=True) for k in range(len(some))]
        real = normalise(data.images[places.to(data.images.device)].to(self._device))
        return Diversity(extractor, real, data.labels[places].cpu()), seeds

    @torch.inference_mode()
    def _generate(self, seeds: Sequence[int]) -> Iterator[Tensor]:
        """Batches of images of these seeds, by the EMA; their classes are 0, 1, 2, ... in turn."""
        for start in range(0, len(seeds), BATCH_SIZE):
            batch = seeds[start : start + BATCH_SIZE]
            z = torch.from_numpy(latents(batch, self._config.model.latent_dim)).to(self._device)
            classes = self._image.classes
            yield self._state.ema(z, *((torch.tensor(batch, device=self._device) % classes,) if classes else ()))


class TranslationMonitor(Monitor):
    """Looks at translations by a training's EMA, of the test split if there is one; distances are to the training images."""

    def previews(self) -> Tensor:
        """Always the same source images, each with its translation and, of pairs, the target image beside it."""
        held, image = self._held_back, self._image
        width = 3 if held.paired else 2
        sources = some_of(cast("Tensor", held.sources), max(1, self._config.log.previews // width))
        columns = [normalise(sources).to(self._device), torch.cat(list(self._translations(sources)))]
        if columns[0].shape[1] != image.channels:
            columns[0] = columns[0][:, :3].mean(1, keepdim=True).expand(-1, image.channels, -1, -1)
        if held.paired:
            columns.append(normalise(some_of(held.images, len(sources))).to(self._device))
        self.columns = width * grid_columns(len(sources), image.height, width * image.width)
        return torch.stack(columns, 1).flatten(0, 1)

    def diversity(self) -> float:
        """How different translations of training images are, relative to the target images."""
        sources = some_of(cast("Tensor", self._images.sources), COUNT)
        if min(len(sources), len(self._images.images)) < 2:  # noqa: PLR2004  (one does not differ)
            return 1.0
        return self._diversity[0].measure(torch.cat(list(self._translations(sources))))

    def evaluate(self, part: float = 1.0) -> dict[str, float]:
        """Distance of translations to the target images, and coverage of these, on at most 2,048 images."""
        sources = cast("Tensor", self._held_back.sources)
        if self._probe is None or len(sources) < 2:  # noqa: PLR2004  (one has no covariance)
            return {}
        self.distance = self._probe.column
        count = round(part * min(len(sources), self._probe.count))
        return self._probe.measure(self._translations(some_of(sources, max(2, count))))

    @cached_property
    def _held_back(self) -> ImageSet:
        """The test split, in the size and channels of training; the training images if there is none that suits."""
        image, data = self._image, self._config.data
        channels, *sides = image.source or image.shape
        update: dict[str, object] = {"image_size": "x".join(map(str, sides))}
        if channels == image.channels:
            update["channels"] = channels
        if data.dataset.startswith("hf:"):  # whose other splits are not fetched by surprise
            return self._images
        try:
            found = load_images(data.model_copy(update=update), "test").images
        except GancliError:
            return self._images
        suits = found.sources is not None and tuple(found.sources.shape[1:]) == image.source
        return found if suits and found.images.shape[1:] == image.shape else self._images

    @torch.inference_mode()
    def _translations(self, sources: Tensor) -> Iterator[Tensor]:
        """Batches of translations of uint8 ``(n, c, h, w)``."""
        for part in torch.split(sources, max(1, min(BATCH_SIZE, TRANSLATED_PIXELS // sources[0, 0].numel()))):
            z = torch.zeros(len(part), self._config.model.latent_dim, device=self._device)
            yield self._state.ema(z, normalise(part.to(self._device)))
