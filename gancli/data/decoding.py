"""The one place where encoded images are opened: headers, and pixels of one size and mode.

What becomes of the odd ones:

====================================  =============================================================
grey, colour, 1 bit, palette          as they are seen; a palette's transparency is alpha
an embedded colour profile            converted to sRGB, unless it is nearly that
16 bits per channel                   scaled to 8: round(255 x / white), see :func:`.fit.choose`
32 bits per channel                   the same if no value is beyond 16 bits; else refused
CMYK, YCbCr, Lab                      converted to red, green, blue
alpha                                 composited onto a background, or kept (:mod:`gancli.data.fit`)
alpha of 0 everywhere in BMP or TGA   unused, and so ignored
rotated by EXIF                       turned as a viewer would
animated, many pages                  the first frame
floating point                        refused: its range is not known
truncated, renamed text, bombs        refused; a JPEG that lacks no pixel is not truncated
text in a PNG                         never read, however long or damaged
====================================  =============================================================

Formats are told by content, never by name, and only those of ``FORMATS`` are tried: the decoders of
Pillow that are in wide use, and fuzzed. An image of more than ``data.max_pixels`` is refused before
it is decoded; a JPEG may be larger, because it is decoded at a fraction of its size.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from PIL import ExifTags, Image, ImageCms, JpegImagePlugin, UnidentifiedImageError

from gancli.data.fit import DEEPEST, channels_first, place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from gancli.data.fit import Fit
    from gancli.data.source import Watch

__all__ = [
    "FORMATS",
    "MAX_FILE_BYTES",
    "Decoded",
    "Flaw",
    "Header",
    "Opened",
    "decode",
    "decode_all",
    "header",
    "picky_pillow",
    "read_all",
    "reading",
    "survey",
]

T = TypeVar("T")

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI", "ICO", "TGA")
MAX_FILE_BYTES = 256 * 2**20
"""The largest encoded image that is read."""
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
PLAIN_MODES = frozenset({"L", "LA", "RGB", "RGBA"})
SPARE_ALPHA = frozenset({"BMP", "DIB", "TGA"})
"""Formats whose fourth byte is often written as 0 and means nothing."""
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
"""What to do with an image of each EXIF orientation but 1."""
DRAFT = 2
"""A JPEG may be decoded at a fraction of its size that is at least this many times the final one."""
DRAFTED = 4
"""A JPEG may have this many times the pixels of other images."""
JPEG, END_OF_JPEG = b"\xff\xd8\xff", b"\xff\xd9"
TAILS = (b"", bytes(range(1, 251)), bytes(range(250, 0, -1)))
PNG, PNG_CHUNKS = b"\x89PNG\r\n\x1a\n", (b"tRNS", b"iCCP", b"eXIf")
"""How a PNG begins, and the chunks that matter besides those without which there is no image."""
SAME_COLOUR = 3
"""A profile that moves no colour by more than this, of 255, is taken for sRGB."""
CHUNK_IMAGES, CHUNK_BYTES = 32, 2**22
"""A thread gets this much at a time: so many images, or so many bytes and the one that exceeds them."""


class Flaw(Exception):  # noqa: N818  (a property of one image, which is counted and skipped)
    """Why one image cannot be used, as the end of a sentence: ``truncated``."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an image before it is decoded.

    Attributes:
        width: in pixels, as it is seen.
        height: likewise.
        format: ``PNG``, ``JPEG``, ...
        mode: Pillow's word for channels and depth, such as ``RGB`` or ``I;16``.
        grey: whether it has no colour, as far as mode and palette tell.
        alpha: whether it may be transparent somewhere.
        frames: of an animation, or pages of a stack.
        profile: whether its colours are to be converted to sRGB.
        deepest: the largest value of 16 bits per channel; 0 for 8 bits.
    """

    width: int
    height: int
    format: str
    mode: str
    grey: bool
    alpha: bool
    frames: int = 1
    profile: bool = False
    deepest: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """One image, ready to be read before the next is asked for; or why it is not."""

    index: int
    stream: BinaryIO | None
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One image: its pixels ``(c, h, w)``, or the reason why there are none."""

    index: int
    pixels: NDArray[np.uint8] | None
    flaw: str = ""


@contextmanager
def picky_pillow(max_pixels: int | None = None) -> Iterator[None]:
    """Within the block Pillow refuses images of more pixels, and its warnings are not shown.

    Filters belong to the whole process: the block is entered once, around all threads that decode.
    """
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = max_pixels or before
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def read_all(stream: BinaryIO) -> bytes:
    """Everything in ``stream``.

    Raises:
        Flaw: that is nothing, or more than an image may be.
    """
    data = stream.read(MAX_FILE_BYTES + 1)
    if not data:
        raise Flaw("empty")
    if len(data) > MAX_FILE_BYTES:
        raise Flaw(f"larger than {MAX_FILE_BYTES >> 20} MiB")
    return data


def header(stream: BinaryIO) -> Header:
    """What an image says of itself. For use within :func:`picky_pillow`.

    Pixels are decoded only where nothing else tells their range, or whether alpha means anything.

    Raises:
        Flaw: it is not an image that can be read.
    """
    with _explained(), _opened(stream, whole=False) as (picture, frames):
        width, height = picture.size
        if _orientation(picture) in LYING:
            width, height = height, width
        mode, deepest = picture.mode, 0
        if ";16" in _raw_mode(picture) or mode == "I" or mode.startswith("I;16"):
            stream.seek(0)
            with _opened(stream, whole=True) as (deep, _):
                values = [channel[1] for channel in _extrema(deep)]
            scaled = picture.format == "PPM"  # Pillow has scaled its values already
            deepest = DEEPEST if scaled else round(max(values)) * (1 if _is_deep(mode) else 257)
        alpha = mode in ALPHA_MODES or "transparency" in picture.info
        if alpha and picture.format in SPARE_ALPHA:
            alpha = picture.getchannel("A").getextrema() != (0, 0)
        foreign = _transform(picture.info.get("icc_profile"), _colour_mode(picture)) is not None
        return Header(
            width=width,
            height=height,
            format=picture.format or "",
            mode=mode,
            grey=_is_grey(picture),
            alpha=alpha,
            frames=frames,
            profile=foreign,
            deepest=deepest,
        )


def decode(stream: BinaryIO, fit: Fit) -> NDArray[np.uint8]:
    """The image as uint8 ``(channels, height, width)``. For use within :func:`picky_pillow`.

    A JPEG without its end marker is whole if no pixel changes with what follows its last byte.

    Raises:
        Flaw: it cannot be decoded.
    """
    data = stream.read()
    with _explained():
        try:
            return _decode(data, fit)
        except OSError as error:
            if not data.startswith(JPEG) or "truncated" not in str(error):
                raise
            data = data.rstrip(b"\xff")
            try:
                first, *others = (_decode(data + tail + END_OF_JPEG, fit) for tail in TAILS)
            except OSError:
                raise error from None
            if any((other != first).any() for other in others):
                raise
            return first


def survey(images: Iterable[Opened], watch: Watch, total: int) -> list[Header | str]:
    """For each image its header, or what is wrong with it. For use within :func:`picky_pillow`.

    Raises:
        DatasetError: the source itself cannot be read.
    """
    found: list[Header | str] = []
    for opened in images:
        found.append(reading(opened, header))
        watch("reading headers", len(found), total)
    return found


def decode_all(images: Iterable[Opened], fit: Fit, workers: int | None = None) -> Iterator[Decoded]:
    """Every image, in order, decoded in threads and in bounded memory.

    Threads, not processes: Pillow releases the interpreter's lock while it decodes and scales, a
    thread needs no copy of what it returns, and Ctrl-C ends them all.

    Args:
        images: encoded.
        fit: what all are made into.
        workers: threads; by default one per core that this process may use.

    Raises:
        DatasetError: the source itself cannot be read.
    """
    if workers is None:
        affinity = getattr(os, "sched_getaffinity", None)
        workers = len(affinity(0)) if affinity else os.cpu_count() or 1
    pool = ThreadPoolExecutor(workers, "gancli-decode")
    waiting: deque[Future[list[Decoded]]] = deque()
    try:
        for chunk in _chunks(images):
            waiting.append(pool.submit(_decode_chunk, chunk, fit))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _chunks(images: Iterable[Opened]) -> Iterator[list[tuple[int, bytes | str]]]:
    """Encoded images, or why they cannot be read, a handful at a time."""
    chunk: list[tuple[int, bytes | str]] = []
    size = 0
    for opened in images:
        data = reading(opened, read_all)
        chunk.append((opened.index, data))
        size += len(data)
        if len(chunk) == CHUNK_IMAGES or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _decode_chunk(chunk: list[tuple[int, bytes | str]], fit: Fit) -> list[Decoded]:
    decoded = []
    for index, data in chunk:
        if isinstance(data, str):
            decoded.append(Decoded(index, None, data))
            continue
        try:
            decoded.append(Decoded(index, decode(BytesIO(data), fit)))
        except Flaw as flaw:
            decoded.append(Decoded(index, None, str(flaw)))
    return decoded


def _decode(data: bytes, fit: Fit) -> NDArray[np.uint8]:
    with _opened(BytesIO(data), whole=True) as (picture, _):
        orientation = _orientation(picture)
        turn = TURNS.get(orientation)
        lying = orientation in LYING
        target = replace(fit, height=fit.width, width=fit.height) if lying else fit
        extent = None
        if picture.format in {"JPEG", "MPO"}:  # decoded at a fraction of its size
            if picture.size[0] * picture.size[1] <= (Image.MAX_IMAGE_PIXELS or 0):
                wanted = DRAFT * target.width, DRAFT * target.height
            else:
                wanted = target.width, target.height
            drafted = picture.draft(picture.mode, wanted)
            extent = drafted and (drafted[1][2], drafted[1][3])
            Image._decompression_bomb_check(picture.size)  # noqa: SLF001  (as Image.open does)
        profile = picture.info.get("icc_profile")
        placed = place(_in_srgb(_eight_bits(picture, fit.white), profile), target, extent)
        return channels_first(placed if turn is None else placed.transpose(turn))


@contextmanager
def _opened(stream: BinaryIO, *, whole: bool) -> Iterator[tuple[Image.Image, int]]:
    """The image, not decoded, and the number of its frames."""
    start = stream.read(len(PNG))
    stream.seek(0)
    frames = 1
    if start.startswith(JPEG):  # its pixels are counted when it was drafted
        try:
            picture: Image.Image = JpegImagePlugin.jpeg_factory(stream)
        except (SyntaxError, IndexError, TypeError, KeyError, struct.error) as error:
            raise UnidentifiedImageError from error
        width, height = picture.size
        if width * height > DRAFTED * (Image.MAX_IMAGE_PIXELS or 0):
            raise Image.DecompressionBombError
    else:
        if start == PNG:
            stream, frames = _essential(stream, whole=whole)
        picture = Image.open(stream, formats=FORMATS)
        if not whole and picture.format != "PNG":
            frames = _frames(picture)
    with picture:
        yield picture, frames


def _essential(stream: BinaryIO, *, whole: bool) -> tuple[BytesIO, int]:
    """A PNG without the chunks that do not change its first image, and the number of its frames.

    Text of any length, and chunks with a wrong checksum that nothing depends on, are left out.
    """
    kept, frames = bytearray(stream.read(len(PNG))), 1
    while len(head := stream.read(8)) == 8:  # noqa: PLR2004  (size and kind)
        size, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT" and not whole:
            kept += head
            break
        body = stream.read(min(size + 4, MAX_FILE_BYTES))
        if kind == b"acTL":
            frames = int.from_bytes(body[:4])
        if not kind[0] & 0x20 or (kind in PNG_CHUNKS and body[size:] == zlib.crc32(kind + body[:size]).to_bytes(4)):  # critical
            kept += head + body
    return BytesIO(bytes(kept) + head), frames


def _frames(picture: Image.Image) -> int:
    """Frames of an animation, or pages; the previews that phones hide in a JPEG do not count."""
    try:
        return 1 if picture.format == "MPO" else int(getattr(picture, "n_frames", 1))
    except Exception:  # noqa: BLE001  (of a damaged later frame, which is not used anyway)
        return 1
    finally:
        picture.seek(0)


def _eight_bits(picture: Image.Image, white: int) -> Image.Image:
    """The first frame, decoded, in one of the modes L, LA, RGB and RGBA (or CMYK with a profile)."""
    import numpy as np

    if picture.mode == "F":
        raise Flaw("floating-point pixels, whose range is not known")
    if _is_deep(picture.mode):
        deep = np.asarray(picture).astype(np.int64)
        if deep.min() < 0 or deep.max() > DEEPEST:
            raise Flaw(f"pixels from {deep.min():,} to {deep.max():,}, of which no range is known")
        white = DEEPEST if picture.format == "PPM" else white
        return Image.fromarray(((255 * deep + white // 2) // white).clip(0, 255).astype(np.uint8))
    if "transparency" in picture.info:
        return picture.convert("LA" if picture.mode in {"1", "L"} else "RGBA")
    if picture.format in SPARE_ALPHA and picture.mode == "RGBA":
        return picture.convert("RGB") if picture.getextrema()[3] == (0, 0) else picture  # type: ignore[misc]
    if picture.mode in PLAIN_MODES or _transform(picture.info.get("icc_profile"), picture.mode):
        picture.load()
        return picture
    if picture.mode == "1":
        return picture.convert("L")
    return picture.convert({"La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(picture.mode, "RGB"))


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    mode = {"LA": "L", "RGBA": "RGB"}.get(picture.mode, picture.mode)
    transform = _transform(profile, mode)
    if transform is None:
        return picture
    converted = ImageCms.applyTransform(picture.convert(mode), transform)
    assert converted is not None  # noqa: S101  (it is not converted in place)
    converted = converted.convert("L") if mode == "L" else converted
    if mode != picture.mode:
        converted.putalpha(picture.getchannel("A"))
    return converted


@lru_cache(64)
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile's colours to sRGB; None where that changes nothing, or it is not usable."""
    if not profile or mode not in {"L", "RGB", "CMYK"}:
        return None
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            flags=ImageCms.Flags.NOCACHE,  # it is shared by threads
        )
        ramp = [(r, g, b) for r in range(0, 256, 51) for g in range(0, 256, 51) for b in range(0, 256, 51)]
        sample = Image.new("RGB", (len(ramp), 1))
        sample.putdata(ramp)
        sample = sample.convert(mode)
        seen = ImageCms.applyTransform(sample, transform)
        pairs = zip(seen.convert("RGB").tobytes(), sample.convert("RGB").tobytes(), strict=True)  # type: ignore[union-attr]
        return transform if max(abs(a - b) for a, b in pairs) > SAME_COLOUR else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _colour_mode(picture: Image.Image) -> str:
    """The mode in which the colours of an image are converted."""
    if picture.mode in {"L", "LA", "La", "1"} or _is_deep(picture.mode):
        return "L"
    return "CMYK" if picture.mode == "CMYK" else "RGB"


def _orientation(picture: Image.Image) -> int:
    """EXIF's number; 1 (upright) where there is none, and for TIFF, which Pillow turns by itself."""
    if "exif" not in picture.info or picture.format == "TIFF":
        return 1
    value = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) else 1


def _is_deep(mode: str) -> bool:
    return mode == "I" or mode.startswith("I;16")


def _raw_mode(picture: Image.Image) -> str:
    """How the pixels are stored, such as ``RGB;16B``."""
    tile = getattr(picture, "tile", None)
    arguments = tile[0][3] if tile else ""
    return str(arguments if isinstance(arguments, str) else arguments and arguments[0])


def _extrema(picture: Image.Image) -> list[tuple[float, float]]:
    extrema = picture.getextrema()
    return [extrema] if isinstance(extrema[0], int | float) else list(extrema)


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode != "P" or picture.palette is None:
        return picture.mode in GREY_MODES
    order, palette = picture.palette.getdata()
    step = len(order.partition(";")[0])
    return order[:3] in {"RGB", "BGR"} and palette[0::step] == palette[1::step] == palette[2::step]


def reading(opened: Opened, read: Callable[[BinaryIO], T]) -> T | str:
    """What ``read`` makes of an image's stream, or what is wrong with it: containers raise anything."""
    if opened.stream is None:
        return opened.flaw
    try:
        return read(opened.stream)
    except Flaw as flaw:
        return str(flaw)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever the archive's compression raises)
        return f"unreadable: {error}"


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever Pillow makes of hostile bytes is a :class:`Flaw` of this one image."""
    try:
        yield
    except (Flaw, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise Flaw("not an image in a format that is read (" + ", ".join(FORMATS).lower() + ")") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"{Image.MAX_IMAGE_PIXELS or 0:,}"
        raise Flaw(f"more than {limit} pixels (data.max_pixels)") from error
    except Exception as error:  # decoders raise anything from struct.error to RecursionError
        text = " ".join(str(error).split())
        if "truncated" in text.lower():
            raise Flaw("truncated") from error
        raise Flaw(f"damaged: {text}" if text else f"damaged ({type(error).__name__})") from error
