"""Animations as files. Pillow writes WebP, AVIF and APNG, PyAV writes MP4 (the extra ``video``), and GIF is written here.

WebP and APNG show every visible pixel exactly, and so does GIF where images are grey; AVIF and MP4 are nearly exact. Memory
grows by the encoded frames only, except for an APNG, of which Pillow keeps every frame until the last.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from PIL import Image

from gancli.errors import PluginError, UsageError
from gancli.images import text_chunks, to_picture
from gancli.plugins.installation import require
from gancli.storage import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from fractions import Fraction
    from pathlib import Path

    from av import VideoStream

    from gancli.images import Pixels

_GIF_TICKS, _MILLISECONDS = 100, 1000
_MOST_BYTES = 2**30
_IMAGE_DESCRIPTION = 0x010E
# as many as a palette is chosen from. Ten times as many give the same error and take ten times as long or more.
_GLIMPSE_PIXELS = 2**14
_SETTLED = 64  # k-means ends when at most this many of them change their colour
# the first that the installed FFmpeg has, with its options
_CODECS = {"libx264": {"crf": "14", "preset": "medium"}, "libopenh264": {}, "mpeg4": {"qscale": "2"}}


@dataclass(frozen=True, slots=True)
class Film:
    """What has to be known about an animation before its first frame.

    ``metadata`` say how it was made; ``glimpse`` generates a few of the frames, uint8 ``(h, w, c)``, to choose a palette from.
    """

    frames: int
    height: int
    width: int
    channels: int
    fps: Fraction
    loop: bool
    metadata: dict[str, Any]
    glimpse: Callable[[], Iterator[Pixels]]

    @property
    def comment(self) -> str:
        """The metadata as JSON in ASCII; empty if there are none."""
        return json.dumps(self.metadata, ensure_ascii=True) if self.metadata else ""

    def ticks(self, per_second: int) -> list[int]:
        """How long each frame is shown, in units of 1 / ``per_second``: to the tick nearest to its true end.

        >>> from fractions import Fraction
        >>> Film(6, 1, 1, 1, Fraction(30), True, {}, lambda: iter(())).ticks(100)
        [3, 4, 3, 3, 4, 3]
        """
        ends = [round(frame * per_second / self.fps) for frame in range(self.frames + 1)]
        return [end - start for start, end in pairwise(ends)]


def _write_gif(file: BinaryIO, frames: Iterator[Pixels], film: Film) -> None:
    """GIF89a with one palette for all frames: what does not move does not flicker.

    Grey images get the 256 levels of grey. For others the palette is chosen from a glimpse of the film (median cut, Heckbert,
    1982, refined by k-means), and each pixel takes the nearest colour: dithering would flicker.
    """
    palette, chosen = bytes(level for level in range(256) for _ in range(3)), None
    if film.channels > 1:
        seen = np.concatenate([pixels.reshape(-1, 3) for pixels in film.glimpse()])
        seen = seen[:: -(-len(seen) // _GLIMPSE_PIXELS)]
        chosen = Image.fromarray(seen[None]).quantize(256, Image.Quantize.MEDIANCUT, kmeans=_SETTLED)
        palette = bytes(chosen.getpalette() or ()).ljust(3 * 256, b"\0")
    file.write(b"GIF89a" + struct.pack("<HH3B", film.width, film.height, 0xF7, 0, 0) + palette)
    if film.loop:
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
    if comment := film.comment.encode():
        pieces = (comment[start : start + 255] for start in range(0, len(comment), 255))
        file.write(b"\x21\xfe" + b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0")
    before: Pixels | None = None
    for pixels, ticks in zip(frames, film.ticks(_GIF_TICKS), strict=True):
        indices = pixels[:, :, 0]
        if chosen:
            indices = np.asarray(Image.fromarray(pixels).quantize(palette=chosen, dither=Image.Dither.NONE))
        changed = np.ones_like(indices, dtype=bool) if before is None else indices != before
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        # the smallest rectangle that holds all that has changed
        top, bottom, left, right = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if len(rows) else (0, 1, 0, 1)
        part = Image.fromarray(np.ascontiguousarray(indices[top:bottom, left:right]))
        file.write(b"\x21\xf9\x04" + struct.pack("<BHBB", 1 << 2, ticks, 0, 0))  # to be left in place for the next
        file.write(b"\x2c" + struct.pack("<4HB", left, top, *part.size, 0) + b"\x08" + part.tobytes("gif", "L", 8, 0) + b"\0")
        before = indices
    file.write(b"\x3b")


class _Frames(Image.Image):
    """All frames as one image of Pillow's, each made when it is sought, in order."""

    def __init__(self, frames: Iterator[Pixels], film: Film) -> None:
        super().__init__()
        self._frames, self._position = frames, -1
        self.n_frames, self.is_animated = film.frames, film.frames > 1
        self.seek(0)

    def seek(self, frame: int) -> None:
        if frame >= self.n_frames:
            raise EOFError
        if frame > self._position:
            image = to_picture(next(self._frames))
            if image.mode in {"L", "LA"}:
                image = image.convert("RGB" if image.mode == "L" else "RGBA")
            self.im, self._mode, self._size, self._position = image.im, image.mode, image.size, frame

    def tell(self) -> int:
        return self._position


def _save(file: BinaryIO, frames: Iterator[Pixels], film: Film, *, kind: str, **options: object) -> None:
    exif: Image.Exif | bytes = b""  # an empty Exif would be written all the same
    if film.comment:
        exif = Image.Exif()
        exif[_IMAGE_DESCRIPTION] = film.comment
    duration, loop = film.ticks(_MILLISECONDS), 0 if film.loop else 1  # an AVIF is always shown again and again
    _Frames(frames, film).save(file, kind, save_all=True, duration=duration, loop=loop, exif=exif, **options)


_write_webp = partial(_save, kind="WEBP", lossless=True, quality=50, method=0)
_write_avif = partial(_save, kind="AVIF", quality=90, subsampling="4:4:4", speed=8)  # with full resolution of colour


def _write_apng(file: BinaryIO, frames: Iterator[Pixels], film: Film) -> None:
    size = film.frames * film.height * film.width * film.channels
    if size > _MOST_BYTES:
        raise UsageError(
            f"{film.frames:,} frames of {film.width:,}x{film.height:,} pixels are {size / 1e9:,.1f} GB, all kept in memory.",
            "Choose .webp or .mp4, fewer frames, or a smaller --scale.",
        )
    first, *others = map(to_picture, frames)
    duration, loop = float(_MILLISECONDS / film.fps), 0 if film.loop else 1
    chunks = text_chunks(film.metadata)
    first.save(file, "PNG", save_all=True, append_images=others, loop=loop, duration=duration, pnginfo=chunks)


def _write_mp4(file: BinaryIO, frames: Iterator[Pixels], film: Film) -> None:
    """H.264, if FFmpeg has it. An odd side gets its last row or column twice."""
    import av

    codec = next((name for name in _CODECS if name in av.codecs_available), None)
    if codec is None:
        problem = f"This FFmpeg has none of the encoders {', '.join(_CODECS)}."
        raise PluginError(problem, "Install the one of PyPI: pip install --force-reinstall av")
    with av.open(file, "w", format="mp4", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata["comment"] = film.comment
        stream = cast("VideoStream", container.add_stream(codec, rate=film.fps, options=_CODECS[codec]))
        stream.height, stream.width = film.height + film.height % 2, film.width + film.width % 2
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            even = np.pad(pixels, ((0, film.height % 2), (0, film.width % 2), (0, 0)), mode="edge")
            colour = np.ascontiguousarray(np.broadcast_to(even, (*even.shape[:2], 3)))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(colour, format="rgb24")))
        container.mux(stream.encode())


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of animation: what writes it, its limits, and what says that a package is missing for it."""

    encode: Callable[[BinaryIO, Iterator[Pixels], Film], None]
    largest_side: int
    fastest_fps: int  # beyond which programs show it at another speed
    alpha: bool = True
    check: Callable[[], object] = lambda: None

    def write(self, target: Path, frames: Iterator[Pixels], film: Film) -> None:
        """Write uint8 ``(h, w, c)`` per frame; what is there is replaced when all is complete."""
        disk.refuse_missing_parent(target)
        with disk.replacing(target) as scratch, scratch.open("wb") as file:
            self.encode(file, frames, film)


FORMATS = {
    ".gif": Format(_write_gif, 2**16 - 1, _GIF_TICKS // 2, alpha=False),  # viewers slow down frames of 1/100 s
    ".webp": Format(_write_webp, 2**14 - 1, 60),
    ".apng": Format(_write_apng, 2**31 - 1, 60),
    ".avif": Format(_write_avif, 2**16, 60),
    ".mp4": Format(_write_mp4, 2**13, 240, alpha=False, check=partial(require, "video", "av")),
}
