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

Formats are recognised by content, never by name, and only those of ``FORMATS`` are tried: the decoders of
Pillow that are in wide use, and fuzzed. An image of more than ``data.max_pixels`` is refused before
it is decoded; a JPEG may be larger, because it is decoded at a fraction of its size.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from io import BytesIO
from itertools import product
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin, UnidentifiedImageError

from gancli.config.schema import DataConfig
from gancli.data.fit import DEEPEST, MODES, Fit, channels_first, choose, place
from gancli.data.paths import open_regular, quoted
from gancli.errors import DatasetError
from gancli.images import normalise
from gancli.storage.system import usable_cores

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from gancli.data.source import Watch
    from gancli.plugin import ImageSpec

T = TypeVar("T")
Opener = Callable[[], BinaryIO]  # opens one encoded image, or raises a Flaw

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI", "ICO", "TGA")
MAX_FILE_BYTES = 256 * 2**20  # the largest encoded image that is read
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
SPARE_ALPHA = frozenset({"BMP", "DIB", "TGA"})  # formats whose fourth byte is often written as 0 and means nothing
LYING = frozenset({5, 6, 7, 8})  # EXIF orientations in which width and height are exchanged
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
DRAFT = 2  # a JPEG may be decoded at a fraction of its size that is at least this many times the final one
DRAFTED = 4  # a JPEG may have this many times the pixels of other images
JPEG, END_OF_JPEG = b"\xff\xd8\xff", b"\xff\xd9"
TAILS = (b"", bytes(range(1, 251)), bytes(range(250, 0, -1)))
PNG, PNG_CHUNKS = b"\x89PNG\r\n\x1a\n", (b"tRNS", b"iCCP", b"eXIf")
"""How a PNG begins, and the chunks that matter besides those without which there is no image."""
SAME_COLOUR = 3  # a profile that moves no colour by more than this, of 255, is taken for sRGB
CHUNK_IMAGES, CHUNK_BYTES = 32, 2**22
"""A thread gets this much at a time: so many images, or so many bytes and the one that exceeds them."""


class Flaw(Exception):  # noqa: N818  (a property of one image, which is counted and skipped)
    """Why one image cannot be used, as the end of a sentence: ``truncated``."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an image before it is decoded."""

    width: int  # in pixels, as it is seen
    height: int  # likewise
    format: str
    mode: str  # Pillow's word for channels and depth, such as RGB or I;16
    grey: bool  # whether it has no colour, as far as mode and palette tell
    alpha: bool  # whether it may be transparent somewhere
    frames: int = 1  # of an animation, or pages of a stack
    profile: bool = False  # whether its colours are to be converted to sRGB
    deepest: int = 0  # the largest value of 16 bits per channel; 0 for 8 bits


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


def reading(opener: Opener, read: Callable[[BinaryIO], T]) -> T | Flaw:
    """What ``read`` makes of an image's stream, or what is wrong with it: containers raise anything."""
    try:
        with opener() as stream:
            return read(stream)
    except Flaw as flaw:
        return flaw
    except DatasetError as error:
        return Flaw(str(error).rstrip("."))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever the archive's compression raises)
        return Flaw(f"unreadable: {error}")


def read_all(stream: BinaryIO) -> bytes:
    """Everything in ``stream``."""
    data = stream.read(MAX_FILE_BYTES + 1)
    if flaw := flaw_of_size(len(data)):
        raise flaw
    return data


def flaw_of_size(size: int) -> Flaw | None:
    """Why an encoded image of so many bytes is not read, if it is not."""
    if 0 < size <= MAX_FILE_BYTES:
        return None
    return Flaw(f"larger than {MAX_FILE_BYTES >> 20} MiB" if size else "empty")


def header(stream: BinaryIO) -> Header:
    """What an image says of itself. For use within :func:`picky_pillow`.

    Pixels are decoded only where nothing else tells their range, or whether alpha means anything.
    """
    with _explained(), _opened(stream, whole=False) as (image, frames):
        width, height = image.size[::-1] if _orientation(image) in LYING else image.size
        deepest, stored = 0, str(getattr(image, "tile", [])[:1])  # with the raw mode, such as RGB;16B
        if ";16" in stored or _is_deep(image.mode):
            stream.seek(0)
            with _opened(stream, whole=True) as (deep, _):
                largest = np.max(deep.getextrema()) * (1 if _is_deep(deep.mode) else 257)
                deepest = DEEPEST if image.format == "PPM" else round(largest)  # Pillow has scaled PPM
        alpha = image.mode in ALPHA_MODES or "transparency" in image.info
        if alpha and image.format in SPARE_ALPHA:
            alpha = image.getchannel("A").getextrema() != (0, 0)
        grey = image.mode in GREY_MODES
        if image.mode == "P" and image.palette is not None:
            order, palette = image.palette.getdata()
            step = len(order.partition(";")[0])
            grey = order[:3] in {"RGB", "BGR"} and palette[0::step] == palette[1::step] == palette[2::step]
        colours = "CMYK" if image.mode == "CMYK" else "L" if image.mode in GREY_MODES - {"F"} else "RGB"
        return Header(
            width=width,
            height=height,
            format=image.format or "",
            mode=image.mode,
            grey=grey,
            alpha=alpha,
            frames=frames,
            profile=_transform(image.info.get("icc_profile"), colours) is not None,
            deepest=deepest,
        )


def decode(stream: BinaryIO, fit: Fit) -> NDArray[np.uint8]:
    """The image as uint8 ``(channels, height, width)``. For use within :func:`picky_pillow`.

    A JPEG without its end marker is whole if no pixel changes with what follows its last byte.
    """
    data = stream.read()
    with _explained():
        try:
            return _decode(data, fit)
        except OSError as error:
            if not data.startswith(JPEG) or "truncated" not in str(error):
                raise
            data = data.rstrip(b"\xff")
            with suppress(OSError):
                first, *others = (_decode(data + tail + END_OF_JPEG, fit) for tail in TAILS)
                if all((other == first).all() for other in others):
                    return first
            raise


def survey(images: Iterable[Opener], watch: Watch, total: int) -> list[Header | Flaw]:
    """For each image its header, or what is wrong with it. For use within :func:`picky_pillow`."""
    found = []
    for opener in images:
        found.append(reading(opener, header))
        watch("reading headers", len(found), total)
    return found


def decode_all(images: Iterable[Opener], fit: Fit, workers: int | None = None) -> Iterator[NDArray[np.uint8] | Flaw]:
    """The pixels ``(c, h, w)`` of every image, or its flaw, in order, in bounded memory.

    Threads, not processes: Pillow releases the interpreter's lock while it decodes and scales, a
    thread needs no copy of what it returns, and Ctrl-C ends them all.
    """
    workers = workers or usable_cores()
    waiting: deque[Future[list[NDArray[np.uint8] | Flaw]]] = deque()

    def decoded(chunk: list[bytes | Flaw]) -> list[NDArray[np.uint8] | Flaw]:
        read = partial(decode, fit=fit)
        return [data if isinstance(data, Flaw) else reading(partial(BytesIO, data), read) for data in chunk]

    chunk: list[bytes | Flaw] = []
    size = 0
    pool = ThreadPoolExecutor(workers, "gancli-decode")
    try:
        for opener in images:
            chunk.append(data := reading(opener, read_all))
            size += 0 if isinstance(data, Flaw) else len(data)
            if len(chunk) == CHUNK_IMAGES or size > CHUNK_BYTES:
                waiting.append(pool.submit(decoded, chunk))
                chunk, size = [], 0
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        waiting.append(pool.submit(decoded, chunk))
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(data: bytes, fit: Fit) -> NDArray[np.uint8]:
    with _opened(BytesIO(data), whole=True) as (image, _):
        orientation = _orientation(image)
        target = replace(fit, height=fit.width, width=fit.height) if orientation in LYING else fit
        extent = None
        if image.format in {"JPEG", "MPO"}:  # decoded at a fraction of its size
            scale = DRAFT if image.size[0] * image.size[1] <= (Image.MAX_IMAGE_PIXELS or 0) else 1
            drafted = image.draft(image.mode, (scale * target.width, scale * target.height))
            extent = drafted and (drafted[1][2], drafted[1][3])
            Image._decompression_bomb_check(image.size)  # noqa: SLF001  (as Image.open does)
        profile, seen = image.info.get("icc_profile"), _eight_bits(image, fit.white)
        mode = {"LA": "L", "RGBA": "RGB"}.get(seen.mode, seen.mode)
        if transform := _transform(profile, mode):
            converted = ImageCms.applyTransform(seen.convert(mode), transform)
            assert converted is not None  # noqa: S101  (it is not converted in place)
            converted = converted.convert("L") if mode == "L" else converted
            if mode != seen.mode:
                converted.putalpha(seen.getchannel("A"))
            seen = converted
        placed = place(seen, target, extent)
        return channels_first(placed.transpose(TURNS[orientation]) if orientation in TURNS else placed)


@contextmanager
def _opened(stream: BinaryIO, *, whole: bool) -> Iterator[tuple[Image.Image, int]]:
    """The image, not decoded, and the number of its frames."""
    start = stream.read(len(PNG))
    stream.seek(0)
    frames = 1
    if start.startswith(JPEG):  # its pixels are counted when it was drafted
        try:
            image: Image.Image = JpegImagePlugin.jpeg_factory(stream)
        except (SyntaxError, IndexError, TypeError, KeyError, struct.error) as error:
            raise UnidentifiedImageError from error
        if image.size[0] * image.size[1] > DRAFTED * (Image.MAX_IMAGE_PIXELS or 0):
            raise Image.DecompressionBombError
    else:
        if start == PNG:
            stream, frames = _essential(stream, whole=whole)
        image = Image.open(stream, formats=FORMATS)
        if not whole and image.format != "PNG":  # in a JPEG they would be the previews that phones hide there
            with suppress(Exception):  # of a damaged later frame, which is not used anyway
                frames = int(getattr(image, "n_frames", 1))
            image.seek(0)
    with image:
        yield image, frames


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
        is_critical = not kind[0] & 0x20
        if is_critical or (kind in PNG_CHUNKS and body[size:] == zlib.crc32(kind + body[:size]).to_bytes(4)):
            kept += head + body
    return BytesIO(bytes(kept) + head), frames


def _eight_bits(image: Image.Image, white: int) -> Image.Image:
    """The first frame, decoded, in one of the modes L, LA, RGB and RGBA (or CMYK with a profile)."""
    if image.mode == "F":
        raise Flaw("floating-point pixels, whose range is not known")
    if _is_deep(image.mode):
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() > DEEPEST:
            raise Flaw(f"pixels from {deep.min():,} to {deep.max():,}, of which no range is known")
        white = DEEPEST if image.format == "PPM" else white
        return Image.fromarray(((255 * deep + white // 2) // white).clip(0, 255).astype(np.uint8))
    if "transparency" in image.info:
        return image.convert("LA" if image.mode in {"1", "L"} else "RGBA")
    if image.format in SPARE_ALPHA and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")
    if image.mode in MODES.values() or _transform(image.info.get("icc_profile"), image.mode):
        image.load()
        return image
    return image.convert({"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(image.mode, "RGB"))


@lru_cache(64)
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile's colours to sRGB; None where that changes nothing, or it is not usable."""
    if not profile or mode not in {"L", "RGB", "CMYK"}:
        return None
    try:
        given, srgb = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        flags = ImageCms.Flags.NOCACHE  # it is shared by threads
        transform = ImageCms.buildTransform(given, srgb, mode, "RGB", flags=flags)
        ramp = list(product(range(0, 256, 51), repeat=3))
        sample = Image.new("RGB", (len(ramp), 1))
        sample.putdata(ramp)
        sample = sample.convert(mode)
        seen = ImageCms.applyTransform(sample, transform)
        pairs = zip(seen.convert("RGB").tobytes(), sample.convert("RGB").tobytes(), strict=True)  # type: ignore[union-attr]
        return transform if max(abs(a - b) for a, b in pairs) > SAME_COLOUR else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _orientation(image: Image.Image) -> int:
    """EXIF's number; 1 (upright) where there is none, and for TIFF, which Pillow turns by itself."""
    if "exif" not in image.info or image.format == "TIFF":
        return 1
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) else 1


def _is_deep(mode: str) -> bool:
    return mode == "I" or mode.startswith("I;16")


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
        raise Flaw(f"more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels (data.max_pixels)") from error
    except Exception as error:  # decoders raise anything from struct.error to RecursionError
        text = " ".join(str(error).split()) or type(error).__name__
        raise Flaw("truncated" if "truncated" in text.lower() else f"damaged: {text}") from error


def load_files(sources: Sequence[Path | Image.Image], image: ImageSpec, settings: Mapping[str, object]) -> Tensor:
    """Single images as a model of ``image`` saw its training images: float32 ``(n, c, h, w)`` in [-1, 1].

    Of the settings of its training, by dotted key, ``data.fit`` and others say how images are fitted.
    """
    import torch

    keys = [key for key in ("fit", "background", "alpha", "max_pixels") if f"data.{key}" in settings]
    config = DataConfig.model_validate({key: settings[f"data.{key}"] for key in keys})
    config = config.model_copy(update={"image_size": f"{image.height}x{image.width}", "channels": image.channels})
    pixels = np.empty((len(sources), *image.shape), np.uint8)
    with picky_pillow(config.max_pixels):
        for i, source in enumerate(sources):
            name = "The image" if isinstance(source, Image.Image) else quoted(source)
            with BytesIO() if isinstance(source, Image.Image) else open_regular(source) as file:
                if isinstance(source, Image.Image):
                    source.save(file, "PNG", icc_profile=source.info.get("icc_profile"))
                try:
                    file.seek(0)
                    fit = choose([header(file)], config)
                    file.seek(0)
                    pixels[i] = decode(file, fit)
                except Flaw as flaw:
                    raise DatasetError(f"{name} cannot be read as an image: {flaw}.", "Give a PNG or JPEG.") from flaw
    return normalise(torch.from_numpy(pixels))
