"""Images between two classes, from generators that know whole classes only.

Nearly every conditional generator looks labels up in a table of learnt vectors, ``nn.Embedding``, and everything after that is
continuous. So these vectors are blended: those of the first class are moved towards the second's. Moved all the way, they
have to give the second class's images; a generator that uses labels in another way is cross-faded instead, pixel by pixel.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


_SAME = 1e-3  # how far images in [-1, 1] may differ and still be the same: an eighth of a grey level


class Blender:
    """Generates images between classes; ``blends_embeddings`` says whether embeddings are blended, or else images.

    ``draw`` is ``(z, labels) -> images`` with the ``generator``, whose embeddings are inspected; ``pairs`` are the classes
    between which images will be asked for: first and second, int64 ``(2, m)``.
    """

    def __init__(self, generator: nn.Module, draw: Callable[[Tensor, Tensor], Tensor], latent_dim: int, pairs: Tensor) -> None:
        self._embeddings = [module for module in generator.modules() if isinstance(module, nn.Embedding)]
        self._draw = draw
        first, second = torch.unique(pairs, dim=1)
        z = torch.linspace(-1, 1, latent_dim).expand(len(first), -1)
        all_the_way = self._between(z, first, second, torch.ones(len(first)))
        self.blends_embeddings = bool((all_the_way - draw(z, second)).abs().max() <= _SAME)

    def draw(self, z: Tensor, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """Images at ``weight (n,)`` of the way from class ``first (n,)`` to class ``second (n,)``: ``(n, c, h, w)``."""
        if not weight.any():
            return self._draw(z, first)
        if self.blends_embeddings:
            return self._between(z, first, second, weight)
        return _lerp(self._draw(z, first), self._draw(z, second), weight)

    def _between(self, z: Tensor, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """Images of the first class, with every output of an embedding moved towards that of the second class."""
        seen: list[Tensor] = []
        with ExitStack() as hooks:
            for each in self._embeddings:
                hooks.callback(each.register_forward_hook(lambda _module, _inputs, output: seen.append(output)).remove)
            self._draw(z, second)
        goals = iter(seen)
        with ExitStack() as hooks:
            for each in self._embeddings:
                hook = each.register_forward_hook(lambda _module, _inputs, output: _lerp(output, next(goals, output), weight))
                hooks.callback(hook.remove)
            return self._draw(z, first)


def _lerp(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """``(1 - w) a + w b`` per sample; a where they do not belong to the samples, as a table of positions does not."""
    if a.shape != b.shape or len(a) != len(weight):
        return a
    return torch.lerp(a, b, weight.to(a).view(-1, *[1] * (a.dim() - 1)))
