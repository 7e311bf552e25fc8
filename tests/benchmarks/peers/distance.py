"""FD-mnist at times that grow by a factor, off the clock: what `gancli evaluate` prints as FD-mnist, of as many images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gancli.config.schema import DataConfig
from gancli.metrics.distances import Moments, frechet_distance
from gancli.metrics.extractors import read
from gancli_evaluate.reference import load_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from serving import Turns
    from torch import Tensor

FIRST_SECONDS, FACTOR = 4.0, 1.2


class Milestones:
    """Measures when the clock passes a milestone, and says all that was measured with every answer.

    Args:
        turns: whose clock it is, and whose answers.
    """

    def __init__(self, turns: Turns) -> None:
        data = DataConfig(dataset="mnist")
        reference = load_reference(data, against="test", extractor="mnist", device=torch.device("cpu"), tell=print)
        self._extractor = reference.extractor
        self._real = Moments.of([reference.reading(reference.real).features])
        self._turns = turns
        self._measured = turns.facts.setdefault("measured", [])
        self._next = FIRST_SECONDS

    def pass_by(self, images: Callable[[], Iterable[Tensor]], *, always: bool = False) -> None:
        """Measure these images, batches of ``(b, 1, 28, 28)`` in [-1, 1], if it is time to."""
        seconds = self._turns.clock
        if always or seconds >= self._next:
            with self._turns.off_the_clock():
                fake = Moments.of([read(self._extractor, images()).features])
                self._measured.append((seconds, frechet_distance(fake, self._real)))
            self._next = seconds * FACTOR
