"""A generator in an ONNX file, run by ONNX Runtime on the CPU. PyTorch is not imported: sampling starts sooner.

The file may be anybody's. Only what ``gancli export`` writes is run: operations of the standard's own domain, numbers that
lie in the file itself, no functions and no control flow; other libraries of operations are never loaded.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gancli.errors import CheckpointError, UsageError
from gancli.plugin import OpenedGenerator
from gancli_onnx.tracing import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import ModelProto

# names of the inputs and of the output; a model that translates images has `sources` for its only input
LATENTS, LABELS, SOURCES, IMAGES = "z", "labels", "sources", "images"
_FOREIGN = "Give one that `gancli export` wrote."


def opened(content: bytes, path: Path) -> OpenedGenerator:
    """The generator in the content of a file; ``path`` is its name in messages.

    Raises:
        CheckpointError: it is corrupt, foreign or unsafe.
    """
    metadata = _metadata(content, path)
    # else its import writes a lasting device id under HOME, and looks up a host of Microsoft's
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # silent: what matters comes as an exception
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise CheckpointError(f"'{path}' is refused by ONNX Runtime: {_first_line(error)}.", _FOREIGN) from error
    found = [(one.name, one.type) for one in session.get_outputs()]
    if found not in ([(IMAGES, "tensor(float)")], [(IMAGES, "tensor(uint8)")]):
        raise CheckpointError(f"'{path}' gives {found} instead of '{IMAGES}' as float or uint8.", _FOREIGN)

    def draw(z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.float32]:
        given: dict[str, NDArray[Any]] = {SOURCES if z.ndim == 4 else LATENTS: z}  # noqa: PLR2004  (n, c, h, w)
        given |= {} if labels is None else {LABELS: labels}
        sides: list[Any] = next((one.shape[2:] for one in session.get_inputs() if one.name == SOURCES), [])
        if any(isinstance(side, int) and side != there for side, there in zip(sides, z.shape[2:], strict=False)):
            size = "x".join(map(str, sides))
            raise UsageError(f"'{path}' translates images of {size}, not {z.shape[2]}x{z.shape[3]}.", "Resize them.")
        try:
            (images,) = session.run([IMAGES], given)
        except Exception as error:  # as above
            raise CheckpointError(f"'{path}' cannot be run: {_first_line(error)}.", _FOREIGN) from error
        if images.dtype == np.uint8:  # for other programs (uint8=true): three channels, of which grey ones are all alike
            channels = json.loads(metadata or "")["image"]["channels"]
            images = images[:, :channels].astype(np.float32) / np.float32(127.5) - np.float32(1)
        return np.asarray(images, dtype=np.float32)

    return OpenedGenerator(draw, metadata)


def _metadata(content: bytes, path: Path) -> str | None:
    """What a file says about its model, after everything in it that could reach beyond it was refused."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise CheckpointError(f"'{path}' is not an ONNX file.", _FOREIGN) from error
    if reason := _unsafe(model):
        raise CheckpointError(f"'{path}' {reason}.", _FOREIGN)
    return next((entry.value for entry in model.metadata_props if entry.key == KEY), None)


def _unsafe(model: ModelProto) -> str:
    """Why a file is not run; empty if it is."""
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    tensors = [*model.graph.initializer, *(a.t for a in attributes), *(tensor for a in attributes for tensor in a.tensors)]
    if foreign := {opset.domain for opset in model.opset_import} - {"", "ai.onnx"}:
        return f"needs operations of {min(foreign)[:100]!a}"
    if any(tensor.data_location or tensor.external_data for tensor in tensors):
        return "keeps numbers in another file"
    if model.graph.sparse_initializer or any(a.HasField("sparse_tensor") or a.sparse_tensors for a in attributes):
        return "holds sparse tensors"
    if model.functions or model.training_info or any(a.HasField("g") or a.graphs for a in attributes):
        return "holds functions or control flow"
    return ""


def _first_line(error: BaseException) -> str:
    text = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return text.encode("unicode_escape").decode("ascii")[:200].rstrip(".")
