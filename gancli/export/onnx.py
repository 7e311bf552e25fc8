"""``.onnx``: the generator as a graph of standard operations, for any program that reads ONNX.

==========  =======================================================================================================
input       ``z``: float32 ``(batch, latent_dim)``, drawn from N(0, I); ``labels``: int64 ``(batch,)``, if conditional
output      ``images``: float32 ``(batch, c, h, w)`` in [-1, 1], or uint8 ``(batch, 3, h, w)`` in [0, 255]
metadata    ``gancli``: the facts, as JSON; and what a person looks for, under names of its own
==========  =======================================================================================================

The second form of the output is what torch-fidelity takes as ``--input1 generator.onnx`` (Obukhov et al., 2020).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.checkpoint.provenance import KEY
from gancli.errors import ExportError, UsageError
from gancli.export.facts import PARITY, facts_of

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn

    from gancli.checkpoint.provenance import Provenance
    from gancli.export.parity import Draw
    from gancli.models.model import Model

__all__ = ["DEFAULT_OPSET", "encode", "reload", "stamp"]

DEFAULT_OPSET = 18
"""The oldest that PyTorch's exporter writes, so that as many programs as possible read it."""

_RGB = 3
_GREY_OR_RGB = frozenset((1, _RGB))
_BATCH = "batch"


def encode(model: Model, opset: int | None = None, *, uint8: bool = False) -> bytes:
    """The content of the file.

    Args:
        model: what is exported, on the CPU.
        opset: version of the set of operations.
        uint8: whether pictures come as bytes, in three channels, of which grey ones are three times the same.

    Raises:
        UsageError: there is no such opset, or pictures of that kind have no form in bytes.
        ExportError: ONNX lacks an operation; it is named.
    """
    import onnx

    opset = DEFAULT_OPSET if opset is None else opset
    newest = onnx.defs.onnx_opset_version()
    if not DEFAULT_OPSET <= opset <= newest:
        raise UsageError(f"--opset {opset} cannot be written.", f"Choose {DEFAULT_OPSET} to {newest}.")
    if uint8 and model.image.channels not in _GREY_OR_RGB:
        raise UsageError(f"--uint8 gives 3 channels, and these pictures have {model.image.channels}.", "Leave it out.")
    converted = _converted(model, _as_bytes(model) if uint8 else None, opset)
    _tidy(converted)
    _describe(converted, facts_of(model), uint8=uint8)
    data: bytes = converted.SerializeToString()
    try:
        onnx.checker.check_model(data, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"What was converted is not valid ONNX: {error}.", "Try another --opset, and report this.") from error
    return data


def stamp(data: bytes, difference: float) -> bytes:
    """The same with the largest difference to the generator among its facts."""
    import onnx

    model = onnx.load_model_from_string(data)
    entry = next(entry for entry in model.metadata_props if entry.key == KEY)
    entry.value = json.dumps(json.loads(entry.value) | {PARITY: difference}, sort_keys=True)
    stamped: bytes = model.SerializeToString()
    return stamped


def reload(data: bytes) -> Draw:
    """The generator in the content of a file, run by ONNX Runtime, as `gancli sample` does."""
    from gancli.models.onnx_model import onnx_from_bytes

    return onnx_from_bytes(data, Path("generator.onnx")).draw


def _converted(model: Model, network: nn.Module | None, opset: int) -> ModelProto:
    import torch

    from gancli.export.tracing import quietly, trace, unsupported
    from gancli.models.onnx_model import IMAGES, LABELS, LATENTS

    program = trace(model, network)
    names = [LATENTS, LABELS] if model.image.classes else [LATENTS]
    try:
        with quietly():
            written = torch.onnx.export(
                program,
                dynamo=True,
                input_names=names,
                output_names=[IMAGES],
                opset_version=opset,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # whatever the converter raises
        raise unsupported(error, f"ONNX (opset {opset})") from error
    if written is None:  # pragma: no cover  (not with dynamo=True)
        raise ExportError("PyTorch's exporter returned nothing.", "Report this.")
    proto: ModelProto = written.model_proto
    return proto


def _as_bytes(model: Model) -> nn.Module:
    from torch import nn, uint8

    class Bytes(nn.Module):
        """round(127.5 x + 127.5), clamped, in three channels."""

        def __init__(self, generator: nn.Module, repeats: int) -> None:
            super().__init__()
            self.generator = generator
            self.repeats = repeats

        def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
            images = self.generator(z) if labels is None else self.generator(z, labels)
            pixels: Tensor = (images.float() * 127.5 + 127.5).round().clamp(0, 255)
            return pixels.repeat(1, self.repeats, 1, 1).to(uint8)

    return Bytes(model.generator, _RGB // model.image.channels).eval()


def _tidy(model: ModelProto) -> None:
    """Leave out the exporter's diary, which names the sources on this machine, and call the batch by its name."""
    graph = model.graph
    del graph.value_info[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer, graph, model):
        del part.metadata_props[:]
        part.doc_string = ""
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = _BATCH


def _describe(model: ModelProto, facts: Provenance, *, uint8: bool) -> None:
    import onnx

    onnx.helper.set_model_props(
        model,
        {
            KEY: json.dumps(facts.document(), sort_keys=True),
            "latent_dim": str(facts.latent_dim),
            "range": "0 to 255" if uint8 else "-1 to 1",
            "classes": ", ".join(facts.classes),
            "dataset": facts.dataset.name,
            "licence": facts.dataset.licence or "",
            "step": str(facts.step),
            "weights_sha256": facts.digest or "",
        },
    )
    model.producer_name, model.producer_version = "gancli", facts.gancli
