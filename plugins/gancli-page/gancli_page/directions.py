"""The directions in latent space that change images most: what the page's sliders are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gancli.plugin import LinearlyReadGenerator, TrainedGenerator, TwoStageGenerator

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 12  # directions, hence sliders
# latents at which the Jacobian is taken, step of the differences, images at a time, and pixels of each that are used
LATENTS, STEP, BATCH, PIXELS = 8, 0.05, 64, 16_384


def directions(generator: TrainedGenerator) -> NDArray[np.float64]:
    """At most :data:`MOST` orthonormal directions of z, ``(k, latent_dim)``, in the order of their effect.

    They are those of `gancli directions` in z: of the first layer that reads z where the generator exposes it, else the
    principal components of the Jacobian J = dG / dz. A page has no w: of a mapping network they are those of the Jacobian.
    """
    dimensions, classes = generator.latent_dim, generator.image.classes
    middles = np.random.default_rng(0).standard_normal((LATENTS, dimensions), np.float32)
    shifts = STEP * np.eye(dimensions, dtype=np.float32)

    def images(z: NDArray[np.float32], label: int) -> NDArray[np.float32]:
        labels = np.full(len(z), label) if classes else None
        flat = generator.draw(z, labels).reshape(len(z), -1)
        return flat[:, :: max(1, flat.shape[1] // PIXELS)]

    gram = np.zeros((dimensions, dimensions))
    for number, middle in enumerate(middles):
        label = number % classes if classes else 0
        parts = [shifts[start : start + BATCH] for start in range(0, dimensions, BATCH)]
        jacobian = np.concatenate([images(middle + part, label) - images(middle - part, label) for part in parts])
        gram += (jacobian.astype(np.float64) / (2 * STEP)) @ jacobian.T
    network, matrix = generator.network, gram
    if isinstance(network, LinearlyReadGenerator) and not isinstance(network, TwoStageGenerator):
        weight = network.latent_weight().detach().double().numpy()
        matrix = weight.T @ weight
    _, vectors = np.linalg.eigh(matrix)
    effects = np.einsum("ik,ij,jk->k", vectors, gram, vectors)
    best = vectors[:, np.argsort(-effects)[:MOST]].T
    signs = np.sign(np.take_along_axis(best, np.abs(best).argmax(1)[:, None], 1))
    return np.asarray(best * signs)  # of the two opposite vectors always the same one
