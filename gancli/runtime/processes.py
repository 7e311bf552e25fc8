"""The processes of one training: what it asks of those that it runs in, and the answer of one that is alone. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gancli.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

__all__ = ["ALONE", "OneProcess", "Processes", "refuse_shared_device"]


class Processes(Protocol):
    """What a training asks of the processes that it runs in."""

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""

    @property
    def world(self) -> int:
        """How many there are."""

    @property
    def place(self) -> int:
        """The number of this process on its machine, from 0: which GPU is its own."""

    @property
    def neighbours(self) -> int:
        """How many there are on its machine."""

    @property
    def leads(self) -> bool:
        """Whether this is process 0."""

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Add up each tensor over all processes, in place: every process ends with the same bits.

        Raises:
            GancliError: another process has failed, or is gone.
        """

    def agree(self, signal: int, seconds: float) -> tuple[int, float]:
        """The largest signal and the largest number of seconds that any process has; all wait for each other here.

        Raises:
            GancliError: another process has failed, or is gone.
        """

    def tell(self, said: Mapping[str, Any]) -> None:
        """Process 0 says something, as JSON, which all others :meth:`hear`."""

    def hear(self) -> dict[str, Any]:
        """What process 0 tells."""

    def send(self, make: Callable[[], Mapping[str, bytes]]) -> None:
        """Process 0 sends what all others :meth:`receive`; it is not even made where there are no others."""

    def receive(self) -> dict[str, bytes]:
        """What process 0 sends."""

    def wait_at_most(self, seconds: float) -> None:
        """From now on a process that does not answer for so long is given up."""


@dataclass(frozen=True)
class OneProcess:
    """The null object: nobody else is there."""

    rank: int = 0
    world: int = 1
    place: int = 0
    neighbours: int = 1
    leads: bool = True

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """The sum of one."""

    def agree(self, signal: int, seconds: float) -> tuple[int, float]:
        """One always agrees with itself."""
        return signal, seconds

    def tell(self, said: Mapping[str, Any]) -> None:
        """Nobody hears."""

    def hear(self) -> dict[str, Any]:
        """Nobody tells."""
        return {}

    def send(self, make: Callable[[], Mapping[str, bytes]]) -> None:
        """Nobody receives."""

    def receive(self) -> dict[str, bytes]:
        """Nobody sends."""
        return {}

    def wait_at_most(self, seconds: float) -> None:
        """Nobody is waited for."""


ALONE = OneProcess()


def refuse_shared_device(processes: Processes, count: int) -> None:
    """Say that this machine has fewer GPUs than processes.

    Raises:
        ConfigError: it has.
    """
    if processes.neighbours > count:
        raise ConfigError(
            f"{processes.neighbours} processes on this machine cannot share {count} CUDA devices.",
            "Start one process per GPU (--nproc-per-node), or choose --device cpu.",
        )
