"""Animated PNG: every pixel exactly, in programs that know PNG only the first frame. PNG specification, third edition."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

from gancli.images import save_png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from gancli.sampling.encoders.film import Film, Pixels

__all__ = ["LARGEST_TICKS", "write"]

LARGEST_TICKS = 2**16 - 1
"""A frame's time is a fraction of two numbers of at most this."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">I4s")


def write(file: BinaryIO, frames: Iterator[Pixels], film: Film) -> None:
    """Write all of it; uint8 ``(h, w, c)`` per frame."""
    seconds = (1 / film.fps).limit_denominator(LARGEST_TICKS)
    sequence = 0
    for number, pixels in enumerate(frames):
        place = struct.pack(">5I2H2B", sequence, film.width, film.height, 0, 0, *seconds.as_integer_ratio(), 0, 0)
        sequence += 1
        control = _chunk(b"fcTL", place)
        buffer = BytesIO()
        save_png(pixels, buffer, {} if number else film.metadata)
        before, data = _parts(buffer.getvalue())
        if number == 0:
            animation = _chunk(b"acTL", struct.pack(">2I", film.frames, 0 if film.loop else 1))
            file.write(_SIGNATURE + before + animation + control + _chunk(b"IDAT", data))
        else:
            file.write(control + _chunk(b"fdAT", struct.pack(">I", sequence) + data))
            sequence += 1
    file.write(_chunk(b"IEND", b""))


def _parts(png: bytes) -> tuple[bytes, bytes]:
    """Of a picture that Pillow has written: the chunks before its pixels, and its pixels as they are compressed."""
    before, data, start = b"", b"", len(_SIGNATURE)
    while start < len(png):
        length, kind = _HEAD.unpack_from(png, start)
        end = start + _HEAD.size + length + 4
        if kind == b"IDAT":
            data += png[start + _HEAD.size : end - 4]
        elif kind != b"IEND":
            before += png[start:end]
        start = end
    return before, data


def _chunk(kind: bytes, data: bytes) -> bytes:
    return _HEAD.pack(len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))
