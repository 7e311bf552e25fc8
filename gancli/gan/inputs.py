"""What networks are called with: latents, and after them the conditions of :class:`gancli.plugin.Networks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.plugin import ImageSpec


def conditions(labels: Tensor | None = None, sources: Tensor | None = None) -> tuple[Tensor, ...]:
    """Labels ``(n,)``, source images ``(n, c, h, w)``, both, or nothing, in this order."""
    return tuple(each for each in (labels, sources) if each is not None)


def example_conditions(image: ImageSpec, n: int, device: torch.device | None = None) -> tuple[Tensor, ...]:
    """Conditions of n images: classes 0, 1, 2, ... in turn; source images of zeros."""
    labels = torch.arange(n, device=device) % image.classes if image.classes else None
    return conditions(labels, torch.zeros(n, *image.source, device=device) if image.source else None)


def example_inputs(image: ImageSpec, latent_dim: int, n: int, device: torch.device | None = None) -> tuple[Tensor, ...]:
    """Inputs of a generator for n images, that all differ in z: ``(z, *conditions)``."""
    z = torch.linspace(-1, 1, n * latent_dim, device=device).reshape(n, latent_dim)
    return z, *example_conditions(image, n, device)
