"""One operation of PyTorch becomes a constant, a step that moves numbers, or a step that computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gancli.export.program.builder import PICTURES, Builder, Untranslatable, Varying
from gancli.export.program.moving import gather
from gancli.export.program.translators import TRANSLATORS, Arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch._ops import OpOverload

__all__ = ["MOVES", "translate"]

_CUTS = "chunk narrow select slice split split_with_sizes unbind"
_PADS = "constant_pad_nd pad reflection_pad2d replication_pad2d"
_REPEATS = "expand expand_as repeat repeat_interleave tile upsample_nearest2d"
_TURNS = "flip movedim permute pixel_shuffle pixel_unshuffle roll swapaxes t transpose"

MOVES = frozenset([*_CUTS.split(), *_PADS.split(), *_REPEATS.split(), *_TURNS.split()])
"""Operations that move numbers, or put zeros between them, and change none."""

_NO_KERNEL = "there is no kernel for it"


def translate(builder: Builder, target: OpOverload, args: Sequence[Any], keywords: dict[str, Any]) -> Any:  # noqa: ANN401
    """What one operation makes: a constant, or a varying value (several, for some operations) with its steps appended.

    Raises:
        Untranslatable: it cannot be a step.
    """
    if target._schema.name.startswith("aten::_assert"):  # noqa: SLF001  (about shapes and types, which are as they are)
        return None
    if torch.Tag.nondeterministic_seeded in target.tags and not _is_switched_off(target, args):
        raise Untranslatable("it draws random numbers, and a picture has to depend on its latent alone")
    made = target(*_traced(args), **_traced(keywords))
    if not _depends(args) and not _depends(list(keywords.values())):
        return made
    name = target._schema.name.removeprefix("aten::").rstrip("_")  # noqa: SLF001  (schemas have no other door)
    if name in MOVES and isinstance(made, list | tuple):
        return [gather(builder, lambda *a, k=k, **o: target(*a, **o)[k], args, keywords, one) for k, one in enumerate(made)]
    if not isinstance(made, Tensor):
        raise Untranslatable(_NO_KERNEL)
    if not made.ndim or made.shape[0] != PICTURES:
        raise Untranslatable("it mixes the pictures of a batch")
    if name in MOVES:
        return gather(builder, target, args, keywords, made)
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
