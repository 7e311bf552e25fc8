"""Animated WebP, lossless: every pixel exactly. Its container is RIFF; see Google's "WebP Container Specification"."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from gancli.images import to_picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from gancli.sampling.encoders.film import Film, Pixels

__all__ = ["MILLISECONDS", "write"]

MILLISECONDS = 1000
"""The unit in which WebP counts the time of a frame, per second."""

_ANIMATION, _EXIF, _ALPHA = 0x02, 0x08, 0x10
_REPLACE = 0x02  # do not blend with the frame before
_IMAGE_DESCRIPTION = 0x010E
_HEAD = struct.Struct("<4sI")


def write(file: BinaryIO, frames: Iterator[Pixels], film: Film) -> None:
    """Write all of it; uint8 ``(h, w, c)`` per frame. The file has to be one in which one can go back."""
    start = file.tell()
    flags = _ANIMATION | (_EXIF if film.metadata else 0) | (_ALPHA if film.channels in {2, 4} else 0)
    size = _three(film.width - 1) + _three(film.height - 1)
    file.write(_HEAD.pack(b"RIFF", 0) + b"WEBP")
    file.write(_chunk(b"VP8X", struct.pack("<I", flags) + size))
    file.write(_chunk(b"ANIM", struct.pack("<IH", 0, 0 if film.loop else 1)))
    for number, pixels in enumerate(frames):
        place = _three(0) + _three(0) + size + _three(film.ticks(number, MILLISECONDS)) + bytes([_REPLACE])
        file.write(_chunk(b"ANMF", place + _compressed(pixels)))
    if told := film.told():
        exif = Image.Exif()
        exif[_IMAGE_DESCRIPTION] = told.decode()
        file.write(_chunk(b"EXIF", exif.tobytes().removeprefix(b"Exif\0\0")))
    end = file.tell()
    file.seek(start)
    file.write(_HEAD.pack(b"RIFF", end - start - _HEAD.size))
    file.seek(end)


def _compressed(pixels: Pixels) -> bytes:
    """One frame as a chunk: what a file of Pillow's holds after its head of 12 bytes."""
    buffer = BytesIO()
    to_picture(pixels).save(buffer, format="WEBP", lossless=True, exact=True, quality=50, method=0)
    return buffer.getvalue()[12:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return _HEAD.pack(kind, len(data)) + data + b"\0" * (len(data) % 2)


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")
