"""From a generator to a :class:`~gancli.export.program.steps.Program`.

``torch.export`` lists the operations of the network. Each is run once, on real latents, so that all shapes are known. What
does not depend on the latent or the label is computed right here and becomes a constant, whatever operations it took (a
spectrally normalised weight, a grid of positions); the rest is translated one by one (:mod:`gancli.export.program.dispatch`).
"""

from __future__ import annotations

import operator
import warnings
from typing import TYPE_CHECKING, Any

import torch

from gancli.errors import ExportError
from gancli.export.program.builder import PICTURES, Builder, Untranslatable, Varying
from gancli.export.program.dispatch import translate
from gancli.export.program.steps import LABEL, LATENT, Program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.export import ExportedProgram
    from torch.fx import Node

    from gancli.models.model import Model

__all__ = ["trace"]

_REMEDY = "Export .onnx, .pt2 or .safetensors instead, or use other layers in the generator."


def trace(model: Model) -> Program:
    """The model's generator as a program.

    Raises:
        ExportError: it holds an operation that a program cannot express, which is named, or mixes the pictures of a batch.
    """
    generator = model.generator
    if model.device.type != "cpu":
        from copy import deepcopy

        generator = deepcopy(generator).cpu()
    z = torch.randn((PICTURES, model.latent_dim), generator=torch.Generator().manual_seed(0))
    inputs = [z, *([torch.arange(PICTURES) % model.image.classes] if model.image.classes else [])]
    exported = _exported(generator, inputs)
    builder = Builder()
    with torch.no_grad():
        drawn = _translate(builder, exported, inputs)
    if not isinstance(drawn, Varying) or drawn.shape != model.image.shape:
        raise ExportError(f"The generator does not make one picture of {model.image} per latent.", _REMEDY)
    if not builder.steps or drawn.number != Program.value(len(builder.steps) - 1):
        drawn = builder.step("reshape", [drawn], drawn.traced)
    return Program(model.latent_dim, model.image.classes, tuple(builder.steps), tuple(builder.constants))


def _exported(generator: torch.nn.Module, inputs: Sequence[Tensor]) -> ExportedProgram:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch has to say about its own internals
        try:
            return torch.export.export(generator, tuple(inputs), strict=False)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ExportError(f"torch.export cannot follow the generator: {reason.rstrip('.')}.", _REMEDY) from error


def _translate(builder: Builder, exported: ExportedProgram, inputs: Sequence[Tensor]) -> object:
    stored = {**exported.state_dict, **exported.constants}
    numbers = iter((LATENT, LABEL))
    given = iter(inputs)
    values: dict[Node, Any] = {}
    signature = {spec.arg.name: spec.target for spec in exported.graph_signature.input_specs}
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            target = signature[node.name]
            values[node] = Varying(next(numbers), next(given)) if target is None else stored[target].detach()
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
        made = translate(builder, node.target, args, keywords)
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
