"""A size that the architecture can make, for pictures of which the user asked for none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gancli.config.resolve import load_arch
from gancli.config.schema import LONGEST_SIDE, SHORTEST_SIDE
from gancli.data import load_images

if TYPE_CHECKING:
    from gancli.config.schema import RunConfig
    from gancli.data import Loaded
    from gancli.data.watch import Watch

__all__ = ["load_suited", "nearest_side"]

SHRINKS_TO = 0.75
"""Rather than make pictures smaller than this fraction of their size, they are enlarged."""


def load_suited(config: RunConfig, watch: Watch) -> tuple[RunConfig, Loaded]:
    """The pictures; in a square that the architecture can make, if it cannot make their own size and none was asked for.

    Returns:
        the configuration, with the size that was chosen in it, and the pictures.

    Raises:
        GancliError: whatever is wrong with data set or architecture.
    """
    data = load_images(config.data, watch=watch)
    if config.data.image_size is not None:
        return config, data
    arch, options = load_arch(config)
    image = data.images.spec(conditional=config.model.conditional)
    if arch.supports(options, image) is None:
        return config, data
    sides = [
        n for n in range(SHORTEST_SIDE, LONGEST_SIDE + 1) if arch.supports(options, replace(image, height=n, width=n)) is None
    ]
    side = nearest_side(sides, min(image.height, image.width))
    if side is None:
        return config, data
    config = config.model_copy(update={"data": config.data.model_copy(update={"image_size": str(side)})})
    data = load_images(config.data, watch=watch)
    note = f"The architecture '{config.arch.name}' makes no pictures of {image}, but of {side}x{side}; --image-size chooses."
    return config, replace(data, images=replace(data.images, notes=(note, *data.images.notes)))


def nearest_side(sides: list[int], own: int) -> int | None:
    """The largest of these that is not above ``own``, unless much would be lost: then the smallest above it.

    >>> nearest_side([32, 40, 48], 45), nearest_side([16, 32, 64], 28), nearest_side([16], 28), nearest_side([], 28)
    (40, 32, 16, None)
    """
    below = max((side for side in sides if side <= own), default=None)
    above = min((side for side in sides if side > own), default=None)
    return below if above is None or (below is not None and below >= SHRINKS_TO * own) else above
