"""A size that the architecture can make, for images of which the user asked for none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gancli.config.resolve import load_arch, refuse_other_kind
from gancli.config.schema import LONGEST_SIDE, SHORTEST_SIDE
from gancli.data import open_data
from gancli.plugins.registry import is_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.config.schema import RunConfig
    from gancli.data import Loaded, Watch
    from gancli.plugin import ImageSpec

__all__ = ["load_suited", "nearest_side"]

SHRINKS_TO = 0.75
"""Rather than shrink images to less than this fraction of their size, they are enlarged."""


def load_suited(config: RunConfig, watch: Watch) -> tuple[RunConfig, Loaded]:
    """The images, resized to a square if the architecture cannot make their own size and none was asked for.

    The size is chosen by the headers: nothing is decoded before.

    Returns:
        the configuration, with the size that was chosen in it, and the images.

    Raises:
        GancliError: whatever is wrong with data set or architecture.
    """
    source = open_data(config.data)
    arch, options = load_arch(config)
    if is_path(config.data.dataset) or config.data.to is not None:  # else a plugin's images tell
        refuse_other_kind(config, arch, translating=config.data.to is not None)
    if config.data.image_size is not None:
        return config, source.load(config.data, watch)
    spec = source.spec(config.data, watch)
    image = spec if config.model.conditional else replace(spec, classes=0)

    def squared(side: int) -> ImageSpec:
        return replace(image, height=side, width=side, source=image.source and (image.source[0], side, side))

    side = None
    if arch.supports(options, image) is not None:
        side = nearest_side(lambda n: arch.supports(options, squared(n)) is None, min(image.height, image.width))
    if side is None:
        return config, source.load(config.data, watch)
    config = config.model_copy(update={"data": config.data.model_copy(update={"image_size": str(side)})})
    data = source.load(config.data, watch)
    note = (
        f"The architecture '{config.arch.name}' cannot generate images of {image}, only of {side}x{side}; --image-size chooses."
    )
    return config, replace(data, images=replace(data.images, notes=(note, *data.images.notes)))


def nearest_side(suits: Callable[[int], bool], own: int) -> int | None:
    """The largest side that suits and is not above ``own``, unless much would be lost: then the smallest above it.

    >>> [nearest_side({32, 40, 48}.__contains__, 45), nearest_side({16, 32, 64}.__contains__, 28)]
    [40, 32]
    """
    below = next((n for n in range(min(own, LONGEST_SIDE), SHORTEST_SIDE - 1, -1) if suits(n)), None)
    if below is not None and below >= SHRINKS_TO * own:
        return below
    above = next((n for n in range(max(own + 1, SHORTEST_SIDE), LONGEST_SIDE + 1) if suits(n)), None)
    return below if above is None else above
