"""Images of any size and mode to images of one: what is asked for, what the data suggest, and how an image is placed.

Size, where none is asked for: if all images are of one size with sides of at most 64 pixels, that size; else the largest
square of 8, 16, 32 and 64 that is not larger than their median shorter side; :mod:`gancli.data.choice` may go beyond 64.
Channels: 1 if all images are grey, else 3; one more for ``alpha=keep``, if any image has it. White, of 16 bits per channel:
all that 8, 10, 12, 14 or 16 bits can hold, the fewest that hold every value in the set.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageColor

from gancli.config.schema import LONGEST_SIDE, SHORTEST_SIDE, DataConfig, sides
from gancli.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from gancli.data.decoding import Header
    from gancli.data.source import Watch
    from gancli.plugin import ImageSet

SUGGESTED = (8, 16, 32, 64, 128, 256)
LARGEST_KEPT = 64
DEEPEST = 65_535
WHITES = (255, 1_023, 4_095, 16_383, DEEPEST)
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
SHRINKS_TO = 0.75  # rather than shrink images to less than this fraction of their size, they are enlarged


@dataclass(frozen=True, slots=True)
class Fit:
    """How every image is made into ``(channels, height, width)``."""

    height: int
    width: int
    channels: int
    fit: Literal["crop", "pad", "stretch"] = "crop"  # crop the middle, pad with the background, or stretch
    # what shows through alpha, and around a padded image: red, green, blue
    background: tuple[int, int, int] = (255, 255, 255)
    white: int = DEEPEST  # the value of 16 bits per channel that becomes 255

    @property
    def keeps_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.channels in {2, 4}

    @property
    def is_colour(self) -> bool:
        """Whether there are three channels of colour."""
        return self.channels in {3, 4}

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"


def choose(headers: Sequence[Header], config: DataConfig) -> Fit:
    """What the configuration asks for, completed by what the images suggest."""
    sizes = [(header.height, header.width) for header in headers]
    height, width = sides(config.image_size) if config.image_size else suggested_size(sizes)
    channels: int | None = config.channels
    if channels is None:
        keep_alpha = config.alpha == "keep" and any(header.alpha for header in headers)
        channels = (1 if all(header.grey for header in headers) else 3) + keep_alpha
    deepest = max((header.deepest for header in headers), default=0) or DEEPEST
    white = next(white for white in WHITES if white >= min(deepest, DEEPEST))
    return Fit(height, width, channels, config.fit, colour(config.background), white)


def suggested_size(sizes: Sequence[tuple[int, int]], longest: int = LARGEST_KEPT) -> tuple[int, int]:
    """Height and width for images of these sizes, with sides of at most ``longest`` pixels.

    >>> suggested_size([(40, 60)]), suggested_size([(300, 200), (100, 150)]), suggested_size([(300, 200)], 128)
    ((40, 60), (64, 64), (128, 128))
    """
    if len(set(sizes)) == 1 and max(sizes[0]) <= longest:
        return sizes[0]
    middle = median(map(min, sizes))
    side = max((side for side in SUGGESTED if side <= min(middle, longest)), default=SUGGESTED[0])
    return side, side


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


def colour(name: str) -> tuple[int, int, int]:
    """Red, green and blue of a colour by name, or by ``#rrggbb``."""
    try:
        red, green, blue, *_ = ImageColor.getrgb(name)
    except ValueError as error:
        meant = nearest(name, ImageColor.colormap)
        hint = f" Did you mean '{meant}'?" if meant else ""
        raise ConfigError(f"data.background is '{name}', which is not a colour.{hint}", "Give a name, or #rrggbb.") from error
    return red, green, blue


def place(image: Image.Image, fit: Fit, extent: tuple[float, float] | None = None) -> Image.Image:
    """The image (L, LA, RGB or RGBA) in the size and mode of ``fit``.

    ``extent`` is its true width and height, where its last column and row of pixels are only partly filled.
    """
    width, height = extent or (float(image.width), float(image.height))
    wide, tall, left, top = fit.width, fit.height, 0.0, 0.0
    if fit.fit == "pad":  # the largest size of the image's proportions that fits
        scale = min(wide / width, tall / height)
        wide, tall = max(1, round(width * scale)), max(1, round(height * scale))
    elif fit.fit == "crop":  # the largest box of the target's proportions in the centre
        scale = min(width / wide, height / tall)
        left, top = max(0.0, (width - wide * scale) / 2), max(0.0, (height - tall * scale) / 2)  # not below 0 by rounding
    box = (left, top, width - left, height - top)
    if image.size != (wide, tall) or box != (0.0, 0.0, float(wide), float(tall)):
        # a quick filter may shrink to 3 times the final size first: Pillow's own advice
        image = image.resize((wide, tall), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    if fit.fit == "pad":
        canvas = Image.new("RGBA", (fit.width, fit.height), (*fit.background, 0))
        canvas.paste(image.convert("RGBA"), ((fit.width - wide) // 2, (fit.height - tall) // 2))
        image = canvas
    if image.mode in {"LA", "RGBA"} and not fit.keeps_alpha:
        canvas = Image.new("RGBA", image.size, fit.background)
        canvas.alpha_composite(image.convert("RGBA"))
        image = canvas.convert("RGB")
    mode = MODES[fit.channels]
    return image if image.mode == mode else image.convert(mode)


def place_array(pixels: NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
    """uint8 ``(c, h, w)`` -> uint8 ``(channels, height, width)``."""
    channels_last = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    return channels_first(place(Image.fromarray(channels_last), fit))


def refit(images: ImageSet, config: DataConfig, watch: Watch) -> ImageSet:
    """Arrays of images in the size and number of channels that the configuration asks for; the rest stays as it is."""
    import torch

    number, channels, height, width = images.images.shape
    if config.image_size is not None:
        height, width = sides(config.image_size)
    fit = Fit(height, width, config.channels or channels, config.fit, colour(config.background))

    def fitted(given: Tensor, fit: Fit) -> Tensor:
        placed = np.empty((len(given), fit.channels, fit.height, fit.width), np.uint8)
        for i, pixels in enumerate(given.numpy()):
            placed[i] = place_array(pixels, fit)
            watch("resizing images", i + 1, number)
        return torch.from_numpy(placed)

    if images.sources is not None:
        theirs = replace(fit, channels=config.channels or images.sources.shape[1])
        images = replace(images, sources=fitted(images.sources, theirs))
    if (fit.channels, fit.height, fit.width) == tuple(images.images.shape[1:]):
        return images
    note = f"Images are {images.spec()} and are resized to {fit}."
    return replace(images, images=fitted(images.images, fit), notes=(*images.notes, note))


def channels_first(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 ``(c, h, w)``."""
    pixels = np.asarray(image)
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)  # noqa: PLR2004  (one channel)
