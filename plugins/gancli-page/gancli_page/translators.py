"""Operations of PyTorch that compute, as steps of a :class:`~gancli_page.program.Program`: one function per family."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from gancli_page.program import FIRST, LABEL, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Translator = Callable[["Builder", str, "Arguments", Tensor], "Varying"]

IMAGES = 13  # that the network is traced with: a number that no layer is likely to have by itself


class Untranslatable(Exception):  # noqa: N818  (a reason that becomes an ExportError with the operation's name)
    """Why an operation cannot be a step, as the end of a sentence that begins with its name."""


@dataclass(frozen=True, slots=True)
class Varying:
    """A value that depends on the input or the label: its number in the program, and what it was when traced."""

    number: int
    traced: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image's share."""
        return tuple(self.traced.shape[1:])


class Builder:
    """The program so far.

    Args:
        any_size: the input is an image of any size: steps have no shapes, and what suits one size only is refused.
    """

    def __init__(self, *, any_size: bool = False) -> None:
        self.any_size = any_size
        self.steps: list[Step] = []
        self.constants: list[NDArray[np.float32]] = []
        self._numbers: dict[int, tuple[int, Tensor]] = {}

    def step(self, op: str, args: Sequence[Any], traced: Tensor, **options: Any) -> Varying:  # noqa: ANN401  (JSON)
        """Append a step. Arguments are varying values, tensors (which become constants, each stored once) or None.

        Raises:
            Untranslatable: it suits one size of images only, and they may have any.
        """
        if self.any_size and op in _OF_ONE_SIZE:
            raise Untranslatable(_ONE_SIZE)
        numbers: list[int | None] = []
        for argument in args:
            if isinstance(argument, Tensor):
                if id(argument) not in self._numbers:
                    self.constants.append(argument.detach().to(torch.float32).contiguous().numpy())
                    self._numbers[id(argument)] = -len(self.constants), argument  # which keeps the tensor, and so its id
                numbers.append(self._numbers[id(argument)][0])
            else:
                numbers.append(None if argument is None else argument.number)
        shape = None if self.any_size else tuple(traced.shape[1:])
        self.steps.append(Step(op, tuple(numbers), shape, options))
        return Varying(FIRST + len(self.steps) - 1, traced)


NO_KERNEL = "there is no kernel for it"
_ONE_SIZE = "it suits one size of images only"
_OF_ONE_SIZE = frozenset(("embedding", "gather", "linear", "matmul", "resample", "softmax"))

Arguments = dict[str, Any]
"""An operation's arguments by the names of its schema; varying ones are :class:`Varying`."""


def _constants(arguments: Arguments, *names: str) -> list[Any]:
    """Weights that the operation takes, or None for those that it does without."""
    found = [arguments[name] for name in names]
    if any(isinstance(one, Varying) for one in found):
        raise Untranslatable("its weights depend on the latent")
    return found


def _input(arguments: Arguments) -> Varying:
    """The first argument, which operations call by one of two names."""
    x: Varying = arguments["input"] if "input" in arguments else arguments["self"]
    return x


def _linear(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    return builder.step("linear", [a["input"], *_constants(a, "weight", "bias")], made)


def _addmm(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    bias, weight = _constants(a, "self", "mat2")
    if bias.ndim != 1:
        raise Untranslatable("only a x W + b is known")
    return builder.step("linear", [a["mat1"], a["alpha"] * weight.T.contiguous(), a["beta"] * bias], made)


def _matmul(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    x, y = a["self"], a.get("other", a.get("mat2"))
    if isinstance(x, Varying) and isinstance(y, Tensor) and y.ndim == 2:  # noqa: PLR2004  (a matrix)
        return builder.step("linear", [x, y.T.contiguous(), None], made)
    if not (isinstance(x, Varying) and isinstance(y, Varying) and len(x.shape) == len(y.shape) == 2):  # noqa: PLR2004  (a number of pixels or dimensions)
        raise Untranslatable("only one matrix per image is known")
    return builder.step("matmul", [x, y], made)


def _conv(builder: Builder, name: str, a: Arguments, made: Tensor) -> Varying:
    weight, bias = _constants(a, "weight", "bias")
    if weight.ndim != 4:  # noqa: PLR2004  (two spatial dimensions)
        raise Untranslatable("only two spatial dimensions are known")
    given = {key: a[key] for key in ("stride", "padding", "dilation", "output_padding") if key in a}
    if isinstance(a["padding"], str):
        reach = [d * (k - 1) for k, d in zip(weight.shape[2:], list(a["dilation"]) * 2, strict=False)]
        if a["padding"] == "same" and any(length % 2 for length in reach):
            raise Untranslatable("'same' padding of an even kernel is not known")
        given["padding"] = [length // 2 if a["padding"] == "same" else 0 for length in reach]
    options = {key: list(sizes) * (2 // len(sizes)) for key, sizes in given.items()}  # one number is for both sides
    return builder.step(name, [a["input"], weight, bias], made, groups=a["groups"], **options)


def _embedding(builder: Builder, name: str, a: Arguments, made: Tensor) -> Varying:
    """Rows of a table by the label; one_hot's are those of the identity."""
    if name == "one_hot":
        label, table = a["self"], torch.eye(made.shape[-1])
    else:
        label, (table,) = a["indices"], _constants(a, "weight")
    if not isinstance(label, Varying) or label.number != LABEL:
        raise Untranslatable("only the labels themselves can be looked up")
    return builder.step("embedding", [label, table], made.float())


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 2))


def _batch_norm(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    """With the stored statistics it is a scale and a shift per channel, computed here once."""
    stored = _constants(a, "running_mean", "running_var", "weight", "bias")
    mean, variance, weight, bias = (None if one is None else one.double() for one in stored)
    if mean is None or variance is None or a.get("training", a.get("use_input_stats")):
        raise Untranslatable("it normalises over the batch")
    scale = (variance + a["eps"]).rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * scale
    scaled = builder.step("mul", [a["input"], _per_channel(scale, made)], made)
    return builder.step("add", [scaled, _per_channel(shift, made)], made)


def _norm(builder: Builder, name: str, a: Arguments, made: Tensor) -> Varying:
    """Group, instance and layer normalisation: of runs of numbers, then a scale and a shift."""
    if name == "instance_norm" and not a["use_input_stats"]:
        return _batch_norm(builder, name, a, made)
    if name == "layer_norm":
        if builder.any_size:
            raise Untranslatable(_ONE_SIZE)
        chunks = math.prod(made.shape[1:]) // math.prod(a["normalized_shape"])
    else:
        chunks = a["num_groups"] if name == "group_norm" else made.shape[1]
    value = builder.step("normalise", [a["input"]], made, chunks=chunks, eps=a["eps"])
    for op, constant in zip(("mul", "add"), _constants(a, "weight", "bias"), strict=True):
        if constant is not None:
            value = builder.step(op, [value, constant if name == "layer_norm" else _per_channel(constant, made)], made)
    return value


def _reduce(builder: Builder, name: str, a: Arguments, made: Tensor) -> Varying:
    x = a["self"]
    dims = range(x.traced.ndim) if a.get("dim") is None else a["dim"]
    axes = sorted(dim % x.traced.ndim - 1 for dim in ([dims] if isinstance(dims, int) else dims))
    if axes[0] < 0:
        raise Untranslatable("it mixes the images of a batch")
    if builder.any_size and not a.get("keepdim"):
        raise Untranslatable(_ONE_SIZE)
    return builder.step("reduce", [x], made, axes=axes, mean=name == "mean")


def _softmax(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    if a["dim"] % made.ndim != made.ndim - 1 or made.ndim == 1:
        raise Untranslatable("only the last dimension is known")
    return builder.step("softmax", [a["self"]], made)


def _cat(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    axis = a["dim"] % made.ndim - 1
    if axis < 0:
        raise Untranslatable("it mixes the images of a batch")
    parts = [part if isinstance(part, Varying) else _same_for_all(part) for part in a["tensors"]]
    return builder.step("cat", parts, made, axis=axis)


def _resample(builder: Builder, name: str, a: Arguments, made: Tensor) -> Varying:
    """A separable change of size: rows of ones show what it does to columns, and the other way round."""
    x = _input(a)
    if builder.any_size and name == "upsample_bilinear2d":
        return _doubled(builder, x, made)
    rest = {key: value for key, value in a.items() if key not in {"input", "self"}}
    function = getattr(torch.ops.aten, name)
    overload = function.vec if "scale_factors" in rest else function.default
    height, width = x.shape[-2:]
    rows = overload(torch.eye(height).reshape(height, 1, height, 1).repeat(1, 1, 1, width), **rest)[:, 0, :, 0].T
    columns = overload(torch.eye(width).reshape(width, 1, 1, width).repeat(1, 1, height, 1), **rest)[:, 0, 0, :].T
    if not torch.allclose(rows @ x.traced @ columns.T, made, atol=1e-4 * float(x.traced.abs().max())):
        raise Untranslatable("it does not act on rows and columns separately")
    return builder.step("resample", [x, rows.contiguous(), columns.contiguous()], made)


def _doubled(builder: Builder, x: Varying, made: Tensor) -> Varying:
    """Twice the height and width, bilinear, as a transposed convolution, which any size has."""
    channels, row = x.shape[0], torch.tensor([0.25, 0.75, 0.75, 0.25])
    kernel = torch.outer(row, row).repeat(channels, 1, 1, 1)
    bordered = functional.pad(x.traced, (1, 1, 1, 1), mode="replicate")
    same = functional.conv_transpose2d(bordered, kernel, stride=2, padding=3, groups=channels)
    if same.shape != made.shape or not torch.allclose(same, made, atol=1e-4 * float(made.abs().max())):
        raise Untranslatable("only twice the size, with corners not aligned, is known for images of any size")
    step = builder.step("pad", [x], bordered, sides=[1, 1, 1, 1], mode="edge")
    pairs = {"stride": [2, 2], "padding": [3, 3], "dilation": [1, 1], "output_padding": [0, 0]}
    return builder.step("conv_transpose2d", [step, kernel, None], made, groups=channels, **pairs)


def _moved(builder: Builder, name: str, a: Arguments, made: Tensor) -> Varying:
    """An operation that only moves pixels, for images of any size."""
    x = _input(a)
    if made.shape == x.traced.shape and torch.equal(made, x.traced):  # cropped or padded by nothing
        return x
    (height, width), (tall, wide) = x.shape[-2:], made.shape[-2:]
    if name == "upsample_nearest2d" and tall % height == wide % width == 0:
        return builder.step("nearest", [x], made, factors=[tall // height, wide // width])
    if name in {"pixel_shuffle", "pixel_unshuffle"}:
        inverse = name == "pixel_unshuffle"
        r = a["downscale_factor" if inverse else "upscale_factor"]
        return builder.step("shuffle", [x], made, r=r, inverse=inverse)
    modes = {"reflection_pad2d": "reflect", "replication_pad2d": "edge", "constant_pad_nd": "constant"}
    mode = {"replicate": "edge"}.get(a["mode"], a["mode"]) if name == "pad" else modes.get(name)
    given: list[int] = a.get("padding") or a.get("pad") or []
    sides = [*given, 0, 0][:4]
    if mode in modes.values() and not a.get("value") and min(sides) >= 0:
        return builder.step("pad", [x], made, sides=sides, mode=mode)
    raise Untranslatable(_ONE_SIZE)


def _alias(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    """The same numbers in the same order, perhaps in another shape."""
    x = _input(a)
    if made.is_floating_point() != x.traced.is_floating_point():
        raise Untranslatable("numbers and labels are not converted into each other")
    if x.number == LABEL:
        return Varying(LABEL, made)
    if made.shape == x.traced.shape:
        return x
    if builder.any_size:
        raise Untranslatable(_ONE_SIZE)
    return builder.step("reshape", [x], made)


def _unary(op: str, **options: str | float) -> Translator:
    """One number to one number. An option is a number, or the name of the operation's argument."""

    def translator(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
        values = {key: a[value] if isinstance(value, str) else value for key, value in options.items()}
        return builder.step(op, [a["self"]], made, **values)

    return translator


def _gelu(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    return builder.step("gelu_tanh" if a["approximate"] == "tanh" else "gelu", [a["self"]], made)


def _prelu(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    """max(x, 0) + slope min(x, 0), with one slope per channel or one for all."""
    (slope,) = _constants(a, "weight")
    below = builder.step("minimum", [a["self"], torch.tensor(0.0)], made)
    scaled = builder.step("mul", [below, _per_channel(slope, made)], made)
    return builder.step("add", [builder.step("relu", [a["self"]], made), scaled], made)


def _power(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    if not isinstance(a["exponent"], int | float) or not isinstance(a["self"], Varying):
        raise Untranslatable("only a fixed exponent is known")
    return builder.step("power", [a["self"]], made, exponent=a["exponent"])


def _clamp(builder: Builder, _name: str, a: Arguments, made: Tensor) -> Varying:
    low, high = a.get("min", a.get("min_val")), a.get("max", a.get("max_val"))
    if isinstance(low, Tensor | Varying) or isinstance(high, Tensor | Varying):
        raise Untranslatable("only fixed bounds are known")
    most = 3.4e38  # JSON has no infinity
    return builder.step("clamp", [a["self"]], made, low=-most if low is None else low, high=most if high is None else high)


def _binary(builder: Builder, name: str, a: Arguments, made: Tensor) -> Varying:
    if a.get("rounding_mode") is not None:
        raise Untranslatable("it rounds")
    first, second = (_operand(a[key], made) for key in ("self", "other"))
    if a.get("alpha", 1) != 1:
        factor = torch.tensor(float(a["alpha"]))
        second = second * factor if isinstance(second, Tensor) else builder.step("mul", [second, factor], second.traced)
    if name == "rsub":
        first, second = second, first
    return builder.step({"rsub": "sub"}.get(name, name), [first, second], made)


def _operand(value: Any, made: Tensor) -> Any:  # noqa: ANN401  (whatever torch passes)
    if isinstance(value, int | float):
        return torch.tensor(float(value))
    if isinstance(value, Varying):
        if not value.traced.is_floating_point():
            raise Untranslatable("labels can be looked up, not computed with")
        if value.traced.ndim != made.ndim:
            raise Untranslatable("it mixes the images of a batch")
        return value
    return _same_for_all(value) if value.ndim == made.ndim else value


def _same_for_all(constant: Tensor) -> Tensor:
    """A constant that was expanded to one row per image, without them."""
    if len(constant) > 1 and not (constant == constant[:1]).all():
        raise Untranslatable("it treats the images of a batch differently")
    return constant[0]


_ALIASES = (
    "_to_copy _unsafe_view alias clone contiguous detach dropout feature_dropout flatten float lift_fresh reshape squeeze to "
    "unflatten unsqueeze view view_as"
)
_CUTS = "chunk narrow select slice split split_with_sizes unbind"
_PADS = "constant_pad_nd pad reflection_pad2d replication_pad2d"
_REPEATS = "expand expand_as repeat repeat_interleave tile upsample_nearest2d"
_TURNS = "flip movedim permute pixel_shuffle pixel_unshuffle roll swapaxes t transpose"

MOVES = frozenset(f"{_CUTS} {_PADS} {_REPEATS} {_TURNS}".split())
"""Operations that move numbers, or put zeros between them, and change none."""

_RESAMPLES = "adaptive_avg_pool2d avg_pool2d upsample_bicubic2d upsample_bilinear2d"

TRANSLATORS: dict[str, Translator] = {
    **dict.fromkeys(_ALIASES.split(), _alias),
    **dict.fromkeys(("add", "sub", "rsub", "mul", "div", "maximum", "minimum"), _binary),
    **dict.fromkeys(_RESAMPLES.split(), _resample),
    **dict.fromkeys(("matmul", "mm", "bmm"), _matmul),
    **dict.fromkeys(("conv2d", "conv_transpose2d"), _conv),
    **dict.fromkeys(MOVES, _moved),
    **dict.fromkeys(("mean", "sum"), _reduce),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max", "hardtanh"), _clamp),
    **{name: _unary(name) for name in ("abs", "cos", "exp", "log", "neg", "relu", "sigmoid", "silu", "sin", "tanh")},
    **dict.fromkeys(("embedding", "one_hot"), _embedding),
    **dict.fromkeys(("group_norm", "instance_norm", "layer_norm"), _norm),
    "addmm": _addmm,
    "batch_norm": _batch_norm,
    "cat": _cat,
    "elu": _unary("elu", alpha="alpha", scale="scale", input_scale="input_scale"),
    "gelu": _gelu,
    "leaky_relu": _unary("leaky_relu", slope="negative_slope"),
    "linear": _linear,
    "pow": _power,
    "prelu": _prelu,
    "reciprocal": _unary("power", exponent=-1.0),
    "relu6": _unary("clamp", low=0.0, high=6.0),
    "rsqrt": _unary("power", exponent=-0.5),
    "selu": _unary("elu", alpha=1.6732632423543772, scale=1.0507009873554805, input_scale=1.0),
    "softmax": _softmax,
    "softplus": _unary("softplus", beta="beta"),
    "sqrt": _unary("power", exponent=0.5),
    "square": _unary("power", exponent=2.0),
}
