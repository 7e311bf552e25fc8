"""What generates images: seeds and classes in, batches of images out. No torch.

Two things do: :class:`gancli.models.model.Model`, a network of PyTorch, and :class:`gancli.models.exported.ExportedModel`, a
file that the plugin of its format runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from gancli.errors import UsageError, did_you_mean
from gancli.randomness.latents import MAX_SEED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gancli.checkpoint.provenance import Origin
    from gancli.images import Images as Given
    from gancli.plugin import ImageSpec

BATCH_SIZE = 256
TRANSLATED = 16  # images that are translated at a time: they may be large
LEAST_TRUNCATION = 0.05  # strongest truncation: among twenty candidates

Images = TypeVar("Images", covariant=True)  # noqa: PLC0105  (what it is matters more than its variance)


def check_truncation(truncation: float | None) -> None:
    """Raise a UsageError for a truncation that is not from :data:`LEAST_TRUNCATION`, the strongest, to 1, none at all."""
    if truncation is not None and not LEAST_TRUNCATION <= truncation <= 1:
        problem = f"Truncation {truncation} is out of range."
        raise UsageError(problem, f"Give {LEAST_TRUNCATION}, the strongest, to 1, which changes nothing.")


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise a UsageError for seeds that are not from 0 to :data:`gancli.randomness.latents.MAX_SEED`."""
    if min(seeds) < 0 or max(seeds) > MAX_SEED:
        raise UsageError(f"The seeds {min(seeds)} to {max(seeds)} are out of range.", f"Seeds are 0 to {MAX_SEED}.")


class Sampler(ABC, Generic[Images]):
    """A generator that addresses its images by seed; ``made_from`` is what their metadata say instead of seeds, if anything."""

    latent_dim: int
    image: ImageSpec
    class_names: tuple[str, ...]
    origin: Origin
    made_from: Mapping[str, object] = {}

    def batches(
        self,
        seeds: Sequence[int],
        labels: Sequence[int] | None = None,
        batch_size: int = BATCH_SIZE,
        truncation: float | None = None,
    ) -> Iterator[Images]:
        """Images, one per seed, batch by batch: float32 ``(b, c, h, w)`` in [-1, 1]. A UsageError comes at once."""
        self.refuse_translator()
        if not len(seeds) or batch_size < 1:
            raise UsageError(f"{len(seeds)} images, {batch_size} at a time, cannot be generated.", "Ask for at least 1.")
        check_seeds(seeds)
        self.refuse_truncation(truncation)
        classes = self.classes(len(seeds), labels)
        parts = (slice(start, start + batch_size) for start in range(0, len(seeds), batch_size))
        return (self._batch(seeds[part], None if classes is None else classes[part], truncation) for part in parts)

    @abstractmethod
    def _batch(self, seeds: Sequence[int], classes: Sequence[int] | None, truncation: float | None) -> Images:
        """The images of some of the seeds, of arguments that fit."""

    @abstractmethod
    def translate(self, sources: Given, *, batch_size: int = TRANSLATED) -> Images:
        """Translate images: float32 ``(n, c, h, w)`` in [-1, 1], of any height and width -> images of that size.

        A network that does not take such a size is given images of its own, and its results are scaled back.
        """

    def cannot_truncate(self) -> str:
        """Why truncation is not possible, as the end of a sentence; empty if it is."""
        return ""

    def refuse_translator(self) -> None:
        """Raise a UsageError for a model that translates images, and so makes none from a seed."""
        if self.image.source is not None:
            problem = f"The model of '{self.origin.run}' translates images: it makes none from a seed or latent."
            raise UsageError(problem, "Use `gancli translate IMAGE -o FILE.png`.")

    def refuse_sources(self, shape: Sequence[int]) -> None:
        """Raise a UsageError for images of this shape ``(n, c, h, w)`` if the model cannot translate them."""
        source = self.image.source
        if source is None:
            raise UsageError(
                f"The model of '{self.origin.run}' generates images from seeds: it does not translate any.",
                "Use `gancli sample`, or train a translator: `gancli train --dataset IMAGES --to IMAGES`.",
            )
        if len(shape) != 4 or shape[1] != source[0] or not all(shape):  # noqa: PLR2004  (n, c, h, w)
            problem = f"Images of shape {tuple(shape)} cannot be translated."
            raise UsageError(problem, f"They have to be (n, {source[0]}, h, w).")

    def refuse_truncation(self, truncation: float | None) -> None:
        """Raise a UsageError for a truncation that is out of range or that this model cannot do."""
        check_truncation(truncation)
        if truncation is not None and (reason := self.cannot_truncate()):
            raise UsageError(f"This model cannot truncate: {reason}.", "Leave --truncation out.")

    def classes(self, n: int, labels: Sequence[int] | None = None) -> Sequence[int] | None:
        """The class of each of n images: ``labels`` if they are given, else 0, 1, 2, ... in turn; None if unconditional."""
        count = self.image.classes
        if not count and labels is not None:
            raise UsageError("This model is unconditional: it has no classes.", "Train one with --conditional.")
        if labels is None:
            return [i % count for i in range(n)] if count else None
        for label in labels:
            if not 0 <= label < count or label != int(label):
                raise UsageError(f"Class {label}: there is no such class.", f"Classes are 0 to {count - 1}.")
        if len(labels) != n:
            given = "1 class is" if len(labels) == 1 else f"{len(labels)} classes are"
            raise UsageError(f"{given} given for {n} images.", "Give one for each, or one for all.")
        return [int(label) for label in labels]

    def class_number(self, given: str | int) -> int:
        """The number of a class that is given by its name or number; a UsageError if the model has no such class."""
        names, text = self.class_names, str(given)
        if not self.image.classes:
            raise UsageError(f"Class '{text}': this model is not conditional.", "Train one with --conditional.")
        if text in names:
            return names.index(text)
        if text.isdecimal() and int(text) < len(names):
            return int(text)
        near = "" if text.lstrip("-").isdecimal() else f" {did_you_mean(text, names)}"  # no typo, but too large
        raise UsageError(f"Class '{text}': there is no such class.", f"Give 0 to {len(names) - 1}.{near}")
