"""A generator in an exported file, run by the plugin that wrote it. PyTorch is not imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gancli.checkpoint.provenance import Origin, read_file, stored_origin
from gancli.errors import CheckpointError
from gancli.models.sampler import TRANSLATED, Sampler
from gancli.models.stored import LOADABLE
from gancli.plugin import Draw, Exporter, ImageSpec
from gancli.plugins.installation import require_packages
from gancli.plugins.registry import EXPORTERS
from gancli.randomness.latents import latents

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gancli.images import Images as Given


class ExportedModel(Sampler["NDArray[np.float32]"]):
    """A generator that runs without PyTorch; a CheckpointError if it is another function than its metadata say."""

    def __init__(self, draw: Draw, origin: Origin) -> None:
        stated = origin.provenance
        size = stated.image.channels, stated.image.height, stated.image.width
        self.latent_dim = stated.latent_dim
        self.image = ImageSpec(*size, len(stated.classes), stated.source, stated.paired)
        self.class_names = tuple(stated.classes)
        self.origin = origin
        self._draw = draw
        if self.image.source is None:
            self.draw(latents([0], self.latent_dim), np.zeros(1, np.int64) if self.image.classes else None)

    def translate(self, sources: Given, *, batch_size: int = TRANSLATED) -> NDArray[np.float32]:
        """See :meth:`gancli.models.sampler.Sampler.translate`; images are of a size that the file takes."""
        images = np.asarray(sources, dtype=np.float32)
        self.refuse_sources(images.shape)
        parts = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        return np.concatenate([self.draw(part, None, (self.image.channels, *part.shape[2:])) for part in parts])

    def draw(
        self, z: NDArray[np.float32], labels: NDArray[np.int64] | None = None, shape: tuple[int, ...] | None = None
    ) -> NDArray[np.float32]:
        """Images of latents ``(n, latent_dim)`` [, labels ``(n,)``]: float32 ``(n, c, h, w)`` in [-1, 1]."""
        images, expected = self._draw(z, labels), (len(z), *(shape or self.image.shape))
        if images.shape != expected:
            path = self.origin.checkpoint
            raise CheckpointError(f"'{path}' gives {images.shape} instead of {expected}.", "Give one that gancli wrote.")
        return images

    def cannot_truncate(self) -> str:
        """Truncation needs PyTorch, and an export is run without it."""
        return "an export is run without PyTorch, which truncation needs"

    def _batch(
        self,
        seeds: Sequence[int],
        classes: Sequence[int] | None,
        truncation: float | None,  # noqa: ARG002  (refused before)
    ) -> NDArray[np.float32]:
        return self.draw(latents(seeds, self.latent_dim), None if classes is None else np.asarray(classes, dtype=np.int64))


def load_export(path: Path) -> ExportedModel:
    """The generator in a file that ``gancli export`` wrote.

    Raises:
        PluginError: the plugin that wrote it, or what that needs, is not installed.
        CheckpointError: it is corrupt, foreign or unsafe, or of a format that is not read again.
    """
    content = read_file(path)  # first: a missing file should not ask for an installation
    entry = EXPORTERS.find(path.suffix.lower().removeprefix("."))
    kind = EXPORTERS.load_entry(entry)
    if kind.open is Exporter.open:
        raise CheckpointError(f"'{path}' is not a file that a model is loaded from.", LOADABLE)
    require_packages(entry.distribution, *kind.packages)
    opened = kind().open(content, path)
    return ExportedModel(opened.draw, stored_origin(opened.metadata, content, path))
