"""Latents in a file, and a model whose seeds are the rows of that file.

An ``.npz`` holds ``z (n, latent_dim)``, or ``w (n, d)`` of a generator with a mapping network; of a conditional model also
``labels (n,)``. ``gancli project`` writes one; ``numpy.savez("mine.npz", z=z)`` makes another.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gancli.checkpoint.provenance import read_file
from gancli.errors import UsageError
from gancli.models.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BYTES = 2**28  # of a file of latents, and of each array in it
FOREIGN = "These latents were found with other weights than those of this model."


@dataclass(frozen=True, slots=True)
class Latents:
    """Points ``(n, d)`` of a model's latent space, w or else z, and the class of each, or None.

    ``digest`` is the SHA-256 of the weights for which they were found; empty if the file does not say. ``made_from`` is what
    the metadata of their images say instead of seeds.
    """

    points: Tensor
    labels: list[int] | None = None
    digest: str = ""
    made_from: Mapping[str, object] = field(default_factory=dict)


class ModelAtLatents(Model):
    """The same model with latents of one's own: seed i stands for row i of them."""

    def __init__(self, model: Model, latents: Latents) -> None:
        origin = model.origin
        if latents.digest not in {"", origin.digest}:
            origin = replace(origin, notes=(*origin.notes, FOREIGN))
        super().__init__(model.generator, model.latent_dim, model.image, model.class_names, origin)
        self.model = model
        self.latents, self.made_from = latents, latents.made_from

    def cannot_truncate(self) -> str:
        """Latents of one's own are used as they are."""
        return "its latents are given and used as they are"

    def points(self, seeds: Sequence[int], labels: Sequence[int] | None = None, truncation: float | None = None) -> Tensor:  # noqa: ARG002  (those of a model)
        """The rows of these numbers; a UsageError if there are fewer."""
        if max(seeds) >= len(self.latents.points):
            raise UsageError(f"There are {len(self.latents.points)} latents, and no row {max(seeds)}.", "Rows count from 0.")
        return self.latents.points[list(seeds)]

    chosen_latents = points

    def classes(self, n: int, labels: Sequence[int] | None = None) -> Sequence[int] | None:
        """The class of each of n images; by default that of the latents, row by row."""
        own = self.latents.labels
        return super().classes(n, own[:n] if labels is None and own is not None and n <= len(own) else labels)


def read_latents(path: Path, model: Model) -> Latents:
    """The latents in a file, for this model; a UsageError if it does not hold latents of this model."""
    space = "w" if model.two_stage else "z"
    try:
        with zipfile.ZipFile(io.BytesIO(read_file(path))) as archive:
            if max((member.file_size for member in archive.infolist()), default=0) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES:,} bytes")  # noqa: TRY301  (one of several ways to be damaged)
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            found: dict[str, NDArray[np.float64]] = {}
            for name in names & {"z", "w", "labels", "model"}:
                with archive.open(f"{name}.npy") as file:
                    found[name] = np.lib.format.read_array(file, allow_pickle=False)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, MemoryError, NotImplementedError, RuntimeError) as error:
        raise UsageError(f"'{path}' is not a file of latents: {error}.", "Give one that `gancli project` wrote.") from error
    width = model.points([0], model.classes(1)).shape[1]
    if space not in found:
        listed = ", ".join(sorted(names)[:5]) or "nothing"
        raise UsageError(f"'{path}' holds {listed}, not {space}.", f"This model needs {space}, of {width} dimensions.")
    given = found[space]
    points = given.reshape(len(given), -1) if given.size and given.ndim > 1 else given
    if points.ndim != 2 or points.shape[1] != width or not len(points) or points.dtype.kind != "f":  # noqa: PLR2004  (a number of pixels or dimensions)
        problem = f"'{path}' holds {space} of shape {given.shape}, {given.dtype}."
        raise UsageError(problem, f"This model needs float32 (n, {width}).")
    if not np.isfinite(points).all():
        raise UsageError(f"'{path}' holds numbers that are not finite.", "Write it again.")
    labels = None
    if model.image.classes:
        own = found["labels"] if "labels" in found else np.arange(len(points)) % model.image.classes
        if own.shape != (len(points),) or own.dtype.kind not in "iu":
            raise UsageError(f"'{path}' holds labels of shape {own.shape}, {own.dtype}.", "Give int64, one per latent.")
        labels = list(model.classes(len(points), own.tolist()) or ())
    digest = str(found["model"]) if "model" in found else ""
    return Latents(torch.from_numpy(points.astype(np.float32)), labels, digest, {"latents": path.name})


def style_mixing(
    model: Model,
    seeds: Sequence[int],
    style_seeds: Sequence[int],
    first_layer: int | None = None,
    *,
    labels: Sequence[int] | None = None,
    truncation: float | None = None,
) -> Latents:
    """Style mixing: w of ``seeds`` in the coarse layers, of ``style_seeds`` from ``first_layer`` on (Karras et al., 2019).

    All seeds meet all style seeds, row by row; ``labels``: the class of each row. By default half of the layers are fine.

    Raises:
        UsageError: the generator has no styles, or no such layer.
    """
    generator = model.styled
    if generator is None:
        problem = "This model cannot mix styles: its generator takes no w per layer."
        raise UsageError(problem, "Train a style-based architecture, such as --arch style, or leave --style-seeds out.")
    layers = generator.layers
    first = layers // 2 if first_layer is None else first_layer
    if not 1 <= first < layers:
        problem = f"--style-from {first} is out of range."
        raise UsageError(problem, f"This generator has {layers} layers: give 1 to {layers - 1}.")
    rows = model.classes(len(seeds), labels)

    def every_layer(seeds: Sequence[int], classes: Sequence[int] | None) -> Tensor:
        w = model.points(seeds, classes, truncation).reshape(len(seeds), -1, len(generator.mean_w))
        return w.expand(-1, layers, -1)

    mixed = []
    for row, seed in enumerate(seeds):
        own = None if rows is None else [rows[row]]
        coarse = every_layer([seed], own).expand(len(style_seeds), -1, -1)
        fine = every_layer(style_seeds, None if own is None else own * len(style_seeds))
        mixed.append(torch.cat([coarse[:, :first], fine[:, first:]], 1).flatten(1))
    own = None if rows is None else [label for label in rows for _ in style_seeds]
    made_from = {"coarse_seeds": list(seeds), "style_seeds": list(style_seeds), "style_from": first}
    return Latents(torch.cat(mixed), own, made_from=made_from)
