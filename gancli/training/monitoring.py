"""Evaluation during training: previews of fixed latents, diversity, and the distance to the data. Changes nothing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

from gancli.data import load_images
from gancli.data.batches import normalise
from gancli.errors import GancliError
from gancli.images import grid_columns
from gancli.metrics.choice import extractor_for
from gancli.metrics.diversity import Diversity
from gancli.metrics.extractor import some_of
from gancli.metrics.probe import Probe
from gancli.metrics.random_ import RandomExtractor
from gancli.randomness.latents import latents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from gancli.plugin import ImageSet
    from gancli.training.setup import Game

__all__ = ["Monitor", "TranslationMonitor", "monitor_of"]


BATCH_SIZE = 256
COUNT = 256
"""Images that diversity is measured on."""

MOST_CLASSES = 16
"""With classes, that many of them are compared, so that there are several images of each."""

TRANSLATED_PIXELS = 2**18
"""Of the images that are translated at a time, unless one has more."""

_FIRST_SEED = 2**32
"""Seed of the first image that the distance is measured on: none that a person is likely to look at."""


def monitor_of(game: Game) -> Monitor:
    """What watches a training: the monitor of a model that translates images, or of one that generates them."""
    return Monitor(game) if game.image.source is None else TranslationMonitor(game)


class Monitor:
    """Looks at the images of a training's EMA.

    Attributes:
        columns: of the previews; None: about as many as rows.
        distance: the name under which :meth:`evaluate` reports its distance, for instance ``fd_mnist``, once it has.
    """

    columns: int | None = None
    distance = ""

    def __init__(self, game: Game) -> None:
        self._game = game

    def previews(self) -> Tensor:
        """Images of latents that are always the same, those of the first seeds: ``(n, c, h, w)`` in [-1, 1]."""
        count = self._game.config.log.previews
        return torch.cat(list(self._generate(range(count))))

    def diversity(self) -> float:
        """How different the images are, relative to the data's, see :class:`.Diversity`; with classes, within each."""
        diversity, seeds = self._diversity
        fake = torch.cat(list(self._generate(seeds)))
        return diversity.measure(fake, *(labels.cpu() for labels in self._labels(seeds)))

    def evaluate(self) -> dict[str, float]:
        """Distance to the data, and coverage of it, on 2,048 images."""
        if self._probe is None:
            return {}
        self.distance = self._probe.column
        return self._probe.measure(self._generate(range(_FIRST_SEED, _FIRST_SEED + self._probe.count)))

    def distance_of_a_constant(self) -> float:
        """The distance at which a generator would be that makes the mean image of the data and no other."""
        if self._probe is None:
            return torch.inf
        device = self._game.runtime.device
        some = normalise(some_of(self._game.data.images.images, COUNT).to(device))
        return self._probe.measure([some.mean(0, keepdim=True).expand(2, -1, -1, -1)])[self._probe.column]

    @cached_property
    def _probe(self) -> Probe | None:
        """Made when it is first needed, since it has to look at the data: seconds, for images of any kind."""
        game = self._game
        name, images = game.data.name, game.data.images.images
        frozen = game.frozen_digests().values()
        extractor = extractor_for(name, images, otherwise=game.config.log.extractor, frozen=frozen)
        return Probe.for_data(name, images, game.runtime.device, extractor)

    @cached_property
    def _diversity(self) -> tuple[Diversity, Sequence[int]]:
        """The measure, and the seeds of as many images as there are real ones to compare with.

        Real images come from all over the data, since the first of a folder are of one class; with classes, from each of
        some of them.
        """
        data, count, device = self._game.data.images, self._game.image.classes, self._game.runtime.device
        extractor = RandomExtractor.for_data(data.images).to(device)
        if not count or data.labels is None:
            real = normalise(some_of(data.images, COUNT).to(device))
            return Diversity(extractor, real), range(len(real))
        kinds = [k * count // min(count, MOST_CLASSES) for k in range(min(count, MOST_CLASSES))]
        found = [some_of((data.labels == kind).nonzero().flatten(), COUNT // len(kinds)) for kind in kinds]
        places = torch.cat(found)
        seeds = [k * count + kind for kind, some in zip(kinds, found, strict=True) for k in range(len(some))]
        real = normalise(data.images[places.to(data.images.device)].to(device))
        return Diversity(extractor, real, data.labels[places].cpu()), seeds

    @torch.inference_mode()
    def _generate(self, seeds: Sequence[int]) -> Iterator[Tensor]:
        """Batches of images of these seeds, by the EMA."""
        game = self._game
        for start in range(0, len(seeds), BATCH_SIZE):
            batch = seeds[start : start + BATCH_SIZE]
            z = torch.from_numpy(latents(batch, game.config.model.latent_dim)).to(game.runtime.device)
            yield game.state.ema(z, *self._labels(batch))

    def _labels(self, seeds: Sequence[int]) -> tuple[Tensor, ...]:
        """The classes that are generated for these seeds, one after the other; none for a model without classes."""
        game = self._game
        return (torch.tensor(seeds, device=game.runtime.device) % game.image.classes,) if game.image.classes else ()


class TranslationMonitor(Monitor):
    """Looks at translations by a training's EMA, of source images that it is not trained on, if there are any.

    These are the test split, else the training images. Distances are to the target images of the training.
    """

    def previews(self) -> Tensor:
        """Always the same source images, each with its translation and, of pairs, the target image beside it."""
        held, image = self._held_back, self._game.image
        width = 3 if held.paired else 2
        count = max(1, min(len(self._sources), self._game.config.log.previews // width))
        sources = some_of(self._sources, count)
        columns = [normalise(sources).to(self._game.runtime.device), torch.cat(list(self._translations(sources)))]
        if columns[0].shape[1] != image.channels:
            columns[0] = columns[0][:, :3].mean(1, keepdim=True).expand(-1, image.channels, -1, -1)
        if held.paired:
            columns.append(normalise(some_of(held.images, count)).to(columns[1].device))
        self.columns = width * grid_columns(count, image.height, width * image.width)
        return torch.stack(columns, 1).flatten(0, 1)

    def diversity(self) -> float:
        """How different translations of training images are, relative to the target images."""
        images = self._game.data.images
        assert images.sources is not None  # noqa: S101  (the image's specification says so)
        sources = some_of(images.sources, COUNT)
        if len(sources) < 2:  # noqa: PLR2004  (one does not differ)
            return 1.0
        return self._diversity[0].measure(torch.cat(list(self._translations(sources))))

    def evaluate(self) -> dict[str, float]:
        """Distance of translations to the target images, and coverage of these, on at most 2,048 images."""
        if self._probe is None or len(self._sources) < 2:  # noqa: PLR2004  (one has no covariance)
            return {}
        self.distance = self._probe.column
        return self._probe.measure(self._translations(some_of(self._sources, self._probe.count)))

    @cached_property
    def _held_back(self) -> ImageSet:
        """The test split, in the size and channels of training; the training images if there is none that suits."""
        game, training = self._game, self._game.data.images
        channels, *sides = game.image.source or game.image.shape
        update: dict[str, object] = {"image_size": "x".join(map(str, sides))}
        if channels == game.image.channels:
            update["channels"] = channels
        if game.config.data.dataset.startswith("hf:"):  # whose other splits are not fetched by surprise
            return training
        try:
            found = load_images(game.config.data.model_copy(update=update), "test").images
        except GancliError:
            return training
        suits = found.sources is not None and tuple(found.sources.shape[1:]) == game.image.source
        return found if suits and found.images.shape[1:] == game.image.shape else training

    @property
    def _sources(self) -> Tensor:
        sources = self._held_back.sources
        assert sources is not None  # noqa: S101  (as above)
        return sources

    @torch.inference_mode()
    def _translations(self, sources: Tensor) -> Iterator[Tensor]:
        """Batches of translations of uint8 ``(n, c, h, w)``."""
        device, latent_dim = self._game.runtime.device, self._game.config.model.latent_dim
        for part in torch.split(sources, max(1, min(BATCH_SIZE, TRANSLATED_PIXELS // sources[0, 0].numel()))):
            z = torch.zeros(len(part), latent_dim, device=device)
            yield self._game.state.ema(z, normalise(part.to(device)))
