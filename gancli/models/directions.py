"""Directions in latent space that change images most, ordered by their effect.

Where the generator exposes the weights A of the first layer that reads p: the eigenvectors of A^T A (Shen & Zhou, 2021,
"Closed-Form Factorization of Latent Semantics in GANs", SeFa). Else those of M, the mean of J^T J, J = dG / dp at many seeds
(Ramesh et al., 2018, "A Spectral Regularizer for Unsupervised Disentanglement"). The strength of v is sqrt(v^T M v) in both
cases. p is w where the generator has a mapping network, else z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gancli.errors import PluginError, UsageError
from gancli.plugin import LinearlyReadGenerator

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.models.model import Model

SEEDS = 64  # seeds at which the Jacobian is taken
STEP = 0.05  # of the central differences, in units of the latent's standard deviation


@dataclass(frozen=True, slots=True)
class Directions:
    """Directions of a model."""

    vectors: Tensor  # (k, d), each as long as one standard deviation of p
    strengths: Tensor  # (k,): root mean square change of an image per vector, pixels in [-1, 1]; falling
    space: str  # w or z
    method: str  # closed form or Jacobian


@torch.no_grad()
def find_directions(
    model: Model, count: int, *, seed: int = 0, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Directions:
    """The ``count`` directions of the largest effect, at the images of :data:`SEEDS` seeds.

    Raises:
        UsageError: there are not so many; or the model translates images.
        PluginError: the weights that the generator exposes do not fit its latent.
    """
    model.refuse_translator()
    labels = model.classes(SEEDS)
    points = model.points(range(seed, seed + SEEDS), labels)
    own = None if labels is None else torch.tensor(list(labels))
    dimensions = points.shape[1]
    if not 1 <= count <= dimensions:
        problem = f"{count} directions cannot be found."
        raise UsageError(problem, f"The latent has {dimensions} dimensions: ask for 1 to as many.")
    spread = points.std(0).mean() if model.two_stage else torch.tensor(1.0)
    shifts = STEP * spread * torch.eye(dimensions)
    gram = torch.zeros(dimensions, dimensions, dtype=torch.float64)
    for start in range(0, SEEDS, part := max(1, SEEDS // 8)):
        at, label = points[start : start + part], None if own is None else own[start : start + part]
        differences = (model.render(at + shift, label) - model.render(at - shift, label) for shift in shifts)
        jacobian = torch.stack([(each / (2 * STEP)).flatten(1).cpu() for each in differences], 2).double()
        gram += torch.einsum("npi,npj->ij", jacobian, jacobian) / (SEEDS * jacobian.shape[1])
        progress(min(SEEDS, start + part), SEEDS)
    generator, method, matrix = model.generator, "Jacobian", gram
    if isinstance(generator, LinearlyReadGenerator):
        weight = generator.latent_weight().double().cpu()
        if weight.shape[1:] != (dimensions,):
            problem = f"latent_weight() of the generator is {tuple(weight.shape)}, not (m, {dimensions})."
            raise PluginError(problem, "Correct the architecture.")
        method, matrix = "closed form", weight.T @ weight
    _, vectors = torch.linalg.eigh(matrix)
    effects = torch.einsum("ik,ij,jk->k", vectors, gram, vectors)
    order = effects.argsort(descending=True)[:count]
    vectors, effects = vectors[:, order].T, effects[order]
    largest = vectors.abs().argmax(1, keepdim=True)
    vectors = vectors * vectors.gather(1, largest).sign()  # of the two opposite vectors always the same one
    strengths = effects.clamp(min=0).sqrt().float()
    return Directions((vectors * spread).float(), strengths, "w" if model.two_stage else "z", method)
