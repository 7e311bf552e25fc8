"""How the batch of a step is divided: among processes, and within a process into micro-batches that fit its memory.

The batch of B pictures is cut into S = processes x ``train.accumulate`` shares of B / S, in its order; each process takes
``accumulate`` that follow each other. The mean loss of the batch is the mean of the shares' mean losses, so

    grad = sum over shares of grad(loss(share) / S)

summed within a process by autograd, and over processes by one all-reduce. What a batch has in common is each share's own:
batch normalisation normalises with the statistics of the share, and its running statistics, which every share finds as the
step left them, become the mean over the shares. Two processes are therefore one process with ``accumulate=2``, bit for bit;
other divisions into as many shares differ by the order in which the same numbers are added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gancli.errors import ConfigError
from gancli.runtime.processes import ALONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor, nn

    from gancli.runtime.processes import Processes

__all__ = ["Share", "Shares", "Tally"]


@dataclass(frozen=True, slots=True)
class Share:
    """A micro-batch.

    Attributes:
        index: its number in the batch, from 0.
        rows: its pictures among those of the whole batch.
        here: its pictures among those of this process.
        batch_size: pictures of the whole batch.
    """

    index: int
    rows: slice
    here: slice
    batch_size: int


class Shares:
    """The shares of this process, in order.

    Args:
        batch_size: pictures per step, over all processes.
        accumulate: shares per process.
        processes: who else takes shares.

    Attributes:
        batch_size: as above.
        count: shares of all processes together.
        part: the pictures of this process among those of the whole batch.

    Raises:
        ConfigError: the batch cannot be divided evenly.
    """

    def __init__(self, batch_size: int, accumulate: int = 1, processes: Processes = ALONE) -> None:
        self.batch_size = batch_size
        self.count = processes.world * accumulate
        if batch_size % self.count:
            below = batch_size - batch_size % self.count
            fitting = " or ".join(str(size) for size in (below, below + self.count) if size)
            raise ConfigError(
                f"A batch of {batch_size} cannot be divided evenly into {self.count} shares "
                f"({processes.world} processes x train.accumulate={accumulate}).",
                f"Choose --batch-size {fitting}, or another -s train.accumulate.",
            )
        size = batch_size // self.count
        first = processes.rank * accumulate
        self.part = slice(first * size, (first + accumulate) * size)
        self._shares = tuple(
            Share(first + k, slice((first + k) * size, (first + k + 1) * size), slice(k * size, (k + 1) * size), batch_size)
            for k in range(accumulate)
        )
        self._processes = processes

    def __iter__(self) -> Iterator[Share]:
        return iter(self._shares)

    def tally(self, networks: Iterable[nn.Module]) -> Tally:
        """For one turn of the game: what its shares add up to."""
        return Tally(self, self._processes, networks)


class Tally:
    """What the shares of one turn add up to: gradients, buffers, and values to report.

    A batch that is not divided costs nothing here.

    Args:
        shares: of this process.
        processes: whose sums are added.
        networks: whose buffers a forward pass may change; they are as the turn finds them now.
    """

    def __init__(self, shares: Shares, processes: Processes, networks: Iterable[nn.Module]) -> None:
        self._count = shares.count
        self._processes = processes
        divided = self._count > 1
        self._buffers = [buffer for network in networks for buffer in network.buffers()] if divided else []
        self._found = [buffer.clone() for buffer in self._buffers]
        self._sums = [buffer.new_zeros(buffer.shape) for buffer in self._buffers]
        self._values: dict[str, Tensor] = {}

    def rewind(self) -> None:
        """Let the next share find the buffers as the first one found them."""
        for buffer, found in zip(self._buffers, self._found, strict=True):
            buffer.copy_(found)

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take in what one share reports, 0-dimensional tensors, and what it has left in the buffers."""
        for name, value in values.items():
            self._values[name] = self._values[name] + value if name in self._values else value
        for buffer, total in zip(self._buffers, self._sums, strict=True):
            total.add_(buffer)

    def means(self, network: nn.Module) -> dict[str, Tensor]:
        """The means of the values, when all shares are done: then ``network`` has the gradient of the mean loss.

        Buffers of floating point become their means as well; a counter is as each share has left it.
        """
        if self._count == 1:
            return self._values
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        averaged = [pair for pair in zip(self._buffers, self._sums, strict=True) if pair[0].is_floating_point()]
        values = {name: value.clone() for name, value in self._values.items()}
        self._processes.sum([*gradients, *(total for _, total in averaged), *values.values()])
        for buffer, total in averaged:
            buffer.copy_(total / self._count)
        return {name: value / self._count for name, value in values.items()}
