"""Dropout that costs little on a CPU.

Torch draws one 32-bit number per unit, one after the other: a fifth of a training step of the dense pair with dropout. Here
one 64-bit number serves eight units, with 8 bits each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Dropout"]

_LEVELS = 1 << 8
_LANES = 8
_LOWEST = -(1 << 63)


class Dropout(nn.Dropout):
    """Drop units: y = x m / (1 - p), with m_i = 0 with probability p and else 1, in training; y = x in evaluation.

    Source: Srivastava et al., 2014. On a CPU the share that is dropped in one pass is a multiple of 2^-8, rounded at random
    so that it is p on average: a unit is dropped with probability p. Masks are drawn by torch's default generator; a pass
    of n units takes one number and ceil(n / 8) numbers from it.

    Args:
        p: share of the units that is dropped, in [0, 1).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, any floating type; the result has the same."""
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        dropped = _LEVELS * self.p + torch.rand((), dtype=torch.float64)
        if torch.compiler.is_compiling():
            kept = torch.ge(_traceable_lanes(x), dropped.floor() - _LEVELS // 2).to(x.dtype)
        else:
            kept = _kept(x, int(dropped.item()))
        return x * kept.mul_(1 / (1 - self.p))


def _kept(x: Tensor, dropped: int) -> Tensor:
    """Zeros, each with probability dropped / 2^8, and ones, of the shape and type of ``x``."""
    numbers = torch.empty(_count(x), dtype=torch.int64).random_(_LOWEST, None)
    if dropped == _LEVELS:
        return torch.zeros_like(x)
    return torch.ge(_lanes(numbers, x), dropped - _LEVELS // 2, out=torch.empty(x.shape, dtype=x.dtype))


def _traceable_lanes(x: Tensor) -> Tensor:
    """The lanes that ``_kept`` draws, by an operator that compilers know.

    They stop at one that works in place. This one takes the same numbers r, but gives r mod (2^64 - 1) - 2^63.
    """
    return _lanes(torch.randint(_LOWEST, -_LOWEST - 1, (_count(x),)) ^ _LOWEST, x)


def _count(x: Tensor) -> int:
    return -(-x.numel() // _LANES)


def _lanes(numbers: Tensor, x: Tensor) -> Tensor:
    """Numbers of 8 bits, from -2^7 to 2^7 - 1, of the shape of ``x``."""
    return numbers.view(torch.int8)[: x.numel()].view(x.shape)
