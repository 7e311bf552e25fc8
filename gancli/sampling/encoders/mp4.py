"""MP4: H.264 through PyAV, the extra ``video``. Nearly every program plays it; it is not exact, and does not loop by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from gancli.errors import PluginError
from gancli.plugins.installation import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from av import VideoStream

    from gancli.sampling.encoders.film import Film, Pixels

__all__ = ["check", "write"]

_CODECS = ("libx264", "libopenh264", "mpeg4")
"""The first that the installed FFmpeg has."""

_QUALITY = {"libx264": {"crf": "14", "preset": "medium"}, "libopenh264": {}, "mpeg4": {"qscale": "2"}}


def check() -> None:
    """Say what is missing before anything is drawn.

    Raises:
        PluginError: the extra is not installed.
    """
    require("video", "av")


def write(file: BinaryIO, frames: Iterator[Pixels], film: Film) -> None:
    """Write all of it; uint8 ``(h, w, 1)`` or ``(h, w, 3)`` per frame. An odd side gets its last row or column twice.

    Raises:
        PluginError: the extra is not installed, or its FFmpeg cannot encode.
    """
    check()
    import av

    codec = next((name for name in _CODECS if name in av.codecs_available), None)
    if codec is None:
        raise PluginError(
            f"This FFmpeg has none of the encoders {', '.join(_CODECS)}.",
            "Install the one of PyPI: pip install --force-reinstall av",
        )
    options = {"movflags": "use_metadata_tags"}
    with av.open(file, "w", format="mp4", options=options) as container:
        container.metadata["comment"] = film.told().decode()
        stream = cast("VideoStream", container.add_stream(codec, rate=film.fps, options=_QUALITY[codec]))
        stream.height, stream.width = film.height + film.height % 2, film.width + film.width % 2
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            even = np.pad(pixels, ((0, film.height % 2), (0, film.width % 2), (0, 0)), mode="edge")
            colour = np.ascontiguousarray(np.broadcast_to(even, (*even.shape[:2], 3)))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(colour, format="rgb24")))
        container.mux(stream.encode())
