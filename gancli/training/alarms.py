"""What can be seen to go wrong: a discriminator that wins, a generator that collapses. Alarms stop nothing."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from gancli.plugin import Objective

__all__ = ["diversity", "signs_of_trouble"]

_WON = 0.98
_LEARNT = 0.04
"""The non-saturating loss with scores of 0.98 and 0.02."""
_APART = 0.1
_COLLAPSED = 0.25

EARLIEST_STEP = 100
"""Before it, nothing is wrong yet: an untrained generator draws nearly one picture, and an epoch of a small data set is over
after a few steps."""


def spread(images: Tensor, labels: Tensor | None = None) -> float:
    """Mean Euclidean distance between two different images of ``(n, c, h, w)``, n > 1; with labels, between two of a class.

    NaN if no class has two images.
    """
    distances = torch.pdist(images.flatten(1).float())
    if labels is not None:
        one, other = torch.triu_indices(len(labels), len(labels), offset=1, device=labels.device)
        distances = distances[(labels[one] == labels[other]).to(distances.device)]
    return float(distances.mean())


def diversity(fake: Tensor, real: Tensor, fake_labels: Tensor | None = None, real_labels: Tensor | None = None) -> float:
    """How different generated pictures are from each other, relative to real ones: spread(fake) / spread(real).

    About 1 for a good model, 0 for one that draws a single picture; 1 as well if the real ones are all the same. With
    labels, pictures of one class are compared: a conditional model that draws a single picture of each class is at 0. Without
    two different pictures of any class, the labels are left out.

    Args:
        fake: images in [-1, 1], ``(n, c, h, w)``.
        real: as many real ones, or about.
        fake_labels: their classes, ``(n,)``, or None.
        real_labels: likewise.
    """
    if len(fake) < 2 or len(real) < 2:  # noqa: PLR2004  (a pair)
        return 1.0
    if fake_labels is not None and real_labels is not None:
        within = spread(fake, fake_labels), spread(real, real_labels)
        if within[1] > 0 and not isnan(within[0]):
            return within[0] / within[1]
    reference = spread(real)
    return spread(fake) / reference if reference else 1.0


def _has_won(loss: float, real_score: float, fake_score: float) -> bool:
    """Whether D is told nothing more by its loss: it is hardly above 0, its least value, or its scores are those of certainty.

    Losses differ in their scale of logits: least squares is at its least with s(D(x)) = s(1) = 0.73, and only smoothed labels
    keep a loss away from 0 that has nothing to teach. A Wasserstein loss has no least value; a critic that is of use has one
    below 0.
    """
    if loss < 0:
        return False
    certain = real_score > _WON and fake_score < 1 - _WON
    return certain or (loss < _LEARNT and real_score > fake_score + _APART)


def _stronger_penalty(objective: Objective) -> str:
    """The option of the penalty that is in use, or of the one to begin with."""
    in_use = [name for name in ("r1_gamma", "r2_gamma", "gradient_penalty") if getattr(objective, name)]
    return f"a larger -s objective.{(in_use or ['r1_gamma'])[0]}"


def signs_of_trouble(
    metrics: Mapping[str, float], step: int, objective: Objective, *, classes: int = 0
) -> Iterator[tuple[str, str]]:
    """(name, message) of every alarm that the means over an epoch that ended at ``step`` give cause for, in this very game."""
    if step < EARLIEST_STEP:
        return
    real_score, fake_score = metrics["real_score"], metrics["fake_score"]
    if _has_won(metrics["d_loss"], real_score, fake_score):
        yield (
            "discriminator-wins",
            (
                f"The discriminator wins: D(x) = {real_score:.3f}, D(G(z)) = {fake_score:.3f}, so G learns little. "
                f"Try {_stronger_penalty(objective)}, or a smaller -s train.discriminator_learning_rate."
            ),
        )
    if metrics["diversity"] < _COLLAPSED:
        alike = "The pictures of each class are" if classes else "The pictures are"
        compared = objective.generator_sees_real
        elsewhere = "or more pictures per batch" if compared else "or -s objective.name=relativistic"
        yield (
            "collapse",
            (
                f"{alike} nearly all alike: diversity {metrics['diversity']:.2f} "
                "of the data's. "
                f"Try {_stronger_penalty(objective)}, a smaller --learning-rate, {elsewhere}."
            ),
        )
