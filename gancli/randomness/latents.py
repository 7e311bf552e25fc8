"""Latents addressed by seed: one seed, one latent, on every machine, in every batch and in every language.

The numbers come from Philox4x32-10 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3"), a counter-based
generator: the key is the seed, the counter (position, attempt). Truncation (:meth:`gancli.Model.sample`) chooses the attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_SEED = 2**63 - 1  # largest seed that commands and models take: it fits a signed integer. (The formula goes on to 2^64.)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10


def philox4x32(
    key: tuple[NDArray[np.uint64], NDArray[np.uint64]], counter: Sequence[NDArray[np.uint64]]
) -> list[NDArray[np.uint64]]:
    """Ten rounds of Philox4x32: four arrays of random 32-bit words (as uint64).

    Key and counter are two and four arrays of 32-bit words; all six broadcast together.
    """
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return [c0, c1, c2, c3]


def latents(seeds: Sequence[int], latent_dim: int, attempt: int = 0) -> NDArray[np.float32]:
    """Latents z ~ N(0, I), one row per seed: float32 ``(len(seeds), latent_dim)``.

    Words become uniforms u = (w + 1/2) / 2^32 and pairs of uniforms two normals by Box and Muller (1958):
    sqrt(-2 ln u1) (cos 2 pi u2, sin 2 pi u2). Components 4b to 4b + 3 come from the counter (b, attempt, 0, 0).

    Args:
        seeds: whole numbers in [0, 2^64).
        latent_dim: dimensions of z.
        attempt: which of the latents of each seed, in [0, 2^32).
    """
    blocks = -(-latent_dim // 4)
    seed = np.repeat(np.asarray(seeds, dtype=np.uint64), blocks)
    block = np.tile(np.arange(blocks, dtype=np.uint64), len(seeds))
    zero = np.zeros(1, dtype=np.uint64)
    words = philox4x32((seed & _LOW, seed >> _HALF), (block, zero + np.uint64(attempt), zero, zero))
    uniform = [(word.astype(np.float64) + 0.5) * 2.0**-32 for word in words]
    normals = []
    for u1, u2 in (uniform[:2], uniform[2:]):
        radius, angle = np.sqrt(-2.0 * np.log(u1)), 2.0 * np.pi * u2
        normals += [radius * np.cos(angle), radius * np.sin(angle)]
    return np.stack(normals, axis=1).reshape(len(seeds), -1)[:, :latent_dim].astype(np.float32)
