"""From pictures and real pictures to figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gancli.data.paths import count
from gancli.errors import UsageError
from gancli.evaluation.nearest import picture, pixel_neighbours
from gancli.evaluation.reference import MOST_REAL, MOST_TRAINING, Reference
from gancli.evaluation.report import Report
from gancli.evaluation.subject import Subject, refuse_other_shape
from gancli.evaluation.translation import beside_the_input
from gancli.metrics import manifolds
from gancli.metrics.classes import histogram
from gancli.metrics.copying import copying
from gancli.metrics.digits import SIZE, DigitExtractor
from gancli.metrics.distances import frechet_distance, frechet_estimate, kernel_distance
from gancli.metrics.estimate import Estimate, proportion
from gancli.metrics.extractor import Reading, batches, read, some_of
from gancli.metrics.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

__all__ = ["FEWEST", "evaluate"]

FEWEST, FEW = 10, 1000
"""Images on either side, below which nothing can be said; and generated ones, below which the distance is biased by few."""

COMPARED_BY_PIXELS = 1000
"""Generated and fresh pictures whose nearest training picture is looked for pixel by pixel."""


def evaluate(
    subject: Subject,
    reference: Reference,
    *,
    modes_only: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Report, bytes | None]:
    """Every figure that the extractor allows, and a PNG of the nearest training pictures.

    Args:
        subject: the pictures.
        reference: the real ones.
        modes_only: only count classes; there is no PNG then.
        progress: called with (pictures read, pictures in all).

    Raises:
        UsageError: there are too few pictures, they have another shape, or classes are asked of an extractor without any.
    """
    real = reference.real.images.images
    refuse_other_shape(subject, tuple(real.shape[1:]), reference.real.name)
    for number, whose in ((subject.count, ""), (len(real), f" of the data set ({reference.against})")):
        if number < FEWEST:
            few = f"{count(number, 'picture')}{whose} {'is' if number == 1 else 'are'} too few."
            raise UsageError(few, f"At least {FEWEST} are needed, and thousands are better.")
    if modes_only and not reference.extractor.classes:
        raise UsageError(
            f"--modes needs an extractor that knows classes, and '{reference.extractor.name}' knows none.",
            f"--extractor mnist knows digits: 1x{SIZE}x{SIZE}, or three as 3x{SIZE}x{SIZE}.",
        )
    device = next(reference.extractor.parameters()).device
    fake = read(reference.extractor, _counted(subject, device, progress))
    if not bool(fake.features.isfinite().all()):
        raise UsageError(f"The pictures of {subject.title} are not finite.", "Choose another checkpoint.")
    figures, png = ({}, None) if modes_only else _figures(subject, reference, fake)
    if (asked := _asked_digits(subject, _class_names(reference))) is not None and fake.classes is not None:
        figures["agreement"] = proportion(int((asked == fake.classes).sum()), subject.count)
    notes = () if modes_only else _bias_of_few(reference, len(fake))
    if not modes_only:
        figures, more = beside_the_input(subject, reference, figures)
        notes = (*notes, *more)
    return _report(subject, reference, fake, figures, notes), png


def _bias_of_few(reference: Reference, n: int) -> tuple[str, ...]:
    """How far as many real images are from all of them, where the Frechet distance of few images says little else."""
    real = reference.reading(reference.real).features
    if n >= FEW or len(real) < 2 * n:
        return ()
    floor = frechet_distance(Moments.of([some_of(real, n)]), Moments.of([real]))
    name = reference.extractor.distances[0]
    return (f"{name} of only {count(n, 'image')} is biased upward: {n} real images score {floor:.3g}. Evaluate more.",)


def _counted(subject: Subject, device: torch.device, progress: Callable[[int, int], None]) -> Iterator[Tensor]:
    done = 0
    for batch in subject.draw():
        yield batch.to(device)
        done += len(batch)
        progress(done, subject.count)


def _figures(subject: Subject, reference: Reference, fake: Reading) -> tuple[dict[str, Estimate], bytes]:
    extractor = reference.extractor
    real = reference.reading(reference.real)
    frechet, kernel = extractor.distances
    alike = min(len(fake), len(real))
    near = manifolds.compare(fake.features[:alike], some_of(real.features, alike))
    figures = {
        frechet: frechet_estimate(fake.features, Moments.of([real.features])),
        kernel: kernel_distance(fake.features[:MOST_REAL], real.features, extractor.gamma),
        "precision": near.precision,
        "recall": near.recall,
        "density": near.density,
        "coverage": near.coverage,
    }
    copied, png = _copies(subject, reference, fake)
    return figures | copied, png


@dataclass(frozen=True, slots=True)
class _Training:
    """The training pictures among which copies are looked for, uint8 on the CPU, and their features."""

    pictures: Tensor
    features: Tensor


def _copies(subject: Subject, reference: Reference, fake: Reading) -> tuple[dict[str, Estimate], bytes]:
    """How much nearer to the training pictures than held-out ones are, by features and by pixels."""
    training = _Training(
        some_of(reference.training.images.images, MOST_TRAINING),
        reference.reading(reference.training, MOST_TRAINING).features,
    )
    some = torch.cat([batch.cpu() for batch in _first(subject, COMPARED_BY_PIXELS)])[:COMPARED_BY_PIXELS]
    by_pixels, pixel_index = pixel_neighbours(some, training.pictures)
    by_features, feature_index = (found[:, 0] for found in manifolds.nearest(fake.features, training.features))
    png = picture(some, training.pictures, by_pixels, pixel_index[:, 0], feature_index[: len(some)])
    if reference.held_out is None:
        return {}, png
    fresh = reference.reading(reference.held_out).features
    fresh_some = torch.cat(list(batches(some_of(reference.held_out.images.images, COMPARED_BY_PIXELS))))
    fresh_by_features = manifolds.nearest(fresh, training.features)[0][:, 0]
    return {
        "copying in features": copying(by_features, fresh_by_features),
        "copying in pixels": copying(by_pixels[:, 0], pixel_neighbours(fresh_some, training.pictures)[0][:, 0]),
    }, png


def _first(subject: Subject, n: int) -> Iterator[Tensor]:
    """Batches with at least n pictures, or all."""
    seen = 0
    for batch in subject.draw():
        yield batch
        seen += len(batch)
        if seen >= n:
            return


def _report(
    subject: Subject, reference: Reference, fake: Reading, figures: dict[str, Estimate], notes: tuple[str, ...]
) -> Report:
    extractor = reference.extractor
    return Report(
        subject=subject.title,
        facts=subject.facts,
        dataset=reference.real.name,
        against=reference.against,
        real_images=min(MOST_REAL, len(reference.real.images.images)),
        extractor={"name": extractor.name, "digest": extractor.digest},
        images=subject.count,
        figures=figures,
        class_names=_class_names(reference),
        histogram=None if fake.classes is None else histogram(fake.classes, reference.class_shares()),
        notes=(*reference.notes, *subject.notes, *notes),
    )


def _asked_digits(subject: Subject, known: tuple[str, ...]) -> Tensor | None:
    """The extractor's class of the same name as the one that was requested of each image; None if one has no such name."""
    if subject.asked is None or not set(subject.class_names) <= set(known):
        return None
    return torch.tensor([known.index(name) for name in subject.class_names])[subject.asked]


def _class_names(reference: Reference) -> tuple[str, ...]:
    classes = reference.extractor.classes
    digits = len(str(classes - 1)) if isinstance(reference.extractor, DigitExtractor) else 0
    return tuple(f"{index:0{digits}}" for index in range(classes))
