"""Networks in compiled form (``torch.compile``), where that works; where it does not, the same networks as they are.

Compilers fail in many ways, some of them only in the backward pass of the second step. So the first steps are rehearsed, and
undone, before the training begins. What is differentiated twice is never compiled: the compiler has no second derivatives.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gancli.data import Watch
    from gancli.gan.state import TrainingState
    from gancli.gan.trainer import Trainer
    from gancli.plugin import Update

_OPTIONS: dict[str, str | int | bool | Callable[..., object]] = {"fallback_random": True}
"""Dropout and the like get the numbers that they get uncompiled: randomness keeps its addresses."""


def compile_networks(state: TrainingState, rehearse: Callable[[], None]) -> str:
    """Let the trained networks of ``state`` compute in compiled form, if they can; returns why they cannot, else nothing.

    ``rehearse`` takes one step of every kind on that state, which afterwards is as it was.
    """
    if "TORCH_LOGS" not in os.environ:
        logging.getLogger("torch._dynamo").setLevel(logging.ERROR)  # it warns of what it leaves uncompiled, in pages
    warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor")  # so does whatever is compiled anew later
    try:
        with state.undone(), warnings.catch_warnings(action="ignore"):  # the compiler's own affairs, from its import on
            for trained in state.trained.values():
                trained.compiled = torch.compile(trained.network, dynamic=False, options=_OPTIONS)
            rehearse()
    except Exception as error:  # noqa: BLE001  (whatever a compiler, or the compiler of its code, fails with)
        for trained in state.trained.values():
            trained.compiled = None
        return reason_of(error)
    return ""


def reason_of(error: Exception) -> str:
    """What went wrong, on one line."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}".rstrip(": ")


def rehearse(trainer: Trainer, watch: Watch) -> None:
    """One step of every kind, for :func:`compile_networks`."""
    steps = kinds_of_steps(trainer.updates)
    for done, step in enumerate(steps):
        watch("compiling the networks", done, len(steps))
        trainer.state.step = step
        trainer.step(0.0)


def kinds_of_steps(updates: Sequence[Update]) -> dict[int, float]:
    """The first step of each kind, by the loss terms that are due in it, and how many of all steps are of that kind.

    >>> from gancli.plugin import LossTerm, Update
    >>> kinds_of_steps([Update(("generator",), (LossTerm("a", abs), LossTerm("b", abs, every=4)))])
    {0: 0.25, 1: 0.75}
    """
    intervals = [term.every for update in updates for term in update.losses]
    first: dict[tuple[bool, ...], list[int]] = {}
    steps = min(math.lcm(*intervals), 1000)
    for step in range(steps):
        due = (
            (step * update.repeats + repeat) % term.every == 0
            for update in updates
            for repeat in range(update.repeats)
            for term in update.losses
        )
        first.setdefault(tuple(due), []).append(step)
    return {alike[0]: len(alike) / steps for alike in first.values()}
