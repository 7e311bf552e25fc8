"""Who watches the game after each epoch: previews of fixed latents, and how the averaged generator is doing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

from gancli.data.batches import normalise
from gancli.metrics.extractor import some_of
from gancli.metrics.probe import Probe
from gancli.randomness.latents import latents
from gancli.training.alarms import diversity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from gancli.training.setup import Game

__all__ = ["Spectator"]


BATCH_SIZE = 256
_WATCHED, _WATCHED_CLASSES = 64, 16
_FIRST_SEED = 2**32
"""Seed of the first picture that the quality is measured on: none that a person is likely to look at."""


class Spectator:
    """Looks at what the averaged generator of a game draws, and changes nothing.

    Attributes:
        figure: the name under which :meth:`quality` reports its distance, for instance ``fd_mnist``, once it has.
    """

    figure = ""

    def __init__(self, game: Game) -> None:
        self._game = game
        count = game.image.classes
        watched = [k * count // min(count, _WATCHED_CLASSES) for k in range(min(count, _WATCHED_CLASSES))] or [0]
        each = _WATCHED // len(watched)
        self._watched_seeds = [k * count + kind for k in range(each) for kind in watched] if count else range(_WATCHED)
        real, self._real_labels = self._some_real(watched, each)
        self._real = normalise(real.to(game.runtime.device))

    def previews(self) -> Tensor:
        """What it makes of latents that are always the same, those of the first seeds: ``(n, c, h, w)`` in [-1, 1]."""
        return self._draw(range(self._game.config.log.previews))

    def diversity(self) -> float:
        """How different its pictures are from each other, see :func:`gancli.training.alarms.diversity`.

        They are 64 of fixed latents; with classes, several of each class, or of sixteen classes if there are more.
        """
        fake_labels = self._labels(self._watched_seeds)
        return diversity(self._draw(self._watched_seeds), self._real, *fake_labels, *self._real_labels)

    def quality(self) -> dict[str, float]:
        """Distance between what it draws and the data, if that is due at the end of this epoch; else nothing.

        Due is every epoch that takes the images seen past a multiple of ``log.quality_every_images``, and the last.
        """
        if not self._is_due() or self._probe is None:
            return {}
        self.figure = self._probe.column
        return self._probe.measure(self._some_fakes(self._probe.count))

    @cached_property
    def _probe(self) -> Probe | None:
        """Made when it is first needed, since it has to look at the data: seconds, for pictures of any kind."""
        data = self._game.data
        return Probe.for_data(data.name, data.images.images, self._game.runtime.device)

    def _is_due(self) -> bool:
        state, plan, config = self._game.state, self._game.plan, self._game.config
        every = config.log.quality_every_images / (config.train.batch_size * self._game.trainer.batches_per_step)
        over = plan.is_done(state.step, state.elapsed_seconds)
        return every > 0 and (over or plan.ends_epoch_past(state.step, every))

    def _some_fakes(self, count: int) -> Iterator[Tensor]:
        for start in range(0, count, BATCH_SIZE):
            yield self._draw(range(_FIRST_SEED + start, _FIRST_SEED + min(start + BATCH_SIZE, count)))

    def _some_real(self, kinds: Sequence[int], each: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Pictures from all over the data (the first of a folder are of one class); with classes, ``each`` of every kind."""
        data = self._game.data.images
        if not self._game.image.classes or data.labels is None:
            return some_of(data.images, each * len(kinds)), ()
        places = torch.cat([some_of((data.labels == kind).nonzero().flatten(), each) for kind in kinds])
        return data.images[places.to(data.images.device)], (data.labels[places],)

    @torch.inference_mode()
    def _draw(self, seeds: Sequence[int]) -> Tensor:
        game = self._game
        z = torch.from_numpy(latents(seeds, game.config.model.latent_dim)).to(game.runtime.device)
        fake: Tensor = game.state.ema(z, *self._labels(seeds))
        return fake

    def _labels(self, seeds: Sequence[int]) -> tuple[Tensor, ...]:
        """The classes that are drawn for these seeds, one after the other; none of a model without classes."""
        game = self._game
        return (torch.tensor(seeds, device=game.runtime.device) % game.image.classes,) if game.image.classes else ()
