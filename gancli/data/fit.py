"""Pictures of any size and mode to pictures of one: what is asked for, what the data suggest, and how a picture is placed.

Size, where none is asked for: if all pictures are of one size with sides of at most 64 pixels, that size; else the largest
square of 8, 16, 32 and 64 that is not larger than their median shorter side. Channels: 1 if all pictures are grey, else 3;
one more for ``alpha=keep``, if any picture has it.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from gancli.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from gancli.config.schema import DataConfig
    from gancli.data.decoding import Header

__all__ = ["Fit", "choose", "parse_size", "place"]

SUGGESTED = (8, 16, 32, 64)
LARGEST_KEPT = 64
ALPHA_CHANNELS = (2, 4)
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
REDUCING_GAP = 3.0
"""Before the good filter, a quick one may shrink a picture to this many times its final size (Pillow's own advice)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How every picture is made into ``(channels, height, width)``.

    Attributes:
        fit: ``crop`` the middle, ``pad`` with the background, or ``stretch``.
        background: what shows through alpha, and around a padded picture: red, green, blue.
    """

    height: int
    width: int
    channels: int
    fit: Literal["crop", "pad", "stretch"] = "crop"
    background: tuple[int, int, int] = (255, 255, 255)

    @property
    def mode(self) -> str:
        """Pillow's name for this number of channels."""
        return MODES[self.channels]

    @property
    def keeps_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.channels in ALPHA_CHANNELS

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def choose(headers: Sequence[Header], config: DataConfig) -> Fit:
    """What the configuration asks for, completed by what the pictures suggest.

    Raises:
        ConfigError: the size or the background is none.
    """
    height, width = suggested_size(headers) if config.image_size is None else parse_size(config.image_size)
    channels = suggested_channels(headers, keep_alpha=config.alpha == "keep") if config.channels is None else config.channels
    return Fit(height, width, channels, config.fit, colour(config.background))


def suggested_size(headers: Sequence[Header]) -> tuple[int, int]:
    """Height and width, by the rule at the top of this module."""
    sizes = {(header.height, header.width) for header in headers}
    if len(sizes) == 1 and max(only := sizes.pop()) <= LARGEST_KEPT:
        return only
    middle = median(min(header.height, header.width) for header in headers)
    side = max((side for side in SUGGESTED if side <= middle), default=SUGGESTED[0])
    return side, side


def suggested_channels(headers: Sequence[Header], *, keep_alpha: bool) -> int:
    """1 for grey and 3 for colour; one more for alpha, if it is kept and there is any."""
    colours = 1 if all(header.grey for header in headers) else 3
    return colours + (keep_alpha and any(header.alpha for header in headers))


def parse_size(text: str) -> tuple[int, int]:
    """Height and width.

    >>> parse_size("64"), parse_size("32x48")
    ((64, 64), (32, 48))
    """
    sides = [int(side) for side in re.findall(r"[0-9]+", text)]
    return sides[0], sides[-1]


def colour(name: str) -> tuple[int, int, int]:
    """Red, green and blue of a colour by name, or by ``#rrggbb``.

    Raises:
        ConfigError: there is no such colour.
    """
    from PIL import ImageColor

    try:
        red, green, blue, *_ = ImageColor.getrgb(name)
    except ValueError as error:
        hint = did_you_mean(name, ImageColor.colormap)
        nearest = f" {hint}" if hint.startswith("Did") else ""
        raise ConfigError(f"data.background is '{name}', which is no colour.{nearest}", "Give a name, or #rrggbb.") from error
    return red, green, blue


def place(picture: Image, fit: Fit, extent: tuple[float, float] | None = None) -> Image:
    """The picture (L, LA, RGB or RGBA) in the size and mode of ``fit``.

    Args:
        picture: decoded.
        fit: what it is made into.
        extent: its true width and height, where its last column and row of pixels are only partly filled.
    """
    from PIL import Image

    size = fit.width, fit.height
    whole = extent or (float(picture.width), float(picture.height))
    if fit.fit == "pad":
        inner = _inside(whole, size)
        scaled = _resized(picture, inner, (0.0, 0.0, *whole))
        canvas = Image.new("RGBA", size, (*fit.background, 0))
        canvas.paste(scaled.convert("RGBA"), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
        return _as_mode(canvas, fit)
    box = (0.0, 0.0, *whole) if fit.fit == "stretch" else _middle(whole, size)
    return _as_mode(_resized(picture, size, box), fit)


def place_array(pixels: NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
    """uint8 ``(c, h, w)`` -> uint8 ``(channels, height, width)``."""
    from PIL import Image

    channels_last = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    return channels_first(place(Image.fromarray(channels_last), fit))


def channels_first(picture: Image) -> NDArray[np.uint8]:
    """uint8 ``(c, h, w)``."""
    import numpy as np

    pixels = np.asarray(picture)
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)  # noqa: PLR2004


def _resized(picture: Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image:
    from PIL import Image

    if picture.size == size and box == (0.0, 0.0, float(picture.width), float(picture.height)):
        return picture
    return picture.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=REDUCING_GAP)


def _middle(size: tuple[float, float], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest box of the target's proportions in the middle of a picture."""
    (width, height), (wide, tall) = size, target
    scale = min(width / wide, height / tall)
    left, top = max(0.0, (width - wide * scale) / 2), max(0.0, (height - tall * scale) / 2)  # rounding may go below 0
    return left, top, width - left, height - top


def _inside(size: tuple[float, float], target: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the picture's proportions that fits into the target."""
    (width, height), (wide, tall) = size, target
    scale = min(wide / width, tall / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _as_mode(picture: Image, fit: Fit) -> Image:
    """In the mode of ``fit``: alpha is kept, or shown before the background."""
    from PIL import Image

    if picture.mode == fit.mode:
        return picture
    if picture.mode in {"LA", "RGBA"} and not fit.keeps_alpha:
        canvas = Image.new("RGBA", picture.size, fit.background)
        canvas.alpha_composite(picture.convert("RGBA"))
        picture = canvas.convert("RGB")
    return picture.convert(fit.mode)
