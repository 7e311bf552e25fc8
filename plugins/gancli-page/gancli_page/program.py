"""A generator as a list of steps that any language can follow: what the page of :mod:`gancli_page` carries.

A program computes one image from one latent (and one label), or from one source image. Every step makes one value; an
argument that is not negative is the number of a value, and -1 - k is constant k. Values 0 and 1 are the inputs. Shapes are
those of one image: a value of n images has one more dimension in front, and no step mixes along it.

    value 0     z, (latent_dim,), or the source image, (c, h, w)
    value 1     the label, (), for conditional models
    value 2...  what the steps make, in their order
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL = 32  # bits per number of constants that are not rounded
INPUT, LABEL, FIRST = 0, 1, 2  # numbers of values: the inputs, and what the first step makes


@dataclass(frozen=True, slots=True)
class Step:
    """One operation."""

    op: str  # its name, see gancli_page.replay
    args: tuple[int | None, ...]  # values, constants (negative) or nothing
    shape: tuple[int, ...] | None  # what it makes, of one image; None where it follows from the source image's size
    options: dict[str, Any]  # numbers and lists of numbers that the operation needs besides


@dataclass(frozen=True, slots=True)
class Program:
    """Steps and constants.

    A translator's source images have sides that are multiples of ``multiple``, or exactly the shape ``source`` if that is 0.
    With ``pads`` other sides do as well: the last column and row are repeated up to the next multiple, and the translation is
    cropped.
    """

    latent_dim: int
    classes: int  # 0 for an unconditional model
    steps: tuple[Step, ...]  # in order; the last one makes the image, (c, h, w)
    constants: tuple[NDArray[np.float32], ...]
    source: tuple[int, int, int] | None = None  # of the source images that a translator was trained with
    multiple: int = 0
    pads: bool = False

    def to_json(self, bits: int) -> str:
        """Everything but the numbers of the constants, which are :meth:`packed` with the same bits."""
        return json.dumps(
            {
                "latent_dim": self.latent_dim,
                "classes": self.classes,
                "source": self.source,
                "multiple": self.multiple,
                "pads": self.pads,
                "bits": bits,
                "constants": [list(constant.shape) for constant in self.constants],
                "steps": [{"op": step.op, "args": step.args, "shape": step.shape, **step.options} for step in self.steps],
            },
            separators=(",", ":"),
        )

    def packed(self, bits: int) -> bytes:
        """The numbers of all constants with ``bits`` per weight, 2 to 16, or 32 for float32 as they are.

        A weight of at least two dimensions is rounded to whole multiples of one step per row, max |w| / (2^(bits - 1) - 1):
        for the largest weights, which count, five bits more precise than float16 of the same size. First come the
        float32 numbers, little-endian, one constant behind the other: the steps of a rounded constant, the values of
        another. Then come the multiples, each plus 2^(bits - 1), as one stream of bits, the highest first.
        """
        floats, multiples = [], [np.zeros(0, np.uint16)]
        for constant in self.constants:
            if bits == FULL or constant.ndim < 2:  # noqa: PLR2004  (a bias)
                floats.append(constant.ravel())
                continue
            rows = constant.reshape(len(constant), -1)
            steps = np.abs(rows).max(1) / np.float32(2 ** (bits - 1) - 1)
            with np.errstate(all="ignore"):  # a row of zeros, or what is not finite, which shows in the comparison
                rounded = np.nan_to_num(np.round(rows / steps[:, None]), nan=0.0)
            floats.append(steps)
            multiples.append((rounded + 2 ** (bits - 1)).astype(np.uint16).ravel())
        stream = np.concatenate(multiples).astype(">u2").view(np.uint8).reshape(-1, 2)
        packed = np.packbits(np.unpackbits(stream, axis=1)[:, 16 - bits :]) if len(stream) else stream
        return np.concatenate(floats or [np.zeros(0, np.float32)]).astype("<f4").tobytes() + packed.tobytes()

    @classmethod
    def parse(cls, text: str, numbers: bytes) -> Program:
        """The inverse of :meth:`to_json` and :meth:`packed`.

        Raises:
            ValueError: there are fewer numbers than the constants have.
        """
        stored = json.loads(text)
        bits, shapes = stored["bits"], [tuple(shape) for shape in stored["constants"]]
        rounded = [bits != FULL and len(shape) > 1 for shape in shapes]
        lengths = [shape[0] if small else prod(shape) for shape, small in zip(shapes, rounded, strict=True)]
        floats = np.frombuffer(numbers, "<f4", sum(lengths)).astype(np.float32)
        stream = np.unpackbits(np.frombuffer(numbers, np.uint8, offset=4 * sum(lengths)))
        parts = np.split(floats, np.cumsum(lengths)[:-1]) if shapes else []
        constants, used = [], 0
        for shape, small, part in zip(shapes, rounded, parts, strict=True):
            if not small:
                constants.append(part.reshape(shape))
                continue
            codes = np.zeros((prod(shape), 16), np.uint8)
            codes[:, 16 - bits :] = stream[used : (used := used + bits * prod(shape))].reshape(-1, bits)
            multiples = np.packbits(codes, axis=1).view(">u2").astype(np.float32) - np.float32(2 ** (bits - 1))
            constants.append((multiples.reshape(shape[0], -1) * part[:, None]).reshape(shape))
        source = stored["source"] and tuple(stored["source"])
        steps = []
        for options in stored["steps"]:
            op, args, shape = (options.pop(name) for name in ("op", "args", "shape"))
            steps.append(Step(op, tuple(args), None if shape is None else tuple(shape), options))
        sizes = source, stored["multiple"], stored["pads"]
        return cls(stored["latent_dim"], stored["classes"], tuple(steps), tuple(constants), *sizes)
