"""From a generator to a graph of operations, with any number of pictures in a batch."""

from __future__ import annotations

import io
import logging
import re
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import torch

from gancli.errors import ExportError
from gancli.text import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn
    from torch.export import ExportedProgram

    from gancli.models.model import Model

__all__ = ["quietly", "trace", "unsupported"]

_OPERATION = re.compile(r"op='([\w.]+)'|torch\.ops\.([\w.]+?)(?:\.default)?\(")


def trace(model: Model, network: nn.Module | None = None) -> ExportedProgram:
    """The graph of ``(z (n, latent_dim) [, labels (n,)]) -> images (n, c, h, w)``, for every n.

    Args:
        model: what is exported, on the CPU.
        network: what is traced instead of the generator itself, with the same inputs.

    Raises:
        ExportError: the network decides by its numbers what to do next, or cannot be traced for another reason.
    """
    batch = torch.export.Dim("batch")
    inputs: tuple[torch.Tensor, ...] = (torch.zeros(2, model.latent_dim),)
    if model.image.classes:
        inputs = (*inputs, torch.zeros(2, dtype=torch.int64))
    try:
        with quietly(), torch.no_grad():
            program = torch.export.export(
                network or model.generator, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs), strict=False
            )
    except Exception as error:  # whatever the network or the tracer raises
        raise ExportError(
            f"The generator cannot be traced: {first_line(error)}.",
            "Its operations have to be the same for all latents and any number of pictures; .safetensors needs no trace.",
        ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names the directories of this machine
    return program


def unsupported(error: BaseException, target: str) -> ExportError:
    """The failure of a converter, naming the operation that ``target`` lacks."""
    seen: BaseException | None = error
    text = ""
    while seen is not None:
        text, seen = str(seen), seen.__cause__ or seen.__context__
        if match := _OPERATION.search(text):
            name = match[1] or match[2]
            return ExportError(
                f"{target} has no operation {name}, which the generator uses.", "Export .safetensors or .pt2 instead."
            )
    return ExportError(f"The generator cannot be converted to {target}: {text.splitlines()[0] if text else error!r}.")


@contextmanager
def quietly() -> Iterator[None]:
    """Within the block torch's exporters keep their advice, their progress and their graphs to themselves."""
    disabled = logging.root.manager.disable
    nowhere = io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(nowhere), redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)
