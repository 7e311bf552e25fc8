"""Pictures between two classes, from generators that know whole classes only.

The contract of a generator is ``(z, labels)`` with whole numbers as labels. Nearly every conditional generator looks them up
in a table of learnt vectors, ``nn.Embedding``, and everything after that is continuous. So the vectors are what is blended:
the generator is run for the second class while the outputs of its embeddings are remembered, and once more for the first
class while they are moved towards the remembered ones.

That this is all that the generator does with a label is not assumed, it is checked: moved all the way, the embeddings have
to give the second class's pictures. A generator that uses labels in another way (``one_hot``, say) is cross-faded instead:
the pictures of both classes, blended pixel by pixel.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Draw = Callable[[Tensor, Tensor], Tensor]

__all__ = ["Blender"]

_SAME = 1e-3
"""How far pictures in [-1, 1] may differ and still be the same: an eighth of a grey level."""


class Blender:
    """Draws pictures between classes.

    Args:
        generator: whose embeddings are looked at.
        draw: ``(z, labels) -> images`` with that generator.
        latent_dim: dimensions of z.
        pairs: the classes between which pictures will be asked for: first and second, int64 ``(2, m)``.

    Attributes:
        blends_embeddings: whether embeddings are blended; if not, pictures are.
    """

    def __init__(self, generator: nn.Module, draw: Draw, latent_dim: int, pairs: Tensor) -> None:
        self._embeddings = [module for module in generator.modules() if isinstance(module, nn.Embedding)]
        self._draw = draw
        first, second = torch.unique(pairs, dim=1)
        z = torch.linspace(-1, 1, latent_dim).expand(len(first), -1)
        all_the_way = self._between(z, first, second, torch.ones(len(first)))
        self.blends_embeddings = bool((all_the_way - draw(z, second)).abs().max() <= _SAME)

    def draw(self, z: Tensor, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """Pictures at ``weight (n,)`` of the way from class ``first (n,)`` to class ``second (n,)``: ``(n, c, h, w)``."""
        if not weight.any():
            return self._draw(z, first)
        if self.blends_embeddings:
            return self._between(z, first, second, weight)
        return _lerp(self._draw(z, first), self._draw(z, second), weight)

    def _between(self, z: Tensor, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        seen: list[Tensor] = []
        with self._hooked(seen.append):
            self._draw(z, second)
        goals = iter(seen)
        with self._hooked(lambda output: _lerp(output, next(goals, output), weight)):
            return self._draw(z, first)

    def _hooked(self, act: Callable[[Tensor], Tensor | None]) -> ExitStack:
        """A block in which every output of an embedding goes through ``act``; None leaves it as it is."""

        def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:  # noqa: ANN401, ARG001  (torch's signature)
            return act(output)

        stack = ExitStack()
        for embedding in self._embeddings:
            stack.callback(embedding.register_forward_hook(hook).remove)
        return stack


def _lerp(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """``(1 - w) a + w b`` per sample; a where they do not belong to the samples, as a table of positions does not."""
    if a.shape != b.shape or len(a) != len(weight):
        return a
    return torch.lerp(a, b, weight.to(a).view(-1, *[1] * (a.dim() - 1)))
