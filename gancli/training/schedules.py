"""Schedules: pure functions of the fraction of the run that is done, so that a short run gets a whole schedule.

When a run is made longer on resuming, the fraction is that of the new length from then on.
"""

from __future__ import annotations

__all__ = ["ema_decay", "trapezoid"]


def trapezoid(fraction: float, *, warmup: float, decay: float) -> float:
    """Factor of the step size: linearly from 0 to 1 over ``warmup``, flat, linearly to 0 over the last ``decay``.

    Args:
        fraction: share of the run that is done, in [0, 1].
        warmup: share of the run that rises.
        decay: share of the run that falls.

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
