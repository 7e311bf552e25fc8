"""``.pt2``: the generator as a graph of PyTorch's own operations. ``torch.export.load(path).module()`` runs it without gancli.

A ``.pt2`` is a ZIP archive of JSON and raw numbers, and of one pickle: the example inputs of the trace. PyTorch does without
them, so they are left out, and what is written holds no pickle at all. A foreign one may; that is why gancli never loads a
``.pt2`` but its own, fresh from the exporter, to compare it.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from gancli.plugin import ArchConfig, Draw, Exporter, TrainedGenerator
from gancli_onnx.tracing import KEY, PARITY, quietly, trace

if TYPE_CHECKING:
    from pathlib import Path

    from torch.export import ExportedProgram

__all__ = ["Pt2"]

_METADATA = f"{KEY}.json"


class Pt2(Exporter[ArchConfig]):
    """A traced graph. The metadata are in its extra file ``gancli.json``."""

    api = 2
    summary = "for PyTorch without gancli (torch.export.load)"
    translates = True

    def export(self, generator: TrainedGenerator, path: Path, options: ArchConfig) -> None:  # noqa: ARG002  (it has none)
        """Trace the network, and leave out its example inputs."""
        program = trace(generator)
        program.example_inputs = None
        _save(program, path, json.dumps(dict(generator.metadata), sort_keys=True))

    def load(self, path: Path, generator: TrainedGenerator) -> Draw:
        """The graph, run by PyTorch; that of a translator takes source images alone."""
        return replace(generator, network=_load(path)[0].module(), image=replace(generator.image, source=None)).draw

    def stamp(self, path: Path, difference: float) -> None:
        """Add the difference to the metadata."""
        program, metadata = _load(path)
        _save(program, path, json.dumps(json.loads(metadata) | {PARITY: difference}, sort_keys=True))


def _save(program: ExportedProgram, path: Path, metadata: str) -> None:
    import torch

    buffer = io.BytesIO()
    with quietly():
        torch.export.save(program, buffer, extra_files={_METADATA: metadata})
    path.write_bytes(buffer.getvalue())


def _load(path: Path) -> tuple[ExportedProgram, str]:
    import torch

    extra = {_METADATA: ""}
    with quietly():
        program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=extra)
    return program, extra[_METADATA]
