"""The processes of one training, as one of them sees them. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor


@dataclass(eq=False)
class Processes:
    """What a training asks of the processes that it runs in, and the answers of one that is alone.

    :class:`gancli.runtime.distributed.SeveralProcesses` has the answers of one of several. Its methods raise a GancliError
    when another process has failed, or is gone.
    """

    rank: int = 0  # the number of this process, from 0, of `world`
    world: int = 1
    place: int = 0  # the number of this process on its machine, from 0, of `neighbours`: which GPU is its own
    neighbours: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is process 0."""
        return self.rank == 0

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """All-reduce each tensor to its sum, in place: every process ends with the same bits."""

    def all_reduce_max(self, signal: int, seconds: float) -> tuple[int, float]:
        """The largest signal and the largest number of seconds that any process has; all wait for each other here."""
        return signal, seconds

    def broadcast(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Process 0's facts, as JSON has them, in every process; those of the others are ignored."""
        return dict(facts)

    def broadcast_files(self, make: Callable[[], Mapping[str, bytes]]) -> dict[str, bytes]:
        """Process 0's files in every other one; they are not even made where there is no other."""
        del make
        return {}

    def wait_at_most(self, seconds: float) -> None:
        """From now on a process that does not answer for so long is given up."""


ALONE = Processes()
