"""The one way to write an export, whatever its format, which is a plugin (:class:`gancli.plugin.Exporter`).

Written to a scratch file -> loaded again -> compared with the generator -> moved into place: what is there is that generator.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gancli.checkpoint.provenance import Provenance
from gancli.config.schema import checked
from gancli.errors import CheckpointError, ExportError, UsageError, did_you_mean
from gancli.plugin import ArchConfig, Exporter, TrainedGenerator
from gancli.plugins.installation import require_packages
from gancli.plugins.registry import EXPORTERS
from gancli.randomness.latents import latents
from gancli.storage.disk import refuse_missing_parent, replacing
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from gancli.models.model import Model

_FIRST_SEED = 2**62  # far from the seeds that people use, and from whatever an exporter has seen
_BATCH_SIZES, _BATCH = (1, 2, 7), 64


@dataclass(frozen=True, slots=True)
class Format:
    """A chosen exporter, by the name of its entry point, with an instance of its ``Options``."""

    name: str
    exporter: Exporter[Any]
    options: ArchConfig

    @property
    def tolerance(self) -> float:
        """The largest difference to the generator that is allowed, in [-1, 1]."""
        return self.exporter.tolerance(self.options)

    def write(self, generator: TrainedGenerator, path: Path) -> float:
        """Write the generator to ``path`` and return the largest difference to it, in [-1, 1], read from the file again."""
        if generator.image.source and not self.exporter.translates:
            problem = f"The format .{self.name} has no form for a model that translates images."
            raise ExportError(problem, "Choose .safetensors; with gancli-page and gancli-onnx also .html, .onnx and .pt2.")
        self.exporter.export(generator, path, self.options)
        batches = list(_batches(generator))
        try:
            draw = self.exporter.load(path, generator)
            drawn = [draw(z, labels) for z, labels in batches]
        except CheckpointError as error:
            raise ExportError(f"The export cannot be loaded again: {error.problem}", "Report this.") from error
        expected = [generator.draw(z, labels) for z, labels in batches]
        for one, other in zip(drawn, expected, strict=True):
            if one.shape != other.shape:
                raise ExportError(f"The export draws {one.shape} instead of {other.shape}.", "Report this.")
        # as pixels, which are clamped: an export of bytes has nothing beyond [-1, 1], where a generator may go
        apart = [np.abs(one.clip(-1, 1) - other.clip(-1, 1)) for one, other in zip(drawn, expected, strict=True)]
        difference = float(np.max([np.max(each) for each in apart]))
        if not difference <= self.tolerance:  # which NaN is not
            raise ExportError(
                f"The export differs from the generator by up to {difference:.1e} (in [-1, 1]); at most "
                f"{self.tolerance:.1e} is allowed, and nothing was written.",
                "A generator that draws random numbers of its own cannot be exported. If yours does not, choose another "
                "format, and report this.",
            )
        return difference


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: its bytes, its largest difference to the generator in [-1, 1], and the one that is allowed."""

    path: Path
    size: int
    difference: float
    tolerance: float
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def choose(target: Path, name: str | None = None, options: Mapping[str, Any] | None = None) -> Format:
    """The format of a file, by the exporter's name or by the suffix of the file, which is the same.

    Raises:
        UsageError: there is no such format.
        ConfigError: it does not have an option, or a value is not allowed.
        PluginError: the plugin or a package that it needs is not installed.
    """
    suffix = target.suffix.lower().removeprefix(".")
    chosen = name.lower().removeprefix(".") if name else suffix
    known = EXPORTERS.names()
    if not chosen:
        folder = f"A folder to share: -o {target}/"
        raise UsageError(f"'{target}' has no suffix that names a format.", f"{did_you_mean('', known)} {folder}")
    entry = EXPORTERS.find(chosen)
    if suffix in known and suffix != entry.name.partition("-")[0]:
        raise UsageError(f"--format {name} and the name '{target}' contradict each other.", "Leave --format out, or rename.")
    exporter = EXPORTERS.load_entry(entry)()
    validated = checked("export", exporter.Options, options or {})
    require_packages(entry.distribution, *exporter.packages)
    return Format(entry.name, exporter, validated)


def export(model: Model, target: Path, form: Format, arch_file: str | None = None) -> Exported:
    """Write ``model`` to ``target``, or nothing at all. A file that was there is replaced.

    Raises:
        ExportError: it cannot be expressed in this format, or would not be the same generator.
        StorageError: it cannot be written.
    """
    refuse_missing_parent(target)
    with replacing(target) as scratch:
        difference = form.write(trained_generator(model, arch_file), scratch)
        size = sum(path.stat().st_size for path in (scratch, *scratch.rglob("*")) if path.is_file())
    return Exported(target, size, difference, form.tolerance)


def trained_generator(model: Model, arch_file: str | None = None) -> TrainedGenerator:
    """What an exporter gets; its metadata tell nothing about the machine and the run that the model was made on."""
    origin, known = model.origin, model.origin.provenance
    kept = ("arch", "image", "classes", "latent_dim", "dataset")
    optional = (name for name in ("parent", "source", "paired") if getattr(known, name))  # a document holds what was set
    shared = Provenance(
        **{name: getattr(known, name) for name in (*kept, *optional)},
        **{name: getattr(origin, name) for name in ("run", "step", "weights", "digest")},
        gancli=__version__,
    )
    network = model.generator if model.device.type == "cpu" else deepcopy(model.generator).cpu()
    return TrainedGenerator(network, model.latent_dim, model.image, model.class_names, shared.document(), arch_file)


def _batches(generator: TrainedGenerator) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64] | None]]:
    """At least 74 latents that nothing has seen before, and every class; of a translator, ten images of noise."""
    if source := generator.image.source:
        for size in _BATCH_SIZES:
            noise = latents(range(_FIRST_SEED, _FIRST_SEED + size), math.prod(source))
            yield (noise / 2).clip(-1, 1).reshape(size, *source), None
        return
    classes, start = generator.image.classes, 0
    for size in (*_BATCH_SIZES, *[_BATCH] * max(1, -(-classes // _BATCH))):
        order = np.arange(start, start + size, dtype=np.int64)
        seeds = range(_FIRST_SEED + start, _FIRST_SEED + start + size)
        yield latents(seeds, generator.latent_dim), order % classes if classes else None
        start += size
