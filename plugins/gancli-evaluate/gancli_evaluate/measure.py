"""From generated and real images to metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gancli import images
from gancli.data.paths import count
from gancli.errors import UsageError
from gancli.metrics.distances import Moments, frechet_distance
from gancli.metrics.extractors import SIZE, DigitExtractor, Reading, batches, read, reduced, some_of
from gancli.version import __version__
from gancli_evaluate import manifolds
from gancli_evaluate.distances import frechet_estimate, kernel_distance
from gancli_evaluate.estimate import Estimate, copying, histogram, mean, proportion
from gancli_evaluate.reference import MOST_REAL, MOST_TRAINING, Reference
from gancli_evaluate.report import Report
from gancli_evaluate.subject import Subject, refuse_other_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# images on either side, below which nothing can be said; and generated ones, below which the distance is biased by few
FEWEST, FEW = 10, 1000
COMPARED_BY_PIXELS = 1000  # generated and fresh images whose nearest training image is looked for pixel by pixel
LARGEST = 32  # pixels of the longer side at which images are compared pixel by pixel
SHOWN, NEIGHBOURS = 16, 10
CHUNK = 8192
SMALLEST_MSE = 1e-10


def evaluate(
    subject: Subject,
    reference: Reference,
    *,
    modes_only: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Report, bytes | None]:
    """Every metric that the extractor allows, and a PNG of the nearest training images; or, ``modes_only``, the classes.

    Raises:
        UsageError: there are too few images, they have another shape, or classes are asked of an extractor without any.
    """
    real, extractor = reference.real.images.images, reference.extractor
    refuse_other_shape(subject, tuple(real.shape[1:]), reference.real.name)
    for number, whose in ((subject.count, ""), (len(real), f" of the data set ({reference.against})")):
        if number < FEWEST:
            few = f"{count(number, 'image')}{whose} {'is' if number == 1 else 'are'} too few."
            raise UsageError(few, f"At least {FEWEST} are needed, and thousands are better.")
    if modes_only and not extractor.classes:
        raise UsageError(
            f"--modes needs an extractor that knows classes, and '{extractor.name}' knows none.",
            f"--extractor mnist knows digits: 1x{SIZE}x{SIZE}, or three as 3x{SIZE}x{SIZE}.",
        )

    def counted() -> Iterator[Tensor]:
        done = 0
        for batch in subject.draw():
            yield batch.to(reference.device)
            done += len(batch)
            progress(done, subject.count)

    fake = read(extractor, counted())
    if not bool(fake.features.isfinite().all()):
        raise UsageError(f"The images of {subject.title} are not finite.", "Choose another checkpoint.")
    metrics: dict[str, Estimate] = {}
    notes, png = [*reference.notes, *subject.notes], None
    if not modes_only:
        read_real = reference.reading(reference.real).features
        alike = min(len(fake), len(read_real))
        metrics = _between(reference, fake.features, read_real)
        metrics |= manifolds.compare(fake.features[:alike], some_of(read_real, alike))
        copied, png = _copies(subject, reference, fake)
        metrics = _beside_the_input(subject, reference, metrics | copied)
        notes += _bias_of_few(reference, len(fake))
    digits = len(str(extractor.classes - 1)) if isinstance(extractor, DigitExtractor) else 0
    names = tuple(f"{index:0{digits}}" for index in range(extractor.classes))
    if (asked := _asked_digits(subject, names)) is not None and fake.classes is not None:
        metrics["agreement"] = proportion(int((asked == fake.classes).sum()), subject.count)
    report = Report(
        subject=subject.title,
        facts=subject.facts,
        dataset=reference.real.name,
        against=reference.against,
        real_images=min(MOST_REAL, len(real)),
        extractor={"name": extractor.name, "digest": extractor.digest},
        images=subject.count,
        figures=metrics,
        class_names=names,
        histogram=None if fake.classes is None else histogram(fake.classes, reference.class_shares()),
        notes=tuple(notes),
    )
    return report, png


def _between(reference: Reference, fake: Tensor, real: Tensor) -> dict[str, Estimate]:
    """The Frechet and the kernel distance between features ``(n, d)`` and ``(m, d)``."""
    frechet, kernel = reference.extractor.distances
    return {
        frechet: frechet_estimate(fake, Moments.of([real])),
        kernel: kernel_distance(fake[:MOST_REAL], real, reference.extractor.gamma),
    }


def _bias_of_few(reference: Reference, n: int) -> tuple[str, ...]:
    """How far as many real images are from all of them, where the Frechet distance of few images says little else."""
    real = reference.reading(reference.real).features
    if n >= FEW or len(real) < 2 * n:
        return ()
    floor = frechet_distance(Moments.of([some_of(real, n)]), Moments.of([real]))
    name = reference.extractor.distances[0]
    return (f"{name} of only {count(n, 'image')} is biased upward: {n} real images score {floor:.3g}. Evaluate more.",)


def _copies(subject: Subject, reference: Reference, fake: Reading) -> tuple[dict[str, Estimate], bytes]:
    """How much nearer to the training images than held-out ones are, by features and by pixels."""
    training = some_of(reference.training.images.images, MOST_TRAINING)
    features = reference.reading(reference.training, MOST_TRAINING).features
    some: list[Tensor] = []
    for batch in subject.draw():
        some.append(batch.cpu())
        if sum(map(len, some)) >= COMPARED_BY_PIXELS:
            break
    compared = torch.cat(some)[:COMPARED_BY_PIXELS]
    by_pixels, pixel_index = pixel_neighbours(compared, training)
    by_features, feature_index = (found[:, 0] for found in manifolds.nearest(fake.features, features))
    png = nearest_sheet(compared, training, by_pixels, pixel_index[:, 0], feature_index[: len(compared)])
    if reference.held_out is None:
        return {}, png
    fresh = manifolds.nearest(reference.reading(reference.held_out).features, features)[0][:, 0]
    held_out = torch.cat(list(batches(some_of(reference.held_out.images.images, COMPARED_BY_PIXELS))))
    return {
        "copying in features": copying(by_features, fresh),
        "copying in pixels": copying(by_pixels[:, 0], pixel_neighbours(held_out, training)[0][:, 0]),
    }, png


def _asked_digits(subject: Subject, known: tuple[str, ...]) -> Tensor | None:
    """The extractor's class of the same name as the one that was requested of each image; None if one has no such name."""
    if subject.asked is None or not set(subject.class_names) <= set(known):
        return None
    return torch.tensor([known.index(name) for name in subject.class_names])[subject.asked]


def pixel_neighbours(generated: Tensor, training: Tensor) -> tuple[Tensor, Tensor]:
    """Root mean square differences, in [0, 2], to the 10 nearest training images, ascending, and their indices: ``(n, 10)``.

    The generated ones are float ``(n, c, h, w)`` in [-1, 1], the training images uint8 ``(m, c, h, w)``.
    """
    queries = reduced(generated, LARGEST).flatten(1)
    best, index = torch.empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.int64)
    for start in range(0, len(training), CHUNK):
        points = torch.cat([reduced(part, LARGEST).flatten(1) for part in batches(training[start : start + CHUNK])])
        distances, indices = manifolds.nearest(queries, points, min(NEIGHBOURS, len(points)))
        candidates, owners = torch.cat([best, distances], dim=1), torch.cat([index, indices + start], dim=1)
        best, chosen = candidates.topk(min(NEIGHBOURS, candidates.shape[1]), dim=1, largest=False)
        index = owners.gather(1, chosen)
    return best / queries.shape[1] ** 0.5, index


def nearest_sheet(generated: Tensor, training: Tensor, distances: Tensor, by_pixels: Tensor, by_features: Tensor) -> bytes:
    """PNG of the 16 likeliest copies, above the training images nearest to them in pixels and, below, in features.

    A likely copy is much nearer to one training image than to the next ones (Carlini et al., 2023): simple shapes, such as
    a 1, are near many. ``distances`` are those of :func:`pixel_neighbours`, the others the indices of the nearest, ``(n,)``.
    """
    chosen = (distances[:, 0] / distances.mean(1)).nan_to_num(0.0).argsort(stable=True)[:SHOWN]
    real = [training[indices[chosen]].permute(0, 2, 3, 1).numpy() for indices in (by_pixels, by_features)]
    canvas = images.grid(np.concatenate([images.to_bytes(generated[chosen]), *real]), len(chosen))
    return images.to_png(canvas, {"gancli": __version__})


def _beside_the_input(subject: Subject, reference: Reference, metrics: dict[str, Estimate]) -> dict[str, Estimate]:
    """The metrics of translations with those of their source images beside them.

    Added, in pairs, are means over images x in [-1, 1] and counterparts y: L1 |x - y|; PSNR 10 log10(4 / (x - y)^2),
    in decibels; and SSIM (Wang et al., 2004), by torchmetrics.
    """
    real = reference.real.images
    if "translations" not in subject.facts or real.sources is None or real.sources.shape[1] != real.images.shape[1]:
        return metrics
    sources = real.sources[: subject.count]
    unchanged = read(reference.extractor, batches(sources, reference.device)).features
    baseline = _between(reference, unchanged, reference.reading(reference.real).features)
    if real.paired:
        counterparts = list(batches(real.images[: subject.count]))
        metrics = metrics | _differences(subject.draw(), counterparts)
        baseline |= _differences(batches(sources), counterparts)
    beside = {}
    for name, value in metrics.items():
        beside[name] = value
        if name in baseline:
            beside[f"{name} of the input"] = baseline[name]
    return beside


def _differences(images: Iterable[Tensor], counterparts: list[Tensor]) -> dict[str, Estimate]:
    from torchmetrics.functional.image import structural_similarity_index_measure

    found: dict[str, list[Tensor]] = {"L1": [], "PSNR": [], "SSIM": []}
    for one, other in zip(images, counterparts, strict=True):
        difference = (one - other).flatten(1)
        found["L1"].append(difference.abs().mean(1))
        found["PSNR"].append(10 * torch.log10(4 / difference.square().mean(1).clamp(min=SMALLEST_MSE)))
        ssim = structural_similarity_index_measure(one, other, data_range=2.0, reduction="none")
        assert isinstance(ssim, torch.Tensor)  # noqa: S101  (the whole image of it was not asked for)
        found["SSIM"].append(ssim.reshape(-1))
    return {name: mean(torch.cat(values)) for name, values in found.items()}
