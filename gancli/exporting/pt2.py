"""``.pt2``: the generator as a graph of PyTorch's own operations. ``torch.export.load(path).module()`` draws, without gancli.

A ``.pt2`` is a ZIP archive of JSON and raw numbers, and of one pickle: the example inputs of the trace. PyTorch does without
them, so they are left out, and what is written holds no pickle at all. A foreign one may; that is why gancli never loads a
``.pt2`` but its own, fresh from the exporter, to compare it.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

from gancli.checkpoint.provenance import KEY
from gancli.errors import ExportError
from gancli.exporting.formats import PARITY
from gancli.plugin import ArchConfig, Draw, Exporter, TrainedGenerator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn
    from torch.export import ExportedProgram

__all__ = ["Pt2", "inference", "quietly", "trace"]

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

    def load(self, path: Path, generator: TrainedGenerator) -> Draw:  # noqa: ARG002  (the file says all)
        """The graph, run by PyTorch."""
        network = _load(path)[0].module()

        def draw(z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.float32]:
            import torch

            with torch.no_grad():
                inputs = (torch.from_numpy(x) for x in (z, labels) if x is not None)
                images: NDArray[np.float32] = network(*inputs).float().numpy()
            return images

        return draw

    def stamp(self, path: Path, difference: float) -> None:
        """Add the difference to the metadata."""
        program, metadata = _load(path)
        _save(program, path, json.dumps(json.loads(metadata) | {PARITY: difference}, sort_keys=True))


def inference(generator: TrainedGenerator) -> nn.Module:
    """What is traced: the generator; of a translator, ``sources -> images``."""
    from torch import nn

    class Translator(nn.Module):
        """G(0, sources)."""

        def __init__(self, generator: nn.Module, latent_dim: int) -> None:
            super().__init__()
            self.generator = generator
            self.latent_dim = latent_dim

        def forward(self, sources: Tensor) -> Tensor:
            images: Tensor = self.generator(sources.new_zeros(sources.shape[0], self.latent_dim), sources)
            return images

    return Translator(generator.network, generator.latent_dim).eval() if generator.image.source else generator.network


def trace(generator: TrainedGenerator, network: nn.Module | None = None, *, uneven: bool = False) -> ExportedProgram:
    """The graph of ``(z (n, latent_dim) [, labels (n,)]) -> images (n, c, h, w)``, for every n.

    That of a translator is for source images ``(n, c, h, w)`` of every size, as far as the network allows.

    Args:
        generator: what is exported.
        network: what is traced instead of :func:`inference`, with the same inputs.
        uneven: trace a translator at sides that are no multiples of anything, where it pads. PyTorch then runs
            the graph at such sides only, but other programs at all.

    Raises:
        ExportError: the network decides by its numbers what to do next, or cannot be traced for another reason.
    """
    import torch

    network = network or inference(generator)
    batch = torch.export.Dim("batch")
    inputs: tuple[torch.Tensor, ...] = (torch.zeros(2, generator.latent_dim),)
    if generator.image.classes:
        inputs = (*inputs, torch.zeros(2, dtype=torch.int64))
    shapes: list[dict[int, Any]] = [{0: batch} for _ in inputs]
    if source := generator.image.source:
        inputs = (torch.zeros(2, *source),)
        if (sides := _other_sides(network, source, uneven=uneven)) != source[1:]:
            inputs, shapes = (
                (torch.zeros(2, source[0], *sides),),
                [{0: batch, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}],
            )
    try:
        with quietly(), torch.no_grad():
            program = torch.export.export(network, inputs, dynamic_shapes=tuple(shapes), strict=False)
    except Exception as error:  # whatever the network or the tracer raises
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise ExportError(
            f"The generator cannot be traced: {reason}.",
            "Its operations have to be the same for all latents and any number of images; .safetensors needs no trace.",
        ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names the directories of this machine
    return program


def _other_sides(network: nn.Module, source: tuple[int, int, int], *, uneven: bool) -> tuple[int, int]:
    """Height and width, unlike each other, at which a translator is traced: its own if it translates no others."""
    import torch

    channels, height, width = source
    sides = (height + 3, width + 5) if uneven else (height, 2 * width)
    try:
        with torch.no_grad():
            size = network(torch.zeros(1, channels, *sides)).shape[2:]
    except RuntimeError:
        return height, width
    return sides if tuple(size) == sides else (height, width)


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
