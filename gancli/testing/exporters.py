"""Checks of an exporter: what it writes is read again and draws the same, without and with classes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gancli.errors import ExportError
from gancli.exporting.formats import Format
from gancli.gan.architectures.dense import Dense, DenseConfig
from gancli.plugin import Exporter, ImageSpec, TrainedGenerator
from gancli.plugins.installation import require
from gancli.plugins.registry import ARCHITECTURES, EXPORTERS
from gancli.randomness.latents import latents
from gancli.testing.checks import Check, Rules, fail
from gancli.testing.description import IDENTITY, OPTIONS
from gancli.testing.subject import CLASSES, LATENT_DIM, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gancli.plugin import ArchConfig

__all__ = ["EXPORTER_CHECKS", "ExporterSubject"]


class ExporterSubject(Subject[Exporter[Any]]):
    """An exporter."""

    registry = EXPORTERS
    section = "export"

    @property
    def options_model(self) -> type[ArchConfig]:
        """Its ``Options``."""
        return self.plugin.Options

    def formats(self) -> Iterator[tuple[Format, TrainedGenerator]]:
        """The exporter with its options, and a small dense generator without and with classes."""
        require(self.plugin.extra, *self.plugin.packages)
        for classes in (0, CLASSES):
            yield Format(self.name, self.plugin(), self.config), _generator(classes)


def _generator(classes: int) -> TrainedGenerator:
    config, image = DenseConfig(generator_widths=(16,)), ImageSpec(1, 8, 8, classes)
    entry, names = ARCHITECTURES.find("gancli/dense"), tuple(map(str, range(classes)))
    options = config.model_dump(mode="json")
    metadata = {
        "arch": {"name": entry.name, "distribution": entry.distribution, "version": entry.version, "options": options},
        "image": {"channels": 1, "height": 8, "width": 8},
        "classes": list(names),
        "latent_dim": LATENT_DIM,
        "dataset": {"name": "none"},
        "gancli": entry.version,
        "run": "check",
        "step": 1,
        "weights": "ema",
        "digest": "0" * 64,
    }
    network = Dense().build(config, image, LATENT_DIM).generator.eval().requires_grad_(requires_grad=False)
    return TrainedGenerator(network, LATENT_DIM, image, names, metadata)


RULES = Rules[ExporterSubject]()


@RULES.add(
    "same-images",
    "What is exported is loaded again and generates what the generator generates, for any number of images and every class",
    why="An export that differs is refused when users make it.",
    fix="Take labels where the image has classes, any batch size, and float32; state a `tolerance` if weights are rounded.",
    needs=("complete",),
)
def _generates_the_same(subject: ExporterSubject) -> None:
    for form, generator in subject.formats():
        with TemporaryDirectory() as folder:
            try:
                form.write(generator, Path(folder) / "export")
            except ExportError as error:
                raise fail(f"With {generator.image.classes} classes: {error.problem}") from error


@RULES.add(
    "reads-the-file",
    "What is loaded comes from the file, not from the generator",
    why="Else nothing is compared, and a broken file would not be noticed.",
    fix="Use of the generator in load() what a file does not say, such as its image and classes, and never its weights.",
    needs=("same-images",),
)
def _reads_its_file(subject: ExporterSubject) -> None:
    for form, generator in subject.formats():
        with TemporaryDirectory() as folder:
            form.write(generator, Path(folder) / "export")
            other = deepcopy(generator.network)
            for parameter in other.parameters():
                torch.nn.init.zeros_(parameter)
            draw = form.exporter.load(Path(folder) / "export", replace(generator, network=other))
            z = latents(range(5), LATENT_DIM)
            labels = np.arange(5) % CLASSES if generator.image.classes else None
            if not np.abs(draw(z, labels) - generator.draw(z, labels)).max() <= form.tolerance:
                raise fail("load() generates with the weights of the generator that it is given.")


EXPORTER_CHECKS: tuple[Check[ExporterSubject], ...] = (*IDENTITY, *OPTIONS, *RULES)
"""Every check of an exporter; each comes after those that it needs."""
