"""Translations measured: how far they are from the target images, and from their counterparts, beside the untouched input."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch

from gancli.data.batches import normalise
from gancli.errors import DatasetError, PluginError, UsageError
from gancli.evaluation.reference import MOST_REAL, data_of
from gancli.evaluation.subject import Subject, run_of
from gancli.images import to_bytes
from gancli.metrics.distances import frechet_estimate, kernel_distance
from gancli.metrics.estimate import mean
from gancli.metrics.extractor import batches, read
from gancli.metrics.moments import Moments
from gancli.plugins.installation import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from gancli.config.schema import DataConfig
    from gancli.evaluation.reference import Reference
    from gancli.images import Images
    from gancli.metrics.estimate import Estimate
    from gancli.models.sampler import Sampler

__all__ = ["beside_the_input", "data_of_translator", "of_translator", "refuse_options"]

BATCH_PIXELS = 2**18
SMALLEST_MSE = 1e-10
INPUT = "of the input"


def data_of_translator(model: Sampler[Images]) -> DataConfig:
    """The data sets that a translator was trained on, read in its size and channels."""
    image, data = model.image, data_of(model.origin.provenance)
    update: dict[str, object] = {"image_size": f"{image.height}x{image.width}"}
    if image.source and image.source[0] == image.channels:
        update["channels"] = image.channels
    return data.model_copy(update=update)


def of_translator(model: Sampler[Images], reference: Reference, n: int | None = None) -> Subject:
    """The translations of the first ``n`` source images of the reference, by default of all.

    Raises:
        DatasetError: the reference has no source images of the model's shape.
    """
    sources, origin = reference.real.images.sources, model.origin
    if sources is None or tuple(sources.shape[1:]) != model.image.source:
        raise DatasetError(
            f"'{reference.real.name}' has no source images that the model of '{origin.run}' translates.",
            "Restore the data sets that it was trained on.",
        )
    chosen = sources[:n]
    size = max(1, BATCH_PIXELS // (chosen.shape[2] * chosen.shape[3]))

    @cache
    def translated() -> Tensor:
        """In 8 bits, as `gancli translate` writes them."""
        parts = (to_bytes(model.translate(normalise(part), batch_size=size)) for part in torch.split(chosen, size))
        return torch.cat([torch.from_numpy(part).permute(0, 3, 1, 2) for part in parts])

    def draw() -> Iterator[Tensor]:
        yield from batches(translated())

    return Subject(
        title=f"{origin.run}, step {origin.step:,}, {origin.weights} weights",
        shape=model.image.shape,
        count=len(chosen),
        draw=draw,
        asked=None,
        facts={
            "run": origin.run,
            "step": origin.step,
            "weights": origin.weights,
            "digest": origin.digest,
            "translations": len(chosen),
        },
        run=run_of(origin.checkpoint),
    )


def beside_the_input(
    subject: Subject, reference: Reference, figures: dict[str, Estimate]
) -> tuple[dict[str, Estimate], tuple[str, ...]]:
    """The figures of translations with those of their untouched source images beside them, and notes.

    Added, in pairs, are means over images x in [-1, 1] and counterparts y: L1 |x - y|; PSNR 10 log10(4 / (x - y)^2),
    in decibels; and SSIM (Wang et al., 2004), by torchmetrics.
    """
    real, extractor = reference.real.images, reference.extractor
    if "translations" not in subject.facts or real.sources is None or real.sources.shape[1] != real.images.shape[1]:
        return figures, ()
    device = next(extractor.parameters()).device
    sources = real.sources[: subject.count]
    untouched = read(extractor, batches(sources, device)).features
    targets = reference.reading(reference.real).features
    frechet, kernel = extractor.distances
    baseline = {
        frechet: frechet_estimate(untouched, Moments.of([targets])),
        kernel: kernel_distance(untouched[:MOST_REAL], targets, extractor.gamma),
    }
    notes: tuple[str, ...] = ()
    if real.paired:
        counterparts = list(batches(real.images[: subject.count]))
        try:
            require("ssim", "torchmetrics")
            with_ssim = True
        except PluginError as error:
            with_ssim, notes = False, (f"SSIM is left out. {error}",)
        figures = {**figures, **_differences(subject.draw(), counterparts, with_ssim=with_ssim)}
        baseline |= _differences(batches(sources), counterparts, with_ssim=with_ssim)
    beside: dict[str, Estimate] = {}
    for name, value in figures.items():
        beside[name] = value
        if name in baseline:
            beside[f"{name} {INPUT}"] = baseline[name]
    return beside, notes


def _differences(images: Iterator[Tensor], counterparts: list[Tensor], *, with_ssim: bool) -> dict[str, Estimate]:
    found: dict[str, list[Tensor]] = {"L1": [], "PSNR": []}
    for one, other in zip(images, counterparts, strict=True):
        difference = (one - other).flatten(1)
        found["L1"].append(difference.abs().mean(1))
        found["PSNR"].append(10 * torch.log10(4 / difference.square().mean(1).clamp(min=SMALLEST_MSE)))
        if with_ssim:
            from torchmetrics.functional.image import structural_similarity_index_measure

            ssim = structural_similarity_index_measure(one, other, data_range=2.0, reduction="none")
            assert isinstance(ssim, torch.Tensor)  # noqa: S101  (the whole image of it was not asked for)
            found.setdefault("SSIM", []).append(ssim.reshape(-1))
    return {name: mean(torch.cat(values)) for name, values in found.items()}


def refuse_options(model: Sampler[Images], dataset: str | None, seed: int | None) -> None:
    """A translator is measured on source images, and those of its own data.

    Raises:
        UsageError: a seed or another data set is given.
    """
    given = f"--seed {seed}" if seed is not None else f"--dataset {dataset}" if dataset is not None else ""
    if given:
        raise UsageError(
            f"{given} means nothing for '{model.origin.run}', which translates images: those of its own data are.",
            "Leave it out; --against chooses the split.",
        )
