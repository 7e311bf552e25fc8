"""``.onnx``: the generator as a graph of standard operations, for any program that reads ONNX.

==========  =======================================================================================================
input       ``z``: float32 ``(batch, latent_dim)``, drawn from N(0, I); ``labels``: int64 ``(batch,)``, if conditional
            of a translator only ``sources``: float32 ``(batch, c, height, width)`` in [-1, 1]
output      ``images``: float32 ``(batch, c, h, w)`` in [-1, 1], or uint8 ``(batch, 3, h, w)`` in [0, 255]
metadata    ``gancli``: the facts, as JSON
==========  =======================================================================================================

The second form of the output is what torch-fidelity takes as ``--input1 generator.onnx`` (Obukhov et al., 2020).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import Field

from gancli.errors import ExportError, UsageError
from gancli.plugin import ArchConfig, Draw, Exporter, OpenedGenerator, TrainedGenerator
from gancli_onnx.tracing import KEY, inference, quietly, trace

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto
    from torch import Tensor, nn

_OLDEST_OPSET = 18  # that PyTorch's exporter writes, so that as many programs as possible read it
_HALF_A_LEVEL = 0.5 / 127.5  # by which rounding to bytes moves a number at most, in [-1, 1]
_OPERATION = re.compile(r"op='([\w.]+)'|torch\.ops\.([\w.]+?)(?:\.default)?\(")


class OnnxOptions(ArchConfig):
    """What an ONNX file can be asked for."""

    opset: int = Field(_OLDEST_OPSET, description="version of ONNX's set of operations")
    uint8: bool = Field(default=False, description="images as bytes in three channels, of which grey ones are all alike")


class Onnx(Exporter[OnnxOptions]):
    """A graph of standard operations."""

    api = 2
    summary = "for ONNX Runtime and whatever else reads ONNX"
    translates = True
    Options = OnnxOptions
    packages = ("onnx", "onnxscript", "onnxruntime")

    def export(self, generator: TrainedGenerator, path: Path, options: OnnxOptions) -> None:
        """Trace the network and convert the graph.

        Raises:
            UsageError: there is no such opset, or images of that kind have no form in bytes.
            ExportError: ONNX lacks an operation; it is named.
        """
        import onnx

        newest, channels = onnx.defs.onnx_opset_version(), generator.image.channels
        if not _OLDEST_OPSET <= options.opset <= newest:
            raise UsageError(f"-s opset={options.opset} cannot be written.", f"Choose {_OLDEST_OPSET} to {newest}.")
        if options.uint8 and channels not in {1, 3}:
            raise UsageError(f"-s uint8=true gives 3 channels, and these images have {channels}.", "Leave it out.")
        converted = _converted(generator, _as_bytes(generator) if options.uint8 else None, options.opset)
        _tidy(converted)
        onnx.helper.set_model_props(converted, {KEY: json.dumps(dict(generator.metadata), sort_keys=True)})
        converted.producer_name, converted.producer_version = "gancli", generator.metadata["gancli"]
        data = converted.SerializeToString()
        try:
            onnx.checker.check_model(data, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ExportError(f"The conversion is not valid ONNX: {error}.", "Try another opset, and report this.") from error
        path.write_bytes(data)

    def load(self, path: Path, generator: TrainedGenerator) -> Draw:  # noqa: ARG002  (the file says all)
        """The graph, run by ONNX Runtime, as ``gancli sample`` does."""
        return self.open(path.read_bytes(), path).draw

    def open(self, content: bytes, path: Path) -> OpenedGenerator:
        """The graph in the content of a file, which may be anybody's.

        Raises:
            CheckpointError: it is corrupt, foreign or unsafe.
        """
        from gancli_onnx.session import opened

        return opened(content, path)

    def tolerance(self, options: OnnxOptions) -> float:
        """Bytes are off by half a level at most, besides."""
        return super().tolerance(options) + (_HALF_A_LEVEL if options.uint8 else 0)


def _converted(generator: TrainedGenerator, network: nn.Module | None, opset: int) -> ModelProto:
    import torch

    from gancli_onnx.session import IMAGES, LABELS, LATENTS, SOURCES

    program = trace(generator, network, uneven=True)
    names = [LATENTS, LABELS] if generator.image.classes else [SOURCES if generator.image.source else LATENTS]
    try:
        with quietly():
            asked: dict[str, Any] = {"input_names": names, "output_names": [IMAGES], "opset_version": opset}
            written = torch.onnx.export(program, dynamo=True, external_data=False, verbose=False, **asked)
    except Exception as error:  # whatever the converter raises
        raise _unsupported(error, f"ONNX (opset {opset})") from error
    assert written is not None  # noqa: S101  (for the type checker)
    proto: ModelProto = written.model_proto
    return proto


def _unsupported(error: BaseException, target: str) -> ExportError:
    """The failure of the converter, naming the operation that ``target`` lacks."""
    seen: BaseException | None = error
    text = ""
    while seen is not None:
        text, seen = str(seen), seen.__cause__ or seen.__context__
        if match := _OPERATION.search(text):
            problem = f"{target} has no operation {match[1] or match[2]}, which the generator uses."
            return ExportError(problem, "Export .safetensors or .pt2 instead.")
    return ExportError(f"The generator cannot be converted to {target}: {text.splitlines()[0] if text else error!r}.")


def _as_bytes(generator: TrainedGenerator) -> nn.Module:
    from torch import nn, uint8

    class Bytes(nn.Module):
        """round(127.5 x + 127.5), clamped, in three channels."""

        def __init__(self, generator: nn.Module, repeats: int) -> None:
            super().__init__()
            self.generator, self.repeats = generator, repeats

        def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
            images = self.generator(z) if labels is None else self.generator(z, labels)
            pixels: Tensor = (images.float() * 127.5 + 127.5).round().clamp(0, 255)
            return pixels.repeat(1, self.repeats, 1, 1).to(uint8)

    return Bytes(inference(generator), 3 // generator.image.channels).eval()


def _tidy(model: ModelProto) -> None:
    """Leave out the exporter's diary, which names the sources on this machine, and call the batch by its name."""
    graph = model.graph
    del graph.value_info[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer, graph, model):
        del part.metadata_props[:]
        part.doc_string = ""
    for value in (*graph.input, *graph.output):
        for name, side in zip(("batch", "", "height", "width"), value.type.tensor_type.shape.dim, strict=False):
            if name == "batch" or side.HasField("dim_param"):
                side.dim_param = name
