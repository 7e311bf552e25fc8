"""GIF89a with one palette for all frames: what does not move does not flicker.

Grey pictures get the 256 levels of grey, and so stay exactly what they were. For others the palette is chosen from a glimpse
of frames from all over the film (median cut, Heckbert, 1982, refined by k-means), and each pixel takes the nearest colour:
error diffusion would put its noise elsewhere in every frame.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from gancli.sampling.encoders.film import Film, Pixels

__all__ = ["CENTISECONDS", "write"]

CENTISECONDS = 100
"""The unit in which GIF counts the time of a frame, per second."""

_COLOURS = 256
_BLOCK = 255
_KEEP = 1 << 2  # disposal method: the next frame is drawn over this one
_GLIMPSE_PIXELS = 2**14
"""As many as the palette is chosen from. Ten times as many give the same error and take ten times as long or more."""

_SETTLED = 64
"""k-means ends when at most this many of them change their colour."""


def write(file: BinaryIO, frames: Iterator[Pixels], film: Film) -> None:
    """Write all of it; uint8 ``(h, w, 1)`` or ``(h, w, 3)`` per frame."""
    palette, indices_of = _grey() if film.channels == 1 else _colour(film.glimpse())
    file.write(b"GIF89a" + struct.pack("<HH3B", film.width, film.height, 0xF7, 0, 0) + palette)
    if film.loop:
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
    if told := film.told():
        file.write(b"\x21\xfe" + _blocks(told))
    before: Pixels | None = None
    for number, pixels in enumerate(frames):
        indices = indices_of(pixels)
        file.write(b"\x21\xf9\x04" + struct.pack("<BHBB", _KEEP, film.ticks(number, CENTISECONDS), 0, 0))
        file.write(_image(indices, before))
        before = indices
    file.write(b"\x3b")


def _image(indices: Pixels, before: Pixels | None) -> bytes:
    """The smallest rectangle that holds all that has changed."""
    top, bottom, left, right = 0, indices.shape[0], 0, indices.shape[1]
    if before is not None:
        changed = indices != before
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        top, bottom, left, right = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if len(rows) else (0, 1, 0, 1)
    picture = Image.fromarray(np.ascontiguousarray(indices[top:bottom, left:right]))
    place = struct.pack("<4HB", left, top, picture.width, picture.height, 0)
    return b"\x2c" + place + b"\x08" + picture.tobytes("gif", "L", 8, 0) + b"\x00"


def _grey() -> tuple[bytes, Callable[[Pixels], Pixels]]:
    return bytes(level for level in range(_COLOURS) for _ in range(3)), lambda pixels: pixels[:, :, 0]


def _colour(glimpse: Iterator[Pixels]) -> tuple[bytes, Callable[[Pixels], Pixels]]:
    seen = np.concatenate([pixels.reshape(-1, 3) for pixels in glimpse])
    seen = seen[:: -(-len(seen) // _GLIMPSE_PIXELS)]
    chosen = Image.fromarray(seen[None]).quantize(_COLOURS, Image.Quantize.MEDIANCUT, kmeans=_SETTLED)
    palette = bytes(chosen.getpalette() or ()).ljust(3 * _COLOURS, b"\0")

    def indices_of(pixels: Pixels) -> Pixels:
        return np.asarray(Image.fromarray(pixels).quantize(palette=chosen, dither=Image.Dither.NONE))

    return palette, indices_of


def _blocks(data: bytes) -> bytes:
    pieces = (data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK))
    return b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0"
