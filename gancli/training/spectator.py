"""Who watches the game after each epoch: previews of fixed latents, and how the averaged generator is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gancli.data.batches import normalise
from gancli.latents import latents
from gancli.training.alarms import diversity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gancli.training.setup import Game

__all__ = ["Spectator"]


class Spectator:
    """Looks at what the averaged generator of a game draws, and changes nothing."""

    def __init__(self, game: Game) -> None:
        self._game = game
        count = min(game.config.log.previews, 64, len(game.data.images.images))
        self._some_real = normalise(game.data.images.images[:count].to(game.runtime.device))

    def previews(self) -> Tensor:
        """What it makes of latents that are always the same, those of the first seeds: ``(n, c, h, w)`` in [-1, 1]."""
        return self._draw(range(self._game.config.log.previews))

    def judge(self, previews: Tensor) -> dict[str, float]:
        """How good and how different the pictures are."""
        return {"diversity": diversity(previews, self._some_real)}

    @torch.inference_mode()
    def _draw(self, seeds: Sequence[int]) -> Tensor:
        game = self._game
        z = torch.from_numpy(latents(seeds, game.config.model.latent_dim)).to(game.runtime.device)
        labels = (torch.tensor(seeds, device=z.device) % game.image.classes,) if game.image.classes else ()
        fake: Tensor = game.state.average.network(z, *labels)
        return fake
