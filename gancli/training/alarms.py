"""What can be seen to go wrong: a discriminator that wins, mode collapse, images of no use. Alarms stop nothing."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gancli.plugin import Objective

COLLAPSED, RISING = 0.18, 1.03
"""Modes have collapsed where diversity is below 0.18 and PATIENCE times in a row does not rise by 3 %.

A young generator makes nearly one image as well, at first without getting better at it, but soon more and more different ones.
Campaign: tests/benchmarks/collapse.py."""

EARLIEST_STEP = 100  # no alarm before it
PATIENCE = 3  # measurements in a row: a healthy generator may wait for 300 steps before it makes different images
EARLY_STEPS, SPACING = (100, 200, 300, 400), 50
"""Diversity is measured at these steps too, so that a run of one long epoch is checked, and at most once in 50 steps."""

_WON, _LEARNT, _APART = 0.98, 0.04, 0.1
"""A discriminator has won at scores of 0.98 and 0.02; that is a non-saturating loss of 0.04."""


def signs_of_trouble(
    metrics: Mapping[str, float], step: int, objective: Objective, *, classes: int = 0, before: Sequence[float] = ()
) -> Iterator[tuple[str, str]]:
    """(name, message) of every alarm that an epoch which ended at ``step`` gives cause for.

    ``metrics`` are means over the epoch, and what was measured at its end; what is missing is not checked. ``before`` is
    diversity as it was measured before, oldest first.
    """
    if step < EARLIEST_STEP:
        return
    in_use = [name for name in ("r1_gamma", "r2_gamma", "gradient_penalty") if getattr(objective, name)]
    penalty = f"a larger -s objective.{(in_use or ['r1_gamma'])[0]}"
    if {"d_loss", "real_score", "fake_score"} <= metrics.keys():
        loss, real, fake = metrics["d_loss"], metrics["real_score"], metrics["fake_score"]
        # Losses differ in their scale of logits (least squares is at its least with s(D(x)) = s(1) = 0.73), hence the two
        # conditions. A Wasserstein loss has no least value; a critic that is of use has one below 0.
        certain = real > _WON and fake < 1 - _WON
        if loss >= 0 and (certain or (loss < _LEARNT and real > fake + _APART)):
            message = f"The discriminator wins: D loss {loss:.3f}, s(D(x)) = {real:.3f}, s(D(G(z))) = {fake:.3f}"
            remedy = f"Try {penalty}, or a smaller -s train.discriminator_learning_rate."
            yield "discriminator-wins", f"{message}, so that G learns little. {remedy}"
    diversity = metrics.get("diversity", 1.0)
    last = (*before[-PATIENCE:], diversity)
    if diversity < COLLAPSED and len(last) > PATIENCE and all(b < RISING * a for a, b in pairwise(last)):
        which = "within each class " if classes else ""
        elsewhere = "a larger --batch-size" if objective.generator_sees_real else "-s objective.name=relativistic"
        message = f"Mode collapse: the images {which}are nearly all alike (diversity {diversity:.2f} of the data's)"
        yield "collapse", f"{message}. Try {penalty}, a smaller --learning-rate, or {elsewhere}."
