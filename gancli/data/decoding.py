"""The one place where encoded pictures are opened: headers, and pixels of one size and mode.

What becomes of the odd ones:

====================================  ==================================================================
grey, colour, 1 bit, palette          as they are seen; a palette's transparency is alpha
16 bits per channel                   scaled to 8: round(255 x / 65535)
32 bits per channel                   the same if no value is beyond 16 bits; else refused, as floating point is
CMYK, YCbCr, Lab                      converted to red, green, blue
alpha                                 shown before a background, or kept (see :mod:`gancli.data.fit`)
rotated by EXIF                       turned as a viewer would
animated, many pages                  the first frame
floating point                        refused: its range is not known
truncated, renamed text, bombs        refused
====================================  ==================================================================

Formats are told by content, never by name, and only those of ``FORMATS`` are tried. A picture of more than
``PIL.Image.MAX_IMAGE_PIXELS`` (89 million) is refused before it is decoded.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from PIL import ExifTags, Image, UnidentifiedImageError

from gancli.data.fit import channels_first, place
from gancli.data.readers.reader import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from gancli.data.fit import Fit

__all__ = ["FORMATS", "Header", "decode", "header", "picky_pillow"]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
PLAIN_MODES = frozenset({"L", "LA", "RGB", "RGBA"})
LYING = frozenset({5, 6, 7, 8})
"""EXIF orientations in which width and height are exchanged."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What to do with a picture of each EXIF orientation but 1."""
DEEPEST = 65_535
DRAFT = 2
"""A JPEG may be decoded at an eighth, a quarter or half its size, as long as that is this many times the final size."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's first bytes tell.

    Attributes:
        width: in pixels, as it is seen.
        height: likewise.
        format: ``PNG``, ``JPEG``, ...
        mode: Pillow's word for channels and depth, such as ``RGB`` or ``I;16``.
        grey: whether it has no colour, as far as mode and palette tell.
        alpha: whether it may be transparent somewhere.
    """

    width: int
    height: int
    format: str
    mode: str
    grey: bool
    alpha: bool


@contextmanager
def picky_pillow() -> Iterator[None]:
    """Within the block Pillow's warnings of decompression bombs are errors, and its other ones are not shown.

    Filters belong to the whole process, so that the block is entered once, around all threads that decode.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def header(stream: BinaryIO) -> Header:
    """What the first bytes of a picture tell; its pixels are not decoded. For use within :func:`picky_pillow`.

    Raises:
        Flaw: it is no picture.
    """
    with _explained(), Image.open(stream, formats=FORMATS) as picture:
        width, height = picture.size
        if _orientation(picture) in LYING:
            width, height = height, width
        alpha = picture.mode in ALPHA_MODES or "transparency" in picture.info
        return Header(width, height, picture.format or "", picture.mode, _is_grey(picture), alpha)


def decode(stream: BinaryIO, fit: Fit) -> NDArray[np.uint8]:
    """The picture as uint8 ``(channels, height, width)``. For use within :func:`picky_pillow`; any thread.

    Raises:
        Flaw: it cannot be decoded.
    """
    with _explained(), Image.open(stream, formats=FORMATS) as picture:
        orientation = _orientation(picture)
        turn = TURNS.get(orientation)
        target = replace(fit, height=fit.width, width=fit.height) if orientation in LYING else fit
        extent = _drafted(picture, target)
        placed = place(_eight_bits(picture), target, extent)
        return channels_first(placed if turn is None else placed.transpose(turn))


def _drafted(picture: Image.Image, fit: Fit) -> tuple[float, float] | None:
    """Have a large JPEG decoded at a fraction of its size; then its true extent, in the pixels that it is decoded to."""
    if picture.format not in {"JPEG", "MPO"}:
        return None
    drafted = picture.draft(picture.mode, (DRAFT * fit.width, DRAFT * fit.height))
    return drafted and (drafted[1][2], drafted[1][3])


def _eight_bits(picture: Image.Image) -> Image.Image:
    """The first frame, decoded, in one of the modes L, LA, RGB and RGBA."""
    import numpy as np

    if picture.mode == "F":
        raise Flaw("floating-point pixels, whose range is not known")
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        deep = np.asarray(picture).astype(np.int64)
        if deep.min() < 0 or deep.max() > DEEPEST:
            raise Flaw(f"pixels from {deep.min():,} to {deep.max():,}, of which no range is known")
        return Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if "transparency" in picture.info:
        return picture.convert("LA" if picture.mode in {"1", "L"} else "RGBA")
    if picture.mode in PLAIN_MODES:
        picture.load()
        return picture
    if picture.mode == "1":
        return picture.convert("L")
    return picture.convert({"La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(picture.mode, "RGB"))


def _orientation(picture: Image.Image) -> int:
    """EXIF's number; 1 (upright) where there is none, and for TIFF, which Pillow turns by itself."""
    if "exif" not in picture.info or picture.format == "TIFF":
        return 1
    value = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) else 1


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode != "P" or picture.palette is None:
        return picture.mode in GREY_MODES
    order, palette = picture.palette.getdata()
    step = len(order.partition(";")[0])
    return order[:3] in {"RGB", "BGR"} and palette[0::step] == palette[1::step] == palette[2::step]


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever Pillow makes of hostile bytes is a :class:`Flaw` of this one picture."""
    try:
        yield
    except (Flaw, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise Flaw("no picture in a format that is read (" + ", ".join(FORMATS).lower() + ")") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Flaw(f"more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels") from error
    except Exception as error:  # decoders raise anything from struct.error to RecursionError
        raise Flaw(_reason(error)) from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return "truncated"
    return f"damaged: {text}" if text else f"damaged ({type(error).__name__})"
