"""The generator as a graph of PyTorch's own operations, from which both formats are made."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

from gancli.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn
    from torch.export import ExportedProgram

    from gancli.plugin import TrainedGenerator

KEY = "gancli"  # where the metadata of a file hold those of gancli


def inference(generator: TrainedGenerator) -> nn.Module:
    """What is traced: the generator; of a translator, ``sources -> images``."""
    from torch import nn

    class Translator(nn.Module):
        """G(0, sources)."""

        def __init__(self, generator: nn.Module, latent_dim: int) -> None:
            super().__init__()
            self.generator, self.latent_dim = generator, latent_dim

        def forward(self, sources: Tensor) -> Tensor:
            images: Tensor = self.generator(sources.new_zeros(sources.shape[0], self.latent_dim), sources)
            return images

    return Translator(generator.network, generator.latent_dim).eval() if generator.image.source else generator.network


def trace(generator: TrainedGenerator, network: nn.Module | None = None, *, uneven: bool = False) -> ExportedProgram:
    """The graph of ``(z (n, latent_dim) [, labels (n,)]) -> images (n, c, h, w)``, for every n.

    That of a translator is for source images ``(n, c, h, w)`` of every size, as far as the network allows.

    A ``network`` is traced instead of :func:`inference`, with the same inputs. With ``uneven`` a translator is traced at sides
    that are no multiples of anything, where it pads: PyTorch then runs the graph at such sides only, but other programs at all.

    Raises:
        ExportError: the network decides by its numbers what to do next, or cannot be traced for another reason.
    """
    import torch

    network = network or inference(generator)
    batch = torch.export.Dim("batch")
    inputs = [torch.zeros(2, generator.latent_dim)]
    if generator.image.classes:
        inputs.append(torch.zeros(2, dtype=torch.int64))
    shapes: list[dict[int, Any]] = [{0: batch} for _ in inputs]
    if source := generator.image.source:
        sides = _other_sides(network, source, uneven=uneven)
        inputs = [torch.zeros(2, source[0], *sides)]
        if sides != source[1:]:
            shapes = [{0: batch, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}]
    try:
        with quietly(), torch.no_grad():
            program = torch.export.export(network, tuple(inputs), dynamic_shapes=tuple(shapes), strict=False)
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
