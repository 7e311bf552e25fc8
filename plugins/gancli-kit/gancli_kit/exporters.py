"""Checks of an exporter: what it writes is read again and generates the same, without and with classes."""

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
from gancli.plugin import Exporter, ImageSpec
from gancli.plugins.installation import require_packages
from gancli.plugins.registry import EXPORTERS
from gancli.randomness.latents import latents
from gancli_kit.checks import Check, Rules, fail
from gancli_kit.description import IDENTITY, LOADING, OPTIONS
from gancli_kit.subject import CLASSES, LATENT_DIM, Case, Subject

if TYPE_CHECKING:
    from gancli.plugin import ArchConfig


class ExporterSubject(Subject[Exporter[Any]]):
    """An exporter."""

    registry = EXPORTERS
    section = "export"

    @property
    def options_model(self) -> type[ArchConfig]:
        """Its ``Options``."""
        return self.plugin.Options


RULES = Rules()


@RULES.check(needs="complete")
def same_images(subject: ExporterSubject) -> None:
    """The file that is exported generates the same, for any number of images and every class
    Why: An export that differs is refused when users make it; what is not read from the file is not compared.
    Fix: Take labels where the image has classes, any batch size, and float32; state a `tolerance` if weights are rounded. Use
    of the generator in load() what a file does not say, such as its image and classes, and never its weights.
    """
    require_packages(subject.entry.distribution, *subject.plugin.packages)
    form = Format(subject.name, subject.plugin(), subject.config)
    for classes in (0, CLASSES):
        case = Case(Dense(), DenseConfig(generator_widths=(16,)), ImageSpec(1, 8, 8, classes))
        with TemporaryDirectory() as folder:
            path, generator = Path(folder) / "export", case.trained_generator("gancli/dense")
            try:
                form.write(generator, path)
            except ExportError as error:
                raise fail(f"With {classes} classes: {error.problem}") from error
            other = deepcopy(generator.network)
            for parameter in other.parameters():
                torch.nn.init.zeros_(parameter)
            draw = form.exporter.load(path, replace(generator, network=other))
            z, labels = latents(range(5), LATENT_DIM), np.arange(5) % CLASSES if classes else None
            if not np.abs(draw(z, labels) - generator.draw(z, labels)).max() <= form.tolerance:
                raise fail("load() generates with the weights of the generator that it is given.")


EXPORTER_CHECKS: tuple[Check, ...] = (*LOADING, *IDENTITY, *OPTIONS, *RULES)
"""Every check of an exporter; each comes after those that it needs."""
