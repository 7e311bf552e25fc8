"""A :class:`~gancli_page.program.Program` in PyTorch: what its operations mean, and what judges a page's kernels.

Tensors have one row per image, ``(n, *shape)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from gancli_page.program import FIRST, INPUT, LABEL, Program, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray


@torch.no_grad()
def replay(program: Program, z: NDArray[np.float32], labels: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Run a program: latents ``(n, latent_dim)`` [, labels ``(n,)``], or source images -> images ``(n, c, h, w)``."""
    height, width = z.shape[-2:] if program.source else (0, 0)
    given = torch.from_numpy(z)
    if program.pads:
        given = functional.pad(given, (0, -width % program.multiple, 0, -height % program.multiple), "replicate")
    constants = [torch.from_numpy(constant) for constant in program.constants]
    values: dict[int, Any] = {INPUT: given, LABEL: None if labels is None else torch.from_numpy(labels)}
    values |= {-1 - number: constant for number, constant in enumerate(constants)}
    made = given
    for position, step in enumerate(program.steps):
        made = OPERATIONS[step.op](step, *(None if argument is None else values[argument] for argument in step.args)).float()
        if step.shape is not None:
            made = made.reshape(len(z), *step.shape)
        values[FIRST + position] = made
    images: NDArray[np.float32] = made.numpy()
    return images[:, :, :height, :width] if program.source else images


def _normalise(step: Step, x: Tensor) -> Tensor:
    """(x - mean) / sqrt(variance + eps) within each of ``chunks`` runs of numbers."""
    chunks = x.reshape(len(x), step.options["chunks"], -1).double()
    return functional.layer_norm(chunks, chunks.shape[2:], eps=step.options["eps"]).reshape(x.shape)


def positions(axes: Sequence[Sequence[int]]) -> Tensor:
    """The number at index i is ``sum of axes[d][i_d]``, or -1 where one of them is -1."""
    position, inside = torch.tensor(0), torch.tensor(data=True)
    for axis in map(torch.tensor, axes):
        position, inside = position[..., None] + axis, inside[..., None] & (axis >= 0)
    return torch.where(inside, position, -1)


def _gather(step: Step, x: Tensor) -> Tensor:
    """Those numbers of the input that are at the positions, and 0 where there is none."""
    found = positions(step.options["axes"])
    return torch.where(found < 0, 0.0, x.reshape(len(x), -1)[:, found])


def _cat(step: Step, *parts: Tensor) -> Tensor:
    """Parts one behind the other along ``axis`` (of one image's shape); a constant is the same for all images."""
    most = max(part.ndim for part in parts)
    n = next(len(part) for part in parts if part.ndim == most)
    return torch.cat([part if part.ndim == most else part.expand(n, *part.shape) for part in parts], step.options["axis"] + 1)


def _reduce(step: Step, x: Tensor) -> Tensor:
    """The sum over ``axes`` (of one image's shape), whose lengths become 1; or the ``mean``."""
    reduced = torch.mean if step.options["mean"] else torch.sum
    return reduced(x.double(), [axis + 1 for axis in step.options["axes"]], keepdim=True)


def _nearest(step: Step, x: Tensor) -> Tensor:
    """Every pixel as many times as ``factors`` say, down and across."""
    down, across = step.options["factors"]
    return x.repeat_interleave(down, 2).repeat_interleave(across, 3)


def _pad(step: Step, x: Tensor) -> Tensor:
    """Columns and rows added on the left, right, top and bottom: zeros, the last ones again, or mirrored ones."""
    return functional.pad(x, step.options["sides"], {"edge": "replicate"}.get(step.options["mode"], step.options["mode"]))


def _shuffle(step: Step, x: Tensor) -> Tensor:
    """Channels to squares of r x r pixels, ``(c r r, h, w) -> (c, h r, w r)``; with ``inverse`` the other way."""
    return (functional.pixel_unshuffle if step.options["inverse"] else functional.pixel_shuffle)(x, step.options["r"])


def _of_one(operation: Callable[..., Tensor], *names: str) -> Callable[[Step, Tensor], Tensor]:
    """One number to one number, in double precision; ``names`` are the options that the operation takes."""
    return lambda step, x: operation(x.double(), *(step.options[name] for name in names))


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    **{name: _of_one(getattr(torch, name)) for name in ("abs", "cos", "exp", "log", "neg", "relu", "sigmoid", "sin", "tanh")},
    "add": lambda _, a, b: a + b,
    "cat": _cat,
    "clamp": _of_one(torch.clamp, "low", "high"),
    "conv2d": lambda step, x, weight, bias: functional.conv2d(x, weight, bias, **step.options),
    "conv_transpose2d": lambda step, x, weight, bias: functional.conv_transpose2d(x, weight, bias, **step.options),
    "div": lambda _, a, b: a / b,
    "elu": _of_one(torch.ops.aten.elu, "alpha", "scale", "input_scale"),
    "embedding": lambda _, labels, table: table[labels],
    "gather": _gather,
    "gelu": _of_one(functional.gelu),
    "gelu_tanh": _of_one(lambda x: functional.gelu(x, approximate="tanh")),
    "leaky_relu": _of_one(functional.leaky_relu, "slope"),
    "linear": lambda _, x, weight, bias: functional.linear(x, weight, bias),
    "matmul": lambda _, a, b: a @ b,
    "maximum": lambda _, a, b: torch.maximum(a, b),
    "minimum": lambda _, a, b: torch.minimum(a, b),
    "mul": lambda _, a, b: a * b,
    "nearest": _nearest,
    "normalise": _normalise,
    "pad": _pad,
    "power": _of_one(torch.pow, "exponent"),
    "reduce": _reduce,
    "resample": lambda _, x, rows, columns: rows @ x @ columns.T,
    "reshape": lambda _, x: x,
    "shuffle": _shuffle,
    "silu": _of_one(functional.silu),
    "softmax": lambda _, x: x.softmax(-1),
    "softplus": _of_one(functional.softplus, "beta"),
    "sub": lambda _, a, b: a - b,
}
"""Every operation that a step can name. The page's ``kernels.js`` has the same ones."""
