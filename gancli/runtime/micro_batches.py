"""How the batch of an update is divided: among processes, and within one into micro-batches that fit its memory.

The batch is cut, in its order, into S = processes x ``train.accumulate`` micro-batches; each process takes ``accumulate``
consecutive ones. The mean loss of the batch is the mean of the micro-batches' mean losses, so

    grad = sum over micro-batches of grad(loss / S)

summed within a process by autograd, and over processes by one all-reduce. Batch normalisation normalises with the statistics of
the micro-batch; its running statistics become the mean over all of them. Two processes are therefore one process with
``accumulate=2``, bit for bit; other divisions differ by the order in which the same numbers are added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gancli.errors import ConfigError
from gancli.runtime.processes import ALONE, Processes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """A part of the batch: its number, its images among those of the whole batch, and among this process's (``here``)."""

    index: int
    rows: slice
    here: slice
    batch_size: int


class MicroBatches:
    """The micro-batches of this process, in order; a ConfigError if the batch cannot be divided evenly.

    ``count``: micro-batches of all processes together; ``part``: the images of this process among those of the whole batch.
    """

    def __init__(self, batch_size: int, accumulate: int = 1, processes: Processes = ALONE) -> None:
        self.batch_size, self.count = batch_size, processes.world * accumulate
        if batch_size % self.count:
            below = batch_size - batch_size % self.count
            fitting = " or ".join(str(size) for size in (below, below + self.count) if size)
            raise ConfigError(
                f"A batch of {batch_size} cannot be divided evenly into {self.count} micro-batches "
                f"({processes.world} processes x train.accumulate={accumulate}).",
                f"Choose --batch-size {fitting}, or another -s train.accumulate.",
            )
        self._size = batch_size // self.count
        self._first, self._end = processes.rank * accumulate, (processes.rank + 1) * accumulate
        self.part = slice(self._first * self._size, self._end * self._size)
        self._processes = processes

    def __iter__(self) -> Iterator[MicroBatch]:
        size, first = self._size, self._first
        for k in range(first, self._end):
            here = slice((k - first) * size, (k - first + 1) * size)
            yield MicroBatch(k, slice(k * size, (k + 1) * size), here, self.batch_size)

    def total(self, networks: Iterable[nn.Module]) -> Total:
        """The sums over the micro-batches of one update; a forward pass may change the buffers of these networks."""
        return Total(self.count, self._processes, networks)


class Total:
    """Sums over the micro-batches of one update: gradients, buffers, reported values. An undivided batch costs nothing."""

    def __init__(self, count: int, processes: Processes, networks: Iterable[nn.Module]) -> None:
        self._count = count
        self._processes = processes
        self._buffers = [buffer for network in networks for buffer in network.buffers()] if count > 1 else []
        self._found = [buffer.clone() for buffer in self._buffers]
        self._sums = [buffer.new_zeros(buffer.shape) for buffer in self._buffers]
        self._values: dict[str, Tensor] = {}

    def rewind_buffers(self) -> None:
        """Let the next micro-batch find the buffers as the first one found them."""
        for buffer, found in zip(self._buffers, self._found, strict=True):
            buffer.copy_(found)

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add what one micro-batch reports, 0-dimensional tensors, and what it has left in the buffers."""
        for name, value in values.items():
            self._values[name] = self._values[name] + value if name in self._values else value
        for buffer, total in zip(self._buffers, self._sums, strict=True):
            total.add_(buffer)

    def means(self, parameters: Iterable[nn.Parameter]) -> dict[str, Tensor]:
        """The means of the values, after all micro-batches; ``parameters`` then have the whole gradient.

        Buffers of floating point become their means as well; a counter is as each micro-batch left it.
        """
        if self._count == 1:
            return self._values
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        averaged = [pair for pair in zip(self._buffers, self._sums, strict=True) if pair[0].is_floating_point()]
        values = {name: value.clone() for name, value in self._values.items()}
        self._processes.sum([*gradients, *(total for _, total in averaged), *values.values()])
        for buffer, total in averaged:
            buffer.copy_(total / self._count)
        return {name: value / self._count for name, value in values.items()}
