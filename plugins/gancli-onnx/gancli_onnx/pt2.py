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
from gancli_onnx.tracing import KEY, quietly, trace

if TYPE_CHECKING:
    from pathlib import Path


class Pt2(Exporter[ArchConfig]):
    """A traced graph. The metadata are in its extra file ``gancli.json``."""

    api = 2
    summary = "for PyTorch without gancli (torch.export.load)"
    translates = True

    def export(self, generator: TrainedGenerator, path: Path, options: ArchConfig) -> None:  # noqa: ARG002  (it has none)
        """Trace the network, and leave out its example inputs."""
        import torch

        program, buffer = trace(generator), io.BytesIO()
        program.example_inputs = None
        metadata = json.dumps(dict(generator.metadata), sort_keys=True)
        with quietly():
            torch.export.save(program, buffer, extra_files={f"{KEY}.json": metadata})
        path.write_bytes(buffer.getvalue())

    def load(self, path: Path, generator: TrainedGenerator) -> Draw:
        """The graph, run by PyTorch; that of a translator takes source images alone."""
        import torch

        with quietly():
            network = torch.export.load(io.BytesIO(path.read_bytes())).module()
        return replace(generator, network=network, image=replace(generator.image, source=None)).draw
