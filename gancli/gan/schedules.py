"""Schedules: pure functions of the fraction of the run that is done, so that a short run gets a whole schedule.

When a run is made longer on resuming, the fraction is that of the new length from then on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gancli.config.schema import TrainConfig
    from gancli.plugin import LossTerm


@dataclass(frozen=True, slots=True)
class Rates:
    """What one step is taken with: learning rates, Adam's betas, and the factor of the weights of second-order terms."""

    learning_rate: float
    discriminator_learning_rate: float
    betas: tuple[float, float]
    penalty: float

    def of(self, network: str) -> float:
        """The learning rate of a network, by its name."""
        return self.discriminator_learning_rate if network.startswith("discriminator") else self.learning_rate

    def factor(self, term: LossTerm) -> float:
        """Factor of the mean of a loss term."""
        return (self.penalty if term.second_order else 1.0) * term.every * term.weight


def rates_at(rules: TrainConfig, fraction: float, ramp: float = 1.0, *, settled: bool = False) -> Rates:
    """The rates at ``fraction`` of the run, in [0, 1], times ``ramp``; ``settled``: the burn-in is over, whatever it says."""
    burnt = 1.0 if settled else fraction

    def now(start: float | None, lasting: float) -> float:
        return burn_in(burnt, lasting if start is None else start, lasting, length=rules.burn_in)

    rate, (beta1, beta2) = rules.learning_rate, rules.betas
    factor = ramp * trapezoid(fraction, warmup=rules.warmup, decay=rules.learning_rate_decay)
    common = factor * now(rules.learning_rate_start, rate)
    return Rates(
        learning_rate=common,
        discriminator_learning_rate=common * (rules.discriminator_learning_rate or rate) / rate,
        betas=(beta1, now(rules.beta2_start, beta2)),
        penalty=now(rules.penalty_start, 1.0),
    )


def burn_in(fraction: float, start: float, end: float, *, length: float) -> float:
    """Return end + (start - end) (1 + cos(pi fraction / length)) / 2 over the first ``length`` of the run, then ``end``.

    R3GAN moves learning rate, penalties and beta2 so (Huang et al., 2024, appendix).

    >>> [round(burn_in(f, 0.9, 0.99, length=0.2), 6) for f in (0.0, 0.1, 0.2, 1.0)]
    [0.9, 0.945, 0.99, 0.99]
    """
    if fraction >= length:
        return end
    share = (1 + math.cos(math.pi * fraction / length)) / 2
    return share * start + (1 - share) * end


def trapezoid(fraction: float, *, warmup: float, decay: float) -> float:
    """Factor of the learning rate: linearly from 0 to 1 over ``warmup``, flat, linearly to 0 over the last ``decay``.
    >>> [trapezoid(f, warmup=0.1, decay=0.5) for f in (0.05, 0.25, 0.75, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    >>> trapezoid(1.0, warmup=0, decay=0)
    1.0
    """
    rise = fraction / warmup if warmup else 1.0
    fall = (1 - fraction) / decay if decay else 1.0
    return max(0.0, min(1.0, rise, fall))


def ema_decay(batch_size: int, images_seen: int, *, halflife_images: float, rampup: float) -> float:
    """Decay per step of an average whose half-life is min(halflife, rampup * images seen): 0.5^(batch / half-life).

    The ramp lets the average forget the first, bad generators (Karras et al., 2020, appendix). 0 means no averaging.

    >>> round(ema_decay(128, 10**9, halflife_images=50_000, rampup=0.05), 6)
    0.998227
    >>> ema_decay(128, 10**9, halflife_images=0, rampup=0.05)
    0.0
    """
    halflife = min(halflife_images, rampup * images_seen) if rampup else halflife_images
    return float(0.5 ** (batch_size / halflife)) if halflife else 0.0
