"""What can be seen to go wrong: a discriminator that wins, a generator that collapses. Alarms stop nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

__all__ = ["diversity", "signs_of_trouble"]

_WON = 0.98
_COLLAPSED = 0.25

EARLIEST_STEP = 100
"""Before it, nothing is wrong yet: an untrained generator draws nearly one picture, and an epoch of a small data set is over
after a few steps."""


def spread(images: Tensor) -> float:
    """Mean Euclidean distance between two different images of ``(n, c, h, w)``, n > 1."""
    return float(torch.pdist(images.flatten(1).float()).mean())


def diversity(fake: Tensor, real: Tensor) -> float:
    """How different generated pictures are from each other, relative to real ones: spread(fake) / spread(real).

    About 1 for a good model, 0 for one that draws a single picture; 1 as well if the real ones are all the same.

    Args:
        fake: images in [-1, 1], ``(n, c, h, w)``.
        real: as many real ones, or about.
    """
    reference = spread(real) if len(real) > 1 else 0.0
    return spread(fake) / reference if reference and len(fake) > 1 else 1.0


def signs_of_trouble(metrics: Mapping[str, float], step: int) -> Iterator[tuple[str, str]]:
    """(name, message) of every alarm that the means over an epoch that ended at ``step`` give cause for."""
    if step < EARLIEST_STEP:
        return
    real_score, fake_score = metrics["real_score"], metrics["fake_score"]
    if real_score > _WON and fake_score < 1 - _WON:
        yield (
            "discriminator-wins",
            (
                f"The discriminator wins: D(x) = {real_score:.3f}, D(G(z)) = {fake_score:.3f}, so G learns little. "
                "Try a larger -s objective.r1_gamma, or a smaller -s train.discriminator_learning_rate."
            ),
        )
    if metrics["diversity"] < _COLLAPSED:
        yield (
            "collapse",
            (
                f"The pictures are nearly all alike: diversity {metrics['diversity']:.2f} of the data's. "
                "Try a larger -s objective.r1_gamma, a smaller --learning-rate, or -s objective.name=relativistic."
            ),
        )
