"""The commands as functions, which are ``gancli.evaluate`` and ``gancli.project``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from gancli.api import From, Run, as_text, source_of
from gancli.cli.output import Output
from gancli.models.model import Model
from gancli_evaluate import projection
from gancli_evaluate.command import EvaluateOptions, run_evaluation
from gancli_evaluate.explore import refuse_target
from gancli_evaluate.sheets import write_projection

if TYPE_CHECKING:
    from gancli.models.model import ImageInputs
    from gancli_evaluate.report import Report


def evaluate(  # noqa: PLR0913  (the options of the command)
    run: Run | Model | str | Path | None = None,
    *,
    images: str | Path | None = None,
    count: int | None = None,
    seed: int | None = None,
    dataset: str | Path | None = None,
    against: Literal["test", "train"] | None = None,
    extractor: str = "auto",
    modes: bool = False,
    nearest: str | Path | None = None,
    quiet: bool = False,
    **source: Unpack[From],
) -> Report:
    """Measure how close generated images are to real ones, with 95 % intervals.

    >>> import gancli
    >>> report = gancli.evaluate(checkpoint="mnist", count=20, modes=True, quiet=True)
    >>> report.images, report.dataset, report.histogram.modes <= 10
    (20, 'mnist', True)

    Args:
        run: the run, its name or path, or a model; by default the last run.
        images: a folder of images, or an archive by `gancli sample -o x.npz`, instead of a model.
        count: number of images; 10,000 by default, or all of ``images``.
        seed: of the first image.
        dataset: the real images; by default the training data.
        against: the split to compare with.
        extractor: what reads the images.
        modes: only count the classes that are generated.
        nearest: PNG file for the nearest training images; by default ``nearest.png`` in the run.
        quiet: show nothing.
        source: see :class:`From`.

    Returns:
        the metrics, which are also in the run's ``evaluation.json``.
    """
    where, sheet = (None if path is None else Path(path) for path in (images, nearest))
    options = EvaluateOptions(count, seed, as_text(dataset), against, extractor, modes, sheet, force=True)
    return run_evaluation(where, options, source_of(evaluate, run, source), Output(quiet=quiet))[0]


def project(
    images: ImageInputs,
    run: Run | Model | str | Path | None = None,
    *,
    steps: int = 200,
    seed: int = 0,
    output: str | Path | None = None,
    force: bool = False,
    **source: Unpack[From],
) -> projection.Projection:
    """Find images in a generator's latent space.

    >>> import gancli
    >>> model = gancli.load(checkpoint="mnist")
    >>> found = gancli.project(model.sample(1, seed=5, labels=5), model, steps=5)
    >>> found.points.shape[0], found.images.shape == (1, *model.image.shape)
    (1, True)

    Args:
        images: files, images of Pillow, or floats ``(n, c, h, w)`` in [-1, 1].
        run: the run, its name or path, or a model; by default the last run.
        steps: of the search, per image.
        seed: first of the candidates that it starts from.
        output: an ``.npz`` for the latents, beside which a sheet (``.png``) shows original, found image and difference.
        force: replace files that gancli did not make.
        source: see :class:`From`.
    """
    chosen = source_of(project, run, source)
    target = None if output is None else refuse_target(output, force=force)
    model = run if isinstance(run, Model) else chosen.load()
    originals = model.fitted(images)
    found = projection.project(model, originals, steps=steps, seed=seed)
    if target is not None:
        write_projection(model, originals, found, target)
    return found
