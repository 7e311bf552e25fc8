"""A :class:`~gancli_page.program.Program` in NumPy: what its operations mean, and what judges a page's kernels.

Arrays have one row per image, ``(n, *shape)``.
"""

from __future__ import annotations

from math import erf
from typing import TYPE_CHECKING, Any

import numpy as np

from gancli_page.program import INPUT, LABEL, Program, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]

__all__ = ["BINARY", "OPERATIONS", "UNARY", "replay"]


def replay(program: Program, z: NDArray[np.float32], labels: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Run a program: latents ``(n, latent_dim)`` [, labels ``(n,)``], or source images -> images ``(n, c, h, w)``."""
    height, width = z.shape[-2:] if program.source else (0, 0)
    if program.pads:
        below, right = -height % program.multiple, -width % program.multiple
        z = np.pad(z, ((0, 0), (0, 0), (0, below), (0, right)), "edge")
    values: dict[int, Any] = {INPUT: z.astype(np.float32), LABEL: labels}
    with np.errstate(all="ignore"):  # what overflows does so in torch as well, and shows in the comparison
        for position, step in enumerate(program.steps):
            args = [_argument(program, values, argument) for argument in step.args]
            made = OPERATIONS[step.op](step, *args).astype(np.float32, copy=False)
            values[Program.value(position)] = made if step.shape is None else made.reshape(len(z), *step.shape)
    images: NDArray[np.float32] = values[Program.value(len(program.steps) - 1)]
    return images[:, :, :height, :width] if program.source else images


def _argument(program: Program, values: dict[int, Any], argument: int | None) -> Any:  # noqa: ANN401  (labels or floats)
    if argument is None:
        return None
    return values[argument] if argument >= 0 else program.constant(argument)


def _linear(_step: Step, x: Array, weight: Array, bias: Array | None) -> Array:
    """The product x W^T + b over the last dimension; W is ``(out, in)``."""
    product: Array = x @ weight.T
    return product if bias is None else product + bias


def _conv2d(step: Step, x: Array, weight: Array, bias: Array | None) -> Array:
    """Cross-correlation, tap by tap; the weight is ``(out, in / groups, kh, kw)``."""
    (ph, pw), (sh, sw), (dh, dw) = (step.options[name] for name in ("padding", "stride", "dilation"))
    groups, (outputs, inputs, kh, kw) = step.options["groups"], weight.shape
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    tall, wide = ((padded.shape[2] - dh * (kh - 1) - 1) // sh + 1, (padded.shape[3] - dw * (kw - 1) - 1) // sw + 1)
    made = np.zeros((len(x), groups, outputs // groups, tall * wide), np.float32)
    kernels = weight.reshape(groups, outputs // groups, inputs, kh, kw)
    for i in range(kh):
        for j in range(kw):
            pixels = padded[:, :, i * dh : i * dh + (tall - 1) * sh + 1 : sh, j * dw : j * dw + (wide - 1) * sw + 1 : sw]
            made += kernels[..., i, j] @ pixels.reshape(len(x), groups, inputs, tall * wide)
    return _with_bias(made.reshape(len(x), outputs, tall, wide), bias)


def _conv_transpose2d(step: Step, x: Array, weight: Array, bias: Array | None) -> Array:
    """The transpose of a convolution: every pixel adds its kernel; the weight is ``(in, out / groups, kh, kw)``."""
    (ph, pw), (sh, sw), (dh, dw) = (step.options[name] for name in ("padding", "stride", "dilation"))
    groups, (oh, ow) = step.options["groups"], step.options["output_padding"]
    n, _, height, width = x.shape
    kh, kw = weight.shape[2:]
    tall, wide = (height - 1) * sh + dh * (kh - 1) + 1, (width - 1) * sw + dw * (kw - 1) + 1
    canvas = np.zeros((n, weight.shape[1] * groups, tall + oh, wide + ow), np.float32)
    parts = zip(np.split(x, groups, 1), np.split(weight, groups), np.split(canvas, groups, 1), strict=True)
    for pixels, kernel, target in parts:
        for i in range(kh):
            for j in range(kw):
                rows = slice(i * dh, i * dh + (height - 1) * sh + 1, sh)
                columns = slice(j * dw, j * dw + (width - 1) * sw + 1, sw)
                target[:, :, rows, columns] += np.einsum("nchw,co->nohw", pixels, kernel[:, :, i, j], optimize=True)
    return _with_bias(canvas[:, :, ph : tall + oh - ph, pw : wide + ow - pw], bias)


def _with_bias(x: Array, bias: Array | None) -> Array:
    return x if bias is None else x + bias[:, None, None]


def _normalise(step: Step, x: Array) -> Array:
    """(x - mean) / sqrt(variance + eps) within each of ``chunks`` runs of numbers."""
    chunks = x.reshape(len(x), step.options["chunks"], -1).astype(np.float64)
    centred = chunks - chunks.mean(2, keepdims=True)
    made: Array = centred / np.sqrt(np.square(centred).mean(2, keepdims=True) + step.options["eps"])
    return made.reshape(x.shape)


def _gather(step: Step, x: Array) -> Array:
    """Number ``sum of axes[d][i_d]`` of the input, or 0 where one of them is -1."""
    position, inside = np.zeros((), np.int64), np.ones((), np.bool_)
    for axis in step.options["axes"]:
        position = position[..., None] + np.asarray(axis)
        inside = inside[..., None] & (np.asarray(axis) >= 0)
    return np.where(inside, x.reshape(len(x), -1)[:, np.where(inside, position, 0)], 0)


def _pad(step: Step, x: Array) -> Array:
    """Columns and rows added on the left, right, top and bottom: zeros, the last ones again, or mirrored ones."""
    left, right, top, bottom = step.options["sides"]
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), step.options["mode"])


def _nearest(step: Step, x: Array) -> Array:
    """Every pixel as many times as ``factors`` say, down and across."""
    down, across = step.options["factors"]
    return x.repeat(down, 2).repeat(across, 3)


def _shuffle(step: Step, x: Array) -> Array:
    """Channels to squares of r x r pixels, ``(c r r, h, w) -> (c, h r, w r)``; with ``inverse`` the other way."""
    n, c, h, w = x.shape
    r = step.options["r"]
    if step.options["inverse"]:
        squares = x.reshape(n, c, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4)
        return squares.reshape(n, c * r * r, h // r, w // r)
    return x.reshape(n, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // r**2, h * r, w * r)


def _resample(_step: Step, x: Array, rows: Array, columns: Array) -> Array:
    """The product rows x columns^T for every channel: any separable, linear change of size."""
    made: Array = rows @ x @ columns.T
    return made


def _reduce(step: Step, x: Array) -> Array:
    """The sum over ``axes`` (of one image's shape), whose lengths become 1; or the ``mean``."""
    reduced = np.mean if step.options["mean"] else np.sum
    made: Array = reduced(x, tuple(axis + 1 for axis in step.options["axes"]), dtype=np.float64, keepdims=True)
    return made


def _cat(step: Step, *parts: Array) -> Array:
    """Parts one behind the other along ``axis`` (of one image's shape); a constant is the same for all images."""
    most = max(part.ndim for part in parts)
    n = next(len(part) for part in parts if part.ndim == most)
    alike = [part if part.ndim == most else np.broadcast_to(part, (n, *part.shape)) for part in parts]
    return np.concatenate(alike, step.options["axis"] + 1)


def _reshape(_step: Step, x: Array) -> Array:
    """The same numbers in the same order, as one image's ``shape``."""
    return x


def _embedding(_step: Step, labels: NDArray[np.int64], table: Array) -> Array:
    made: Array = table[labels]
    return made


def _matmul(_step: Step, a: Array, b: Array) -> Array:
    made: Array = a @ b
    return made


def _softmax(_step: Step, x: Array) -> Array:
    """Over the last dimension."""
    raised = np.exp(x - x.max(-1, keepdims=True))
    made: Array = raised / raised.sum(-1, keepdims=True)
    return made


def _unary(step: Step, x: Array) -> Array:
    return UNARY[step.op](x.astype(np.float64), step.options)


def _binary(step: Step, a: Array, b: Array) -> Array:
    made: Array = BINARY[step.op](a, b)
    return made


def _elu(x: Array, options: dict[str, Any]) -> Array:
    below: Array = options["alpha"] * np.expm1(np.minimum(x, 0) * options["input_scale"])
    return np.where(x > 0, x, below) * np.float64(options["scale"])


UNARY: dict[str, Callable[[Array, dict[str, Any]], Array]] = {
    "abs": lambda x, _: np.abs(x),
    "clamp": lambda x, o: np.clip(x, o["low"], o["high"]),
    "cos": lambda x, _: np.cos(x),
    "elu": _elu,
    "exp": lambda x, _: np.exp(x),
    "gelu": lambda x, _: x * 0.5 * (1 + np.vectorize(erf, otypes=[float])(x * 0.5**0.5)),
    "gelu_tanh": lambda x, _: x * 0.5 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
    "leaky_relu": lambda x, o: np.where(x > 0, x, o["slope"] * x),
    "log": lambda x, _: np.log(x),
    "neg": lambda x, _: -x,
    "power": lambda x, o: x ** o["exponent"],
    "relu": lambda x, _: np.maximum(x, 0),
    "sigmoid": lambda x, _: 1 / (1 + np.exp(-x)),
    "silu": lambda x, _: x / (1 + np.exp(-x)),
    "sin": lambda x, _: np.sin(x),
    "softplus": lambda x, o: np.logaddexp(0, x * o["beta"]) / o["beta"],
    "tanh": lambda x, _: np.tanh(x),
}

BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "div": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mul": np.multiply,
    "sub": np.subtract,
}

OPERATIONS: dict[str, Callable[..., Array]] = {
    "cat": _cat,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "embedding": _embedding,
    "gather": _gather,
    "linear": _linear,
    "matmul": _matmul,
    "nearest": _nearest,
    "normalise": _normalise,
    "pad": _pad,
    "reduce": _reduce,
    "resample": _resample,
    "reshape": _reshape,
    "shuffle": _shuffle,
    "softmax": _softmax,
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
}
"""Every operation that a step can name. The page's ``kernels.js`` has the same ones."""
