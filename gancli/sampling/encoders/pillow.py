"""WebP, AVIF and APNG, which Pillow writes. WebP and APNG show every visible pixel exactly; AVIF is smaller and nearly exact.

Pillow encodes WebP and AVIF frame by frame, so that memory grows by the encoded frames only; of an APNG it keeps every frame
until the last, so that one of more than a gibibyte of pixels is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from gancli.errors import UsageError
from gancli.images import png_metadata, to_picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from gancli.sampling.encoders.film import Film, Pixels

__all__ = ["write_apng", "write_avif", "write_webp"]

_MILLISECONDS = 1000
_IMAGE_DESCRIPTION = 0x010E
_MOST_BYTES = 2**30


class _Frames(Image.Image):
    """All frames as one image of Pillow's, each made when it is sought, in order."""

    def __init__(self, frames: Iterator[Pixels], film: Film) -> None:
        super().__init__()
        self._frames = frames
        self._position = -1
        self.n_frames, self.is_animated = film.frames, film.frames > 1
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Make the next frame, if it is the one."""
        if frame >= self.n_frames:
            raise EOFError
        if frame > self._position:
            picture = to_picture(next(self._frames))
            if picture.mode in {"L", "LA"}:
                picture = picture.convert("RGB" if picture.mode == "L" else "RGBA")
            self.im, self._mode, self._size, self._position = picture.im, picture.mode, picture.size, frame

    def tell(self) -> int:
        """The number of the frame that is there."""
        return self._position


def write_webp(file: BinaryIO, frames: Iterator[Pixels], film: Film) -> None:
    """Write all of it, lossless; uint8 ``(h, w, c)`` per frame."""
    _Frames(frames, film).save(
        file,
        format="WEBP",
        save_all=True,
        lossless=True,
        quality=50,
        method=0,
        loop=0 if film.loop else 1,
        duration=[film.ticks(number, _MILLISECONDS) for number in range(film.frames)],
        exif=_exif(film),
    )


def write_avif(file: BinaryIO, frames: Iterator[Pixels], film: Film) -> None:
    """Write all of it, with full resolution of colour; uint8 ``(h, w, c)`` per frame. It is always shown again and again."""
    _Frames(frames, film).save(
        file,
        format="AVIF",
        save_all=True,
        quality=90,
        subsampling="4:4:4",
        speed=8,
        duration=[film.ticks(number, _MILLISECONDS) for number in range(film.frames)],
        exif=_exif(film),
    )


def write_apng(file: BinaryIO, frames: Iterator[Pixels], film: Film) -> None:
    """Write all of it; uint8 ``(h, w, c)`` per frame.

    Raises:
        UsageError: the frames together have more than 1 GiB of pixels.
    """
    size = film.frames * film.height * film.width * film.channels
    if size > _MOST_BYTES:
        raise UsageError(
            f"{film.frames:,} frames of {film.width:,}x{film.height:,} pixels are {size / 1e9:,.1f} GB, all kept in memory.",
            "Choose .webp or .mp4, fewer frames, or a smaller --scale.",
        )
    first, *others = map(to_picture, frames)
    first.save(
        file,
        format="PNG",
        save_all=True,
        append_images=others,
        loop=0 if film.loop else 1,
        duration=float(_MILLISECONDS / film.fps),
        pnginfo=png_metadata(film.metadata),
    )


def _exif(film: Film) -> Image.Exif | bytes:
    told = film.told()
    if not told:
        return b""  # an empty Exif would be written all the same
    exif = Image.Exif()
    exif[_IMAGE_DESCRIPTION] = told.decode()
    return exif
