"""Products in bfloat16, weights in float32 (Micikevicius et al., 2018), without casting a weight more than once per update.

Autocast casts every weight in every pass, and its bias with it: in one step of the game the generator's twice and the
discriminator's twice, and small networks feel it. Here each linear and convolutional layer computes with a bfloat16 copy
that is made when the weight has changed; its gradient goes to the float32 weight. These are the same casts of the same
numbers, so that the results have the same bits as under autocast alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from gancli.runtime.device import Runtime

__all__ = ["MixedPrecision"]

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
"""Layers that autocast computes in bfloat16 whole. A subclass may do anything with its weight, and is left to autocast."""

_NEVER = -1


class MixedPrecision:
    """The precision in which networks compute: ``with mixed_precision(): network(x)``.

    Args:
        runtime: whether products are to run in bfloat16 at all.
        networks: whose layers get copies.
    """

    def __init__(self, runtime: Runtime, networks: Iterable[nn.Module]) -> None:
        self._runtime = runtime
        self._copies = {network: _copies_of(network) if runtime.bf16 else [] for network in networks}

    def expire(self, network: nn.Module) -> None:
        """Cast the weights of ``network`` again: an optimiser has moved them. (Torch's fused ones leave no trace on them.)"""
        for copy in self._copies[network]:
            copy.version = _NEVER

    @contextmanager
    def __call__(self, *, enabled: bool = True) -> Iterator[None]:
        """Within the block products run in bfloat16, if ``enabled`` and if the runtime does that at all.

        Gradients may be taken after the block; they arrive at the float32 weights.
        """
        copies = [copy for group in self._copies.values() for copy in group] if enabled else []
        for copy in copies:
            copy.put()
        try:
            with self._runtime.autocast(enabled=enabled):
                yield
        finally:
            for copy in copies:
                copy.take_back()


def _copies_of(network: nn.Module) -> list[_Copy]:
    layers = [layer for layer in network.modules() if type(layer) in _LAYERS]
    return [_Copy(layer, name) for layer in layers for name, _ in layer.named_parameters(recurse=False)]


@dataclass(slots=True, eq=False)
class _Copy:
    """The bfloat16 copy of the weight (or bias) called ``name`` of one layer."""

    layer: nn.Module
    name: str
    weight: nn.Parameter | None = None
    version: int = _NEVER
    half: nn.Parameter | None = None

    def put(self) -> None:
        """Let the layer compute with the copy; cast anew if the weight is not what it was."""
        weight = self.layer._parameters[self.name]
        if weight is None or weight.dtype != torch.float32:
            return
        if self.half is None or self.weight is not weight:
            self.half = nn.Parameter(weight.detach().to(torch.bfloat16))
            self.half.register_post_accumulate_grad_hook(self._pass_on)  # type: ignore[no-untyped-call]
        elif self.version != weight._version:
            with torch.no_grad():
                self.half.copy_(weight)
        self.weight, self.version = weight, weight._version
        self.half.requires_grad_(weight.requires_grad)
        self.layer._parameters[self.name] = self.half

    def take_back(self) -> None:
        """Let the layer have its weight again."""
        if self.weight is not None:
            self.layer._parameters[self.name] = self.weight

    def _pass_on(self, half: Tensor) -> None:
        assert half.grad is not None
        assert self.weight is not None
        if self.weight.grad is None:
            self.weight.grad = half.grad.float()
        else:
            self.weight.grad += half.grad
        half.grad = None
