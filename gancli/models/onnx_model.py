"""A generator in an ONNX file, run by ONNX Runtime. PyTorch is not imported: drawing starts in a fraction of the time.

The file may be anybody's. Only what ``gancli export`` writes is run: operations of the standard's own domain, numbers that
lie in the file itself, no functions and no control flow; other libraries of operations are never loaded. What the file says
about itself is bounded and checked like the facts of a checkpoint (:mod:`gancli.checkpoint.provenance`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gancli.checkpoint.provenance import KEY, Origin, Provenance, read_file, stored_provenance
from gancli.errors import CheckpointError, UsageError
from gancli.models.sampler import TRANSLATED, Sampler
from gancli.plugin import ImageSpec
from gancli.plugins.installation import require
from gancli.randomness.latents import latents
from gancli.text import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import ModelProto

    from gancli.images import Images as Given

__all__ = ["IMAGES", "LABELS", "LATENTS", "SOURCES", "OnnxModel", "import_onnxruntime", "load_onnx", "onnx_from_bytes"]

LATENTS, LABELS, SOURCES, IMAGES = "z", "labels", "sources", "images"
"""Names of the inputs and of the output. A model that translates images has ``sources`` for its only input."""

_FOREIGN = "Give one that `gancli export` wrote."
_STANDARD = frozenset(("", "ai.onnx"))
_SILENT = 4
"""ONNX Runtime's own log; what matters comes as an exception."""

_TYPES = {"tensor(float)", "tensor(uint8)"}


class OnnxModel(Sampler["NDArray[np.float32]"]):
    """A generator that ONNX Runtime runs on the CPU. Made by :func:`load_onnx`.

    Raises:
        CheckpointError: ONNX Runtime refuses it, or it is another function than its facts say.
    """

    def __init__(self, data: bytes, facts: Provenance, origin: Origin) -> None:
        self.latent_dim = facts.latent_dim
        size = facts.image.channels, facts.image.height, facts.image.width
        self.image = ImageSpec(*size, len(facts.classes), facts.source, facts.paired)
        self.class_names = tuple(facts.classes)
        self.origin = origin
        self._session = _session(data, origin.checkpoint)
        self._check_signature()

    def draw(self, z: NDArray[np.float32], labels: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Pictures of given latents ``(n, latent_dim)`` [, labels ``(n,)``]: float32 ``(n, c, h, w)``.

        Where the file holds bytes for other programs (``--uint8``), they are mapped back to [-1, 1].
        """
        return self._run({LATENTS: z} if labels is None else {LATENTS: z, LABELS: labels}, self.image.shape)

    def translate(self, sources: Given, *, batch_size: int = TRANSLATED) -> NDArray[np.float32]:
        """See :meth:`gancli.models.sampler.Sampler.translate`; images are of a size that the file takes.

        Raises:
            UsageError: the model does not translate images, or not of this shape.
        """
        images = np.asarray(sources, dtype=np.float32)
        self.refuse_sources(images.shape)
        (there,) = self._session.get_inputs()
        if any(isinstance(side, int) and side != given for side, given in zip(there.shape[2:], images.shape[2:], strict=True)):
            height, width = there.shape[2:]
            size = f"{images.shape[2]}x{images.shape[3]}"
            raise UsageError(f"'{self.origin.checkpoint}' translates images of {height}x{width}, not {size}.", "Resize them.")
        parts = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        return np.concatenate([self._run({SOURCES: part}, (self.image.channels, *part.shape[2:])) for part in parts])

    def _run(self, inputs: dict[str, NDArray[Any]], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """What the file makes of its inputs: images of this shape ``(c, h, w)``."""
        try:
            (images,) = self._session.run([IMAGES], inputs)
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise self._refusal(f"cannot be run: {first_line(error)}") from error
        if images.dtype == np.uint8:
            images = images[:, : shape[0]].astype(np.float32) / np.float32(127.5) - np.float32(1)
        expected = (len(next(iter(inputs.values()))), *shape)
        if images.shape != expected:
            raise self._refusal(f"drew {images.shape} instead of {expected}")
        return np.asarray(images, dtype=np.float32)

    def cannot_truncate(self) -> str:
        """Truncation needs PyTorch, and an .onnx file is run without it."""
        return "an .onnx file is run without PyTorch, which truncation needs"

    def _drawn(
        self,
        seeds: Sequence[int],
        classes: Sequence[int] | None,
        batch_size: int,
        truncation: float | None,  # noqa: ARG002  (refused before)
    ) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(seeds), batch_size):
            chosen = None if classes is None else np.asarray(classes[start : start + batch_size], dtype=np.int64)
            yield self.draw(latents(seeds[start : start + batch_size], self.latent_dim), chosen)

    def _check_signature(self) -> None:
        there = {one.name: (one.type, one.shape[1:]) for one in self._session.get_inputs()}
        wanted: dict[str, tuple[str, list[int | str]]] = {LATENTS: ("tensor(float)", [self.latent_dim])}
        if self.image.classes:
            wanted[LABELS] = ("tensor(int64)", [])
        if source := self.image.source:
            sides = there.get(SOURCES, ("", list(source)))[1][1:]
            own = [side if isinstance(side, str) else fixed for side, fixed in zip(sides, source[1:], strict=False)]
            wanted = {SOURCES: ("tensor(float)", [source[0], *own])}
        if there != wanted:
            raise self._refusal(f"takes {there} instead of {wanted}")
        outputs = self._session.get_outputs()
        if [one.name for one in outputs] != [IMAGES] or outputs[0].type not in _TYPES:
            raise self._refusal(f"gives {[(one.name, one.type) for one in outputs]} instead of '{IMAGES}' as float or uint8")

    def _refusal(self, problem: str) -> CheckpointError:
        return CheckpointError(f"'{self.origin.checkpoint}' {problem}.", _FOREIGN)


def load_onnx(path: Path) -> OnnxModel:
    """The generator in a file that ``gancli export`` wrote.

    Raises:
        RunError: there is no such file.
        PluginError: ONNX Runtime is not installed.
        CheckpointError: it is corrupt, foreign or unsafe.
    """
    data = read_file(path)  # first: a missing file is no reason to install anything
    require("onnx", "onnx", "onnxruntime")
    return onnx_from_bytes(data, path)


def onnx_from_bytes(data: bytes, path: Path) -> OnnxModel:
    """The same of the content of a file; ``path`` is its name in messages."""
    from hashlib import sha256

    facts = _checked_facts(data, path)
    origin = Origin(
        run=facts.run or path.stem,
        checkpoint=path,
        step=facts.step,
        digest=facts.digest or sha256(data).hexdigest(),
        weights=facts.weights or "ema",
        provenance=facts,
    )
    return OnnxModel(data, facts, origin)


def _checked_facts(data: bytes, path: Path) -> Provenance:
    """What a file says about its model, after everything in it that could reach beyond it was refused."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise CheckpointError(f"'{path}' is not an ONNX file.", _FOREIGN) from error
    if reason := _unsafe(model):
        raise CheckpointError(f"'{path}' {reason}.", _FOREIGN)
    return stored_provenance(next((entry.value for entry in model.metadata_props if entry.key == KEY), None), path)


def _unsafe(model: ModelProto) -> str:
    """Why a file is not run; empty if it is."""
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    tensors = [*model.graph.initializer, *(a.t for a in attributes), *(tensor for a in attributes for tensor in a.tensors)]
    if foreign := {opset.domain for opset in model.opset_import} - _STANDARD:
        return f"needs operations of {min(foreign)[:100]!a}"
    if any(tensor.data_location or tensor.external_data for tensor in tensors):
        return "keeps numbers in another file"
    if model.graph.sparse_initializer or any(a.HasField("sparse_tensor") or a.sparse_tensors for a in attributes):
        return "holds sparse tensors"
    if model.functions or model.training_info or any(a.HasField("g") or a.graphs for a in attributes):
        return "holds functions or control flow"
    return ""


def import_onnxruntime() -> Any:  # noqa: ANN401  (onnxruntime has no types)
    """The module ``onnxruntime``, without its telemetry.

    Without the variable its import writes a lasting device id under HOME and looks up a host of Microsoft's.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def _session(data: bytes, path: Path) -> Any:  # noqa: ANN401  (onnxruntime has no types)
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise CheckpointError(f"'{path}' is refused by ONNX Runtime: {first_line(error)}.", _FOREIGN) from error
