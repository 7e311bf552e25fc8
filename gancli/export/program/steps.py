"""A generator as a list of steps that any language can follow: what the page of :mod:`gancli.export.html` carries.

A program computes one picture from one latent (and one label). Every step makes one value; an argument that is not negative
is the number of a value, and -1 - k is constant k. Values 0 and 1 are the inputs. Shapes are those of one picture: a value of
n pictures has one more dimension in front, and no step mixes along it.

    value 0     z, (latent_dim,)
    value 1     the label, (), for conditional models
    value 2...  what the steps make, in their order
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LABEL", "LATENT", "NOTHING", "Precision", "Program", "Step"]

Precision = Literal["float16", "float32"]

LATENT, LABEL, _FIRST = 0, 1, 2
NOTHING = None
"""An argument that is left out, such as a bias."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation.

    Attributes:
        op: its name, see :mod:`gancli.export.program.replay`.
        args: values, constants (negative) or nothing.
        shape: what it makes, of one picture.
        options: numbers and lists of numbers that the operation needs besides.
    """

    op: str
    args: tuple[int | None, ...]
    shape: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Program:
    """Steps and constants.

    Attributes:
        latent_dim: dimensions of z.
        classes: 0 for an unconditional model.
        steps: in order; the last one makes the picture, ``(c, h, w)``.
        constants: float32 arrays.
    """

    latent_dim: int
    classes: int
    steps: tuple[Step, ...]
    constants: tuple[NDArray[np.float32], ...]

    def constant(self, argument: int) -> NDArray[np.float32]:
        """The array that a negative argument means."""
        return self.constants[-1 - argument]

    @staticmethod
    def value(step: int) -> int:
        """The number of the value that the step at this position makes."""
        return step + _FIRST

    def to_json(self, precision: Precision) -> str:
        """Everything but the numbers of the constants, which are :meth:`packed` in the same precision."""
        return json.dumps(
            {
                "latent_dim": self.latent_dim,
                "classes": self.classes,
                "precision": precision,
                "constants": [list(constant.shape) for constant in self.constants],
                "steps": [
                    {"op": step.op, "args": list(step.args), "shape": list(step.shape), **step.options} for step in self.steps
                ],
            },
            separators=(",", ":"),
        )

    def packed(self, precision: Precision) -> bytes:
        """All constants one behind the other, little-endian. What float16 cannot hold becomes infinite."""
        numbers = np.concatenate([constant.ravel() for constant in self.constants] or [np.zeros(0, np.float32)])
        with np.errstate(over="ignore"):
            return numbers.astype(np.dtype(precision).newbyteorder("<")).tobytes()

    @classmethod
    def parse(cls, text: str, numbers: bytes) -> Program:
        """The inverse of :meth:`to_json` and :meth:`packed`."""
        said = json.loads(text)
        flat = np.frombuffer(numbers, np.dtype(said["precision"]).newbyteorder("<")).astype(np.float32)
        return cls(
            latent_dim=said["latent_dim"],
            classes=said["classes"],
            steps=tuple(map(_step, said["steps"])),
            constants=tuple(_unpack(flat, said["constants"])),
        )


def _step(said: dict[str, Any]) -> Step:
    options = {name: value for name, value in said.items() if name not in {"op", "args", "shape"}}
    return Step(said["op"], tuple(said["args"]), tuple(said["shape"]), options)


def _unpack(flat: NDArray[np.float32], shapes: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
    ends = np.cumsum([prod(shape) for shape in shapes], dtype=np.int64)
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)] if shapes else []
