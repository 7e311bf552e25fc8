"""A :class:`~gancli.export.program.steps.Program` in the making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from gancli.export.program.steps import Program, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["PICTURES", "Builder", "Untranslatable", "Varying"]

PICTURES = 13
"""Pictures that the network is traced with: a number that no layer is likely to have by itself."""


class Untranslatable(Exception):  # noqa: N818  (a reason that becomes an ExportError with the operation's name)
    """Why an operation cannot be a step, as the end of a sentence that begins with its name."""


@dataclass(frozen=True, slots=True)
class Varying:
    """A value that depends on the latent or the label: its number in the program, and what it was when traced."""

    number: int
    traced: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one picture's share."""
        return tuple(self.traced.shape[1:])


class Builder:
    """The program so far."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.constants: list[NDArray[np.float32]] = []
        self._numbers: dict[int, tuple[int, Tensor]] = {}

    def step(self, op: str, args: Sequence[Any], traced: Tensor, **options: Any) -> Varying:  # noqa: ANN401  (JSON)
        """Append a step. Arguments are varying values, tensors (which become constants) or None."""
        shape = tuple(traced.shape[1:])
        self.steps.append(Step(op, tuple(map(self._argument, args)), shape, options))
        return Varying(Program.value(len(self.steps) - 1), traced)

    def _argument(self, argument: Varying | Tensor | None) -> int | None:
        if argument is None:
            return None
        return argument.number if isinstance(argument, Varying) else self._constant(argument)

    def _constant(self, tensor: Tensor) -> int:
        """The number of a constant; a tensor that is used twice is stored once."""
        if id(tensor) not in self._numbers:
            self.constants.append(tensor.detach().to(torch.float32).contiguous().numpy())
            self._numbers[id(tensor)] = -len(self.constants), tensor  # which keeps the tensor, and so its id
        return self._numbers[id(tensor)][0]
