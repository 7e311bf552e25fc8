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
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.fx.node import Node, map_aggregate, map_arg

from gancli.errors import ExportError
from gancli_page.program import FIRST, INPUT, LABEL, Program
from gancli_page.replay import positions, replay
from gancli_page.translators import IMAGES, MOVES, NO_KERNEL, TRANSLATORS, Builder, Untranslatable, Varying

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gancli.plugin import TrainedGenerator

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
        return _traced(trained, Builder(), inputs)

    latents = torch.zeros(IMAGES, trained.latent_dim)
    largest = 2 ** (min(source[1:]).bit_length() - 1)
    even = (source[0], *(-(-side // largest) * largest for side in source[1:]))

    def program(shape: tuple[int, ...], *, any_size: bool) -> Program:
        sources = torch.randn((IMAGES, *shape), generator=noise)
        return _traced(trained, Builder(any_size=any_size), [latents, Varying(INPUT, sources)])

    def suits(candidate: Program, height: int, width: int) -> bool:
        images = torch.randn((2, source[0], height, width), generator=noise).clamp(-1, 1).numpy()
        try:
            expected = trained.draw(images)
            same_size = expected.shape[2:] == (height, width)
            return same_size and bool(np.allclose(expected, replay(candidate, images), atol=1e-3))
        except (RuntimeError, ValueError):  # the network or a step does not take such sides
            return False

    with suppress(ExportError):  # that an operation suits one size of images only
        found = program(even, any_size=True)
        for multiple in (2**k for k in range(largest.bit_length())):
            sides = largest + multiple, largest + 3 * multiple
            if suits(candidate := replace(found, multiple=multiple), *sides):
                padded = replace(candidate, pads=True)
                return padded if suits(padded, sides[0] + 1, sides[1] - 1) else candidate
    return program(source, any_size=False)


def _traced(trained: TrainedGenerator, builder: Builder, inputs: Sequence[Varying | Tensor]) -> Program:
    """The program from the inputs, varying or constant, to the image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch has to say about its own internals
        try:
            exported = torch.export.export(trained.network, tuple(map(_plain, inputs)), strict=False)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ExportError(f"torch.export cannot follow the generator: {reason.rstrip('.')}.", _REMEDY) from error
    stored, unused = {**exported.state_dict, **exported.constants}, iter(inputs)
    signature = {spec.arg.name: spec.target for spec in exported.graph_signature.input_specs}
    values: dict[Node, Any] = {}
    *nodes, output = exported.graph.nodes
    for node in nodes:
        if node.op == "placeholder":
            target = signature[node.name]
            values[node] = next(unused) if target is None else stored[target].detach()
            continue
        if node.target is operator.getitem:
            values[node] = values[node.all_input_nodes[0]][node.args[1]]
            continue
        try:
            values[node] = _translated(builder, node, values)
        except Untranslatable as reason:
            name = getattr(getattr(node.target, "_schema", node), "name", "")
            stack = list((node.meta.get("nn_module_stack") or {}).values())
            layer = f" of layer '{stack[-1][0]}'" if stack and stack[-1][0] else ""
            raise ExportError(f"The page cannot compute '{name}'{layer}: {reason}.", _REMEDY) from None
    made = values[output.all_input_nodes[0]]
    if not isinstance(made, Varying) or not (builder.any_size or made.shape == trained.image.shape):
        given_by = "source image" if trained.image.source else "latent"
        raise ExportError(f"The generator does not make one image of {trained.image} per {given_by}.", _REMEDY)
    if not builder.steps or made.number != FIRST + len(builder.steps) - 1:
        builder.step("reshape", [made], made.traced)
    steps, constants = tuple(builder.steps), tuple(builder.constants)
    return Program(trained.latent_dim, trained.image.classes, steps, constants, trained.image.source)


def _plain(value: Any) -> Any:  # noqa: ANN401  (whatever torch passes)
    return value.traced if isinstance(value, Varying) else value


@torch.no_grad()
def _translated(builder: Builder, node: Node, values: dict[Node, Any]) -> Any:  # noqa: ANN401  (whatever the operation makes)
    """What one operation makes: a constant, or a varying value (several, for some operations) with its steps appended.

    Raises:
        Untranslatable: it cannot be a step.
    """
    args: Any = map_arg(node.args, values.__getitem__)
    keywords: Any = map_arg(node.kwargs, values.__getitem__)
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):  # noqa: SLF001  (its only name)
        raise Untranslatable(NO_KERNEL)
    schema = target._schema  # noqa: SLF001  (schemas have no other door)
    name = schema.name.removeprefix("aten::").rstrip("_")
    if name.startswith("_assert"):  # about shapes and types, which are as they are
        return None
    switched_off = "dropout" in name and args[-1] is False  # in evaluation
    if torch.Tag.nondeterministic_seeded in target.tags and not switched_off:
        raise Untranslatable("it draws random numbers, and an image has to depend on its latent alone")
    made = target(*map_aggregate(args, _plain), **map_aggregate(keywords, _plain))
    if not any(isinstance(values[given], Varying) for given in node.all_input_nodes):
        return made
    if name in MOVES and isinstance(made, list | tuple):
        return [_gather(builder, lambda *a, k=k, **o: target(*a, **o)[k], args, keywords, one) for k, one in enumerate(made)]
    if not isinstance(made, Tensor) or name not in TRANSLATORS:
        raise Untranslatable(NO_KERNEL)
    if not made.ndim or made.shape[0] != IMAGES:
        raise Untranslatable("it mixes the images of a batch")
    if name in MOVES and not builder.any_size:
        return _gather(builder, target, args, keywords, made)
    given = {argument.name: value for argument, value in zip(schema.arguments, args, strict=False)}
    defaults = {argument.name: argument.default_value for argument in schema.arguments if argument.has_default_value()}
    found = TRANSLATORS[name](builder, name, defaults | given | keywords, made)
    if schema.is_mutable:  # whoever reads the first argument later, reads what it became
        values[node.all_input_nodes[0]] = found
    return found


def _gather(
    builder: Builder, operation: Callable[..., Tensor], args: Sequence[Any], keywords: dict[str, Any], made: Tensor
) -> Varying:
    """One step that moves the numbers of the first argument as ``operation`` does.

    Operations that only move numbers (slices, permutations, repetitions, padding with zeros) become one kind of step. The
    operation itself is asked where every number of its result comes from: it is run on positions instead of on values. Of
    all these operations the position is a sum of one term per dimension: a short list per dimension of the result, with -1
    where a whole line comes from nowhere.

    Raises:
        Untranslatable: it does something else, or mixes the images of a batch.
    """
    x = args[0]
    if not isinstance(x, Varying) or any(isinstance(argument, Varying) for argument in args[1:]):
        raise Untranslatable("where it moves numbers depends on the latent")
    size = math.prod(x.shape)
    moved = operation(torch.arange(1.0, IMAGES * size + 1, dtype=torch.float64).reshape(x.traced.shape), *args[1:], **keywords)
    if moved.shape != made.shape or moved.shape[0] != IMAGES:
        raise Untranslatable("it mixes the images of a batch")
    offsets = size * torch.arange(IMAGES).reshape(-1, *[1] * (moved.ndim - 1))
    of_all = torch.where(moved > 0, moved.long() - offsets - 1, -1)
    if (of_all != of_all[:1]).any() or of_all.max() >= size or of_all.min() < -1:
        raise Untranslatable("it mixes the images of a batch, or pads with something else than zeros")
    sources = of_all[0].reshape(made.shape[1:] or (1,))
    corner = torch.unravel_index((sources >= 0).flatten().int().argmax(), sources.shape)
    axes, base = [], sources[corner]
    for dimension, place in enumerate(corner):
        line = sources.movedim(dimension, -1)[corner[:dimension] + corner[dimension + 1 :]]
        least = torch.where(line < 0, size, line).min()
        base = base - (line[place] - least)
        axes.append(torch.where(line < 0, -1, line - least))
    axes[0] = torch.where(axes[0] < 0, -1, axes[0] + base)
    lists = [axis.tolist() for axis in axes]
    if not torch.equal(positions(lists), sources):
        raise Untranslatable("it moves numbers in a way that is not a sum over the dimensions")
    return builder.step("gather", [x], made, axes=lists)
