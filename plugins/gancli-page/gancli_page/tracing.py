"""From a generator to a :class:`~gancli_page.program.Program`.

``torch.export`` lists the operations of the network. Each is run once, on real latents, so that all shapes are known. What
does not depend on the latent or the label is computed right here and becomes a constant, whatever operations it took (a
spectrally normalised weight, a grid of positions); the rest becomes steps, one by one: numbers that only move here, those
that are computed in :mod:`gancli_page.translators`.
"""

from __future__ import annotations

import math
import operator
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gancli.errors import ExportError
from gancli_page.program import INPUT, LABEL, Program, Step
from gancli_page.replay import replay
from gancli_page.translators import IMAGES, MOVES, TRANSLATORS, Arguments, Builder, Untranslatable, Varying

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch._ops import OpOverload
    from torch.export import ExportedProgram
    from torch.fx import Node

    from gancli.plugin import TrainedGenerator

__all__ = ["trace"]

_REMEDY = "Export .onnx, .pt2 or .safetensors instead, or use other layers in the generator."


def trace(trained: TrainedGenerator) -> Program:
    """The generator as a program; of a translator one for images of any size, if its network allows that.

    Raises:
        ExportError: it holds an operation that a program cannot express, which is named, or mixes the images of a batch.
    """
    noise = torch.Generator().manual_seed(0)
    if (source := trained.image.source) is None:
        z = torch.randn((IMAGES, trained.latent_dim), generator=noise)
        labels = [torch.arange(IMAGES) % trained.image.classes] if trained.image.classes else []
        inputs = [Varying(number, one) for number, one in zip((INPUT, LABEL), (z, *labels), strict=False)]
        steps, constants = _traced_steps(trained, Builder(), inputs)
        return Program(trained.latent_dim, trained.image.classes, steps, constants)

    latents = torch.zeros(IMAGES, trained.latent_dim)
    largest = 2 ** (min(source[1:]).bit_length() - 1)
    even = (source[0], *(-(-side // largest) * largest for side in source[1:]))

    def program(shape: tuple[int, ...], *, any_size: bool) -> Program:
        sources = torch.randn((IMAGES, *shape), generator=noise)
        steps, constants = _traced_steps(trained, Builder(any_size=any_size), [latents, Varying(INPUT, sources)])
        return Program(trained.latent_dim, 0, steps, constants, source)

    try:
        found = program(even, any_size=True)
    except ExportError:
        return program(source, any_size=False)

    def suits(candidate: Program, height: int, width: int) -> bool:
        images = torch.randn((2, source[0], height, width), generator=noise).clamp(-1, 1).numpy()
        try:
            expected = trained.draw(images)
            same_size = expected.shape[2:] == (height, width)
            return same_size and bool(np.allclose(expected, replay(candidate, images), atol=1e-3))
        except (RuntimeError, ValueError):  # the network or a step does not take such sides
            return False

    for multiple in (2**k for k in range(largest.bit_length())):
        sides = largest + multiple, largest + 3 * multiple
        if suits(candidate := replace(found, multiple=multiple), *sides):
            padded = replace(candidate, pads=True)
            return padded if suits(padded, sides[0] + 1, sides[1] - 1) else candidate
    return program(source, any_size=False)


def _traced_steps(
    trained: TrainedGenerator, builder: Builder, inputs: Sequence[Varying | Tensor]
) -> tuple[tuple[Step, ...], tuple[NDArray[np.float32], ...]]:
    """The steps from the inputs, varying or constant, to the image, and the constants."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch has to say about its own internals
        try:
            exported = torch.export.export(trained.network, tuple(_traced(list(inputs))), strict=False)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ExportError(f"torch.export cannot follow the generator: {reason.rstrip('.')}.", _REMEDY) from error
    with torch.no_grad():
        made = _translate(builder, exported, inputs)
    if not isinstance(made, Varying) or not (builder.any_size or made.shape == trained.image.shape):
        given = "source image" if trained.image.source else "latent"
        raise ExportError(f"The generator does not make one image of {trained.image} per {given}.", _REMEDY)
    if not builder.steps or made.number != Program.value(len(builder.steps) - 1):
        made = builder.step("reshape", [made], made.traced)
    return tuple(builder.steps), tuple(builder.constants)


def _translate(builder: Builder, exported: ExportedProgram, inputs: Sequence[Varying | Tensor]) -> object:
    stored = {**exported.state_dict, **exported.constants}
    given = iter(inputs)
    values: dict[Node, Any] = {}
    signature = {spec.arg.name: spec.target for spec in exported.graph_signature.input_specs}
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            target = signature[node.name]
            values[node] = next(given) if target is None else stored[target].detach()
        elif node.op == "output":
            return values[node.all_input_nodes[0]]
        else:
            values[node] = _call(builder, node, values)
    raise AssertionError("a graph ends in its output")


def _call(builder: Builder, node: Node, values: dict[Node, Any]) -> Any:  # noqa: ANN401  (whatever the operation makes)
    from torch.fx.node import map_arg

    args: Any = map_arg(node.args, values.__getitem__)
    keywords: Any = map_arg(node.kwargs, values.__getitem__)
    if node.target is operator.getitem:
        return args[0][args[1]]
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):  # noqa: SLF001  (its only name)
        raise ExportError(f"The page cannot compute '{node.target}'{_place(node)}.", _REMEDY)
    try:
        made = _translated(builder, node.target, args, keywords)
    except Untranslatable as reason:
        name = node.target._schema.name  # noqa: SLF001  (as the field writes it, without the overload)
        raise ExportError(f"The page cannot compute '{name}'{_place(node)}: {reason}.", _REMEDY) from None
    if node.target._schema.is_mutable:  # noqa: SLF001  (whoever reads the first argument later, reads what it became)
        values[node.all_input_nodes[0]] = made
    return made


def _place(node: Node) -> str:
    """Which layer an operation belongs to, as far as it is known."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    name = stack[-1][0] if stack else ""
    return f" of layer '{name}'" if name else ""


_NO_KERNEL = "there is no kernel for it"


def _translated(builder: Builder, target: OpOverload, args: Sequence[Any], keywords: dict[str, Any]) -> Any:  # noqa: ANN401
    """What one operation makes: a constant, or a varying value (several, for some operations) with its steps appended.

    Raises:
        Untranslatable: it cannot be a step.
    """
    if target._schema.name.startswith("aten::_assert"):  # noqa: SLF001  (about shapes and types, which are as they are)
        return None
    if torch.Tag.nondeterministic_seeded in target.tags and not _is_switched_off(target, args):
        raise Untranslatable("it draws random numbers, and a image has to depend on its latent alone")
    made = target(*_traced(args), **_traced(keywords))
    if not _depends(args) and not _depends(list(keywords.values())):
        return made
    name = target._schema.name.removeprefix("aten::").rstrip("_")  # noqa: SLF001  (schemas have no other door)
    if name in MOVES and isinstance(made, list | tuple):
        return [_gather(builder, lambda *a, k=k, **o: target(*a, **o)[k], args, keywords, one) for k, one in enumerate(made)]
    if not isinstance(made, Tensor):
        raise Untranslatable(_NO_KERNEL)
    if not made.ndim or made.shape[0] != IMAGES:
        raise Untranslatable("it mixes the images of a batch")
    if name in MOVES and not builder.any_size:
        return _gather(builder, target, args, keywords, made)
    if name not in TRANSLATORS:
        raise Untranslatable(_NO_KERNEL)
    return TRANSLATORS[name](builder, name, _by_name(target, args, keywords), made)


def _is_switched_off(target: OpOverload, args: Sequence[Any]) -> bool:
    """Dropout in evaluation."""
    return "dropout" in target._schema.name and args[-1] is False  # noqa: SLF001


def _depends(args: Any) -> bool:  # noqa: ANN401
    if isinstance(args, list | tuple):
        return any(map(_depends, args))
    return isinstance(args, Varying)


def _traced(args: Any) -> Any:  # noqa: ANN401
    if isinstance(args, list | tuple):
        return [_traced(argument) for argument in args]
    if isinstance(args, dict):
        return {name: _traced(argument) for name, argument in args.items()}
    return args.traced if isinstance(args, Varying) else args


def _by_name(target: OpOverload, args: Sequence[Any], keywords: dict[str, Any]) -> Arguments:
    schema = target._schema.arguments  # noqa: SLF001
    given = {argument.name: value for argument, value in zip(schema, args, strict=False)}
    return {argument.name: argument.default_value for argument in schema if argument.has_default_value()} | given | keywords


# Operations that only move numbers (slices, permutations, repetitions, padding with zeros) become one kind of step. The
# operation itself is asked where every number of its result comes from: it is run on positions instead of on values. Of all
# these operations the position is a sum of one term per dimension, which makes a short list per dimension of the result.


def _gather(
    builder: Builder, operation: Callable[..., Tensor], args: Sequence[Any], keywords: dict[str, Any], made: Tensor
) -> Varying:
    """One step that moves the numbers of the first argument as ``operation`` does.

    Raises:
        Untranslatable: it does something else, or mixes the images of a batch.
    """
    x = args[0]
    if not isinstance(x, Varying) or any(isinstance(argument, Varying) for argument in args[1:]):
        raise Untranslatable("where it moves numbers depends on the latent")
    size = math.prod(x.shape)
    rows = torch.arange(IMAGES, dtype=torch.float64) * size
    positions = (rows[:, None] + torch.arange(1, size + 1, dtype=torch.float64)).reshape(x.traced.shape)
    moved = operation(positions, *args[1:], **keywords)
    if moved.shape != made.shape or moved.shape[0] != IMAGES:
        raise Untranslatable("it mixes the images of a batch")
    offsets = rows.reshape(-1, *[1] * (moved.ndim - 1))
    sources = torch.where(moved > 0, moved - offsets - 1, -1).long().numpy()
    if (sources != sources[:1]).any() or sources.max() >= size or sources.min() < -1:
        raise Untranslatable("it mixes the images of a batch, or pads with something else than zeros")
    axes = _separated(sources[0])
    return builder.step("gather", [x], made, axes=[axis.tolist() for axis in axes])


def _separated(sources: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """One array per dimension whose sum is ``sources``; -1 where a whole line comes from nowhere."""
    if not sources.ndim:
        return [np.asarray([sources.item()])]
    inside = sources >= 0
    corner = tuple(index[0] for index in np.nonzero(inside)) if inside.any() else (0,) * sources.ndim
    axes = []
    for dimension in range(sources.ndim):
        line = sources[tuple(slice(None) if d == dimension else corner[d] for d in range(sources.ndim))]
        valid = line >= 0
        least = line[valid].min() if valid.any() else 0
        axes.append(np.where(valid, line - least, -1))
    total = _sum(axes)
    rest = (sources - total)[inside]
    base = int(rest[0]) if rest.size else 0
    axes[0] = np.where(axes[0] >= 0, axes[0] + base, -1)
    if not np.array_equal(_sum(axes), sources):
        raise Untranslatable("it moves numbers in a way that is no sum over the dimensions")
    return axes


def _sum(axes: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    total, inside = np.zeros((), np.int64), np.ones((), np.bool_)
    for axis in axes:
        total, inside = total[..., None] + axis, inside[..., None] & (axis >= 0)
    return np.where(inside, total, -1)
