"""``gancli evaluate``: metrics of a trained model."""

from dataclasses import dataclass
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from gancli.cli import complete
from gancli.cli.options import Force, Source, argument, option, whole
from gancli.cli.output import Output, refuse_existing
from gancli.errors import StorageError, UsageError

if TYPE_CHECKING:
    from gancli_evaluate.reference import Reference
    from gancli_evaluate.report import Report
    from gancli_evaluate.subject import Subject

DEFAULT_COUNT = 10_000
MOST = 1_000_000
MOST_CLASSES_SHOWN = 50

_IMAGES = argument("IMAGES", "A folder of images, or an archive by `sample -o x.npz`, instead of a model.", show_default=False)
_COUNT = whole(f"Number of images; {DEFAULT_COUNT:,} by default, or all of IMAGES.", "-n", "--count")
_DATASET = option("NAME|PATH", "The real images; by default the training data.", autocompletion=complete.datasets)
_AGAINST = option(None, "Split to compare with; test if there is one.", show_default=False)
_EXTRACTOR = option(
    "NAME",
    "Feature extractor: mnist, random, lite, inception, dinov2; auto: digits for MNIST, else lite where installed.",
    autocompletion=complete.extractors,
)
_NEAREST = option("PATH.png", "File for the nearest training images; by default nearest.png in the run.")


@dataclass(frozen=True)
class EvaluateOptions:
    """The options that say what is measured, and compared with what."""

    count: Annotated[int | None, _COUNT] = None
    seed: Annotated[int | None, whole("Seed of the first, 0 by default; the others count up.")] = None
    dataset: Annotated[str | None, _DATASET] = None
    against: Annotated[Literal["test", "train"] | None, _AGAINST] = None
    extractor: Annotated[str, _EXTRACTOR] = "auto"
    modes: Annotated[bool, option(None, "Only count the classes that are generated.", "--modes", show_default=False)] = False
    nearest: Annotated[Path | None, _NEAREST] = None
    force: Force = False

    def check(self, images: Path | None, source: Source) -> None:
        """Refuse what can be refused before torch is loaded."""
        source.check()
        if self.count is not None and not 1 <= self.count <= MOST:
            raise UsageError(f"-n {self.count} is out of range.", f"Choose 10 to {MOST:,} images.")
        if images is not None:
            if source.run or source.checkpoint:
                raise UsageError(f"'{images}' and a model exclude each other.", "Leave one of them out.")
            if (images / "run.json").is_file():
                raise UsageError(f"'{images}' is a run.", f"Name it with --run {images}.")
            if self.dataset is None:
                raise UsageError(
                    f"'{images}' needs real images to be compared with.", "Give --dataset, such as --dataset mnist."
                )
            if not images.exists():
                raise UsageError(f"'{images}' does not exist.", "Give a folder or an archive; --run names a run.")
        if self.nearest is not None:
            if self.modes:
                raise UsageError("--modes does not search for nearest images.", "Leave --modes or --nearest out.")
            if self.nearest.suffix.lower() != ".png":
                raise UsageError(f"--nearest {self.nearest} is not a PNG.", "Give a name that ends in .png.")
            refuse_existing(self.nearest, force=self.force)


def evaluate(
    output: Output, images: Annotated[Path | None, _IMAGES] = None, *, options: EvaluateOptions, source: Source
) -> None:
    """Measure how close generated images are to real ones, with 95 % intervals. Works offline."""
    report, written = run_evaluation(images, options, source, output)
    if output.as_json:
        output.document({**report.as_json(), **written})
        return
    from gancli_evaluate.report import TITLES

    names, histogram = report.extractor, report.histogram
    compared = f"compared with {report.real_images:,} of {report.dataset} ({report.against})"
    output.note(
        f"{report.subject}: {report.images:,} images, {compared}",
        f"extractor {names['name']}, {names['digest'][:12]}; 95 % intervals",
    )
    output.table(TITLES, report.rows())
    if histogram is not None:
        output.line()
        floor = f"KL is {histogram.floor:.4f} for a perfect model, because N is {report.images:,}"
        output.line(f"modes: {histogram.modes:,} of {len(report.class_names):,}; {floor}")
        if len(report.class_names) <= MOST_CLASSES_SHOWN and not options.modes:
            shares = zip(report.class_names, histogram.shares, strict=True)
            rows = [(name, f"{100 * e.value:.1f}", f"{100 * e.low:.1f} to {100 * e.high:.1f}") for name, e in shares]
            output.line()
            output.table(("class", "%", "interval"), rows)
    output.note(*(f"{what}: {path}" for what, path in written.items()))


def run_evaluation(
    images: Path | None, options: EvaluateOptions, source: Source, output: Output
) -> "tuple[Report, dict[str, str]]":
    """What was found, and the paths of what was written: the report into the run, and the nearest training images."""
    from gancli.plugins.registry import EXTRACTORS
    from gancli.runs import RunDirectory
    from gancli.storage.disk import write_atomically

    if options.extractor not in {"auto", "mnist", "random"}:
        EXTRACTORS.find(options.extractor)
    options.check(images, source)
    with output.progress() as counter:
        from gancli_evaluate.measure import evaluate as measure

        subject, reference = _both(images, options, source, output)
        report, png = measure(subject, reference, modes_only=options.modes, progress=counter)
    output.note(*report.notes)
    written: dict[str, str] = {}
    if png is None:
        return report, written
    run = None if subject.run is None else RunDirectory(subject.run)
    document = (dumps(report.as_json(), indent=2) + "\n").encode()
    nearest = options.nearest or (run.path / "nearest.png" if run else None)
    for what, path, data in (("nearest", nearest, png), ("report", run.evaluation_path if run else None, document)):
        try:
            if path is not None:
                write_atomically(path, data)
                written[what] = str(path)
        except StorageError as error:
            if path == options.nearest:
                raise
            output.note(f"The {what} was not kept in the run. {error}")
    return report, written


def _both(images: Path | None, options: EvaluateOptions, source: Source, output: Output) -> "tuple[Subject, Reference]":
    """What is measured and what it is measured against."""
    from gancli.config.schema import DataConfig
    from gancli.runtime.device import pick_device
    from gancli_evaluate import subject as subjects
    from gancli_evaluate.reference import data_of, load_reference, of_size

    given = {"dataset": options.dataset, "labels": None}
    load = partial(load_reference, against=options.against, extractor=options.extractor, tell=output.note)
    load = partial(load, device=pick_device(source.device))
    if images is not None:
        reference = load(of_size(DataConfig().model_copy(update=given), subjects.size_at(images)))
        return subjects.of_images(images, reference.training.images.images.shape[1], options.count), reference
    model = source.sampler()
    known = model.origin.provenance
    load, trained_on = partial(load, frozen=known.frozen.values()), known.dataset.fingerprint
    if model.image.source:
        if options.seed is not None or options.dataset is not None:
            needless = f"--dataset {options.dataset}" if options.seed is None else f"--seed {options.seed}"
            raise UsageError(
                f"{needless} means nothing for '{model.origin.run}', which translates images: those of its own data are.",
                "Leave it out; --against chooses the split.",
            )
        reference = load(subjects.data_of_translator(model), trained_on=trained_on)
        return subjects.of_translator(model, reference, options.count), reference
    subject = subjects.of_model(model, options.count or DEFAULT_COUNT, options.seed or 0)
    if options.dataset is None:
        return subject, load(data_of(known), trained_on=trained_on)
    # read as the model's own images were
    return subject, load(of_size(data_of(known).model_copy(update=given), model.image.shape[1:]))
