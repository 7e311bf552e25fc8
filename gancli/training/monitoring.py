"""Evaluation during training: previews of fixed latents, diversity, and the distance to the data. Changes nothing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

from gancli.data.batches import normalise
from gancli.metrics.diversity import Diversity
from gancli.metrics.extractor import some_of
from gancli.metrics.probe import Probe
from gancli.metrics.random_ import RandomExtractor
from gancli.randomness.latents import latents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from gancli.training.setup import Game

__all__ = ["Monitor"]


BATCH_SIZE = 256
COUNT = 256
"""Images that diversity is measured on."""

MOST_CLASSES = 16
"""With classes, that many of them are compared, so that there are several images of each."""

_FIRST_SEED = 2**32
"""Seed of the first image that the distance is measured on: none that a person is likely to look at."""


class Monitor:
    """Looks at the images of a training's EMA.

    Attributes:
        distance: the name under which :meth:`evaluate` reports its distance, for instance ``fd_mnist``, once it has.
    """

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
        data = self._game.data
        return Probe.for_data(data.name, data.images.images, self._game.runtime.device)

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
