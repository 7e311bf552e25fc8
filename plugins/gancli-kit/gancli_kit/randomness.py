"""Checks of where randomness comes from: torch's default generator and nothing else."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import torch

from gancli_kit.checks import Rules, fail
from gancli_kit.subject import ArchitectureSubject, all_of, differing, states

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from gancli_kit.subject import Case

RANDOMNESS = Rules()
_CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")


@RANDOMNESS.check(each="smallest", needs="images logits")
def seed(_: ArchitectureSubject, case: Case) -> None:
    """The same torch.manual_seed gives the same networks, and another seed others
    Why: A run is repeated by its seed, and three seeds are quoted to show how far results vary.
    Fix: Initialise with torch.nn.init and torch's default generator; make no Generator of your own, and seed nothing.
    """
    first, again, other = (_traces(case, number) for number in (1, 1, 2))
    if name := differing(first, again):
        raise fail(f"two builds after the same torch.manual_seed differ: {name}.")
    if differing(first, other) is None:
        raise fail("all seeds give the same weights.")


@RANDOMNESS.check(each="smallest", needs="seed")
def no_other_chance(_: ArchitectureSubject, case: Case) -> None:
    """Python's and NumPy's random numbers and the clock change nothing
    Why: They are neither seeded nor stored: a resumed run would not end in the same bits.
    Fix: Use torch's random functions, in build() and in forward().
    """
    if name := differing(_traces(case, 1), _traces(case, 1, world=1)):
        raise fail(f"{name} depends on Python's or NumPy's random numbers, or on the clock.")


@RANDOMNESS.check(each="smallest", needs="seed")
def no_side_effects(_: ArchitectureSubject, case: Case) -> None:
    """build() and forward() leave seeds, default dtype, threads and modes as they are
    Why: They belong to the whole process: to the trainer, to other plugins, and to the user's notebook.
    Fix: Seed nothing and set no global option; build with explicit dtype and device arguments if you need them.
    """
    _traces(case, 1)  # what is imported or made once is made now
    with surroundings(1):
        before = _globals()
        _run(case, 1)
        after = _globals()
        if changed := [name for name in before if before[name] != after[name]]:
            raise fail(f"build() or forward() changes {' and '.join(changed)}.")
        _run(case, 2)
        states_after = torch.get_rng_state()
        _run(case, 1)
        if torch.equal(states_after, torch.get_rng_state()):
            raise fail("build() or forward() seeds torch's default generator.")


def _traces(case: Case, number: int, *, world: int = 0) -> dict[str, Tensor]:
    """Weights as built, and what generator and discriminator give in training, all after one seed."""
    with surroundings(world):
        return _run(case, number)


def _run(case: Case, number: int) -> dict[str, Tensor]:
    networks = case.build(number)
    traces = states(all_of(networks))
    inputs = case.inputs(4)
    images = networks.generator(*inputs).detach()
    logits = networks.discriminator(images, *inputs[1:]).detach()
    return {**traces, "an image": images, "a logit": logits}


def _globals() -> dict[str, object]:
    """What belongs to the whole process."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  (the global state is what is looked at)
    return {
        "NumPy's global random state": (name, np.asarray(keys).tobytes(), *rest),
        "Python's global random state": random.getstate(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's grad mode": torch.is_grad_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "torch's matmul precision": torch.get_float32_matmul_precision(),
    }


@contextmanager
def surroundings(number: int) -> Iterator[None]:
    """A world with random numbers and clocks of its own; those of the caller are restored."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (as above)
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002  (as above)
    try:
        with ExitStack() as stack, torch.random.fork_rng(devices=[]):
            for name in _CLOCKS:
                ticks = count(1 + number * 10**6)
                stack.enter_context(mock.patch.object(time, name, lambda ticks=ticks: next(ticks)))
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002  (as above)
