"""Randomness in training: latents and dropout masks of step *k* come from (seed, purpose, *k*), the order of epoch *e* from
(seed, "order", *e*). A kill, a resume or another number of processes changes nothing, and no generator's state is saved.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor


def address(seed: int, purpose: str, index: int = 0) -> int:
    """A 63-bit seed that belongs to (seed, purpose, index) alone.

    >>> address(0, "order", 1) == address(0, "order", 1)
    True
    >>> len({address(s, p, i) for s in range(3) for p in ("order", "latent") for i in range(3)})
    18
    """
    digest = blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator_at(seed: int, purpose: str, index: int = 0) -> Generator:
    """A CPU generator at that address: the same numbers on every device."""
    from torch import Generator

    generator = Generator()
    generator.manual_seed(address(seed, purpose, index))
    return generator


def normal_at(shape: tuple[int, ...], seed: int, purpose: str, index: int = 0) -> Tensor:
    """Standard normal numbers of the given shape, float32, on the CPU, at that address."""
    import torch

    return torch.randn(shape, generator=generator_at(seed, purpose, index))
