"""Which extractor suits which data."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gancli.errors import UsageError
from gancli.metrics.digits import SIZE, STACKED, DigitExtractor, StackedDigitExtractor, is_mnist
from gancli.metrics.pretrained import pretrained
from gancli.metrics.random_ import RandomExtractor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from torch import Tensor

    from gancli.metrics.extractor import Extractor
    from gancli.metrics.moments import Moments

__all__ = ["DIGITS", "RANDOM", "extractor_for", "known_moments"]

DIGITS, RANDOM = "mnist", "random"


def extractor_for(
    dataset: str,
    images: Tensor,
    wanted: str = "auto",
    *,
    otherwise: str | None = None,
    frozen: Collection[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Extractor:
    """The extractor for a data set.

    Args:
        dataset: its name.
        images: its training images, uint8 ``(n, c, h, w)``.
        wanted: ``mnist``, ``random``, the name of a plugin, or ``auto``: digits for MNIST and Stacked-MNIST, ``otherwise``
            for anything else.
        otherwise: the name of a plugin; None: random convolutions.
        frozen: digests of the frozen networks that the model was trained against: ``auto`` chooses none of them.
        tell: is told of downloads.

    Raises:
        UsageError: digits are wanted for images of another size, or the model was trained against what was asked for.
        PluginError: there is no such extractor, or what it needs is not installed.
    """
    shape = tuple(images.shape[1:])
    stacked, single = shape == (STACKED, SIZE, SIZE), shape == (1, SIZE, SIZE)
    if wanted == DIGITS and not (stacked or single):
        size = "x".join(map(str, shape))
        raise UsageError(
            f"The extractor '{DIGITS}' cannot read pictures of {size}.",
            f"It reads 1x{SIZE}x{SIZE}, and three digits as {STACKED}x{SIZE}x{SIZE}. Choose --extractor {RANDOM}.",
        )
    if wanted == RANDOM:
        return RandomExtractor.for_data(images)
    if wanted not in {DIGITS, "auto"}:
        return pretrained(wanted, images, frozen, tell)
    if stacked and (wanted == DIGITS or dataset == "stacked-mnist"):
        return StackedDigitExtractor()
    if single and (wanted == DIGITS or dataset == "mnist" or is_mnist(images)):
        return DigitExtractor()
    if otherwise is not None and otherwise != RANDOM:
        with suppress(UsageError):  # the model was trained against it
            return pretrained(otherwise, images, frozen, tell)
    return RandomExtractor.for_data(images)


def known_moments(extractor: Extractor, images: Tensor) -> Moments | None:
    """The moments of training pictures, uint8 ``(n, c, h, w)``, as far as they are stored with the extractor."""
    if isinstance(extractor, DigitExtractor) and (isinstance(extractor, StackedDigitExtractor) or is_mnist(images)):
        return extractor.training_moments()
    return None
