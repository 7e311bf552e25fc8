"""What has to be known about a moving picture before its first frame."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["Film"]


@dataclass(frozen=True, slots=True)
class Film:
    """A moving picture.

    Attributes:
        frames: how many there are.
        height: pixels.
        width: pixels.
        channels: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha.
        fps: frames per second.
        loop: whether it is shown again and again, or once.
        metadata: how it was made; empty to tell nothing.
        glimpse: draws a few of the frames, uint8 ``(h, w, c)`` each, from which a palette can be chosen.
    """

    frames: int
    height: int
    width: int
    channels: int
    fps: Fraction
    loop: bool
    metadata: dict[str, Any]
    glimpse: Callable[[], Iterator[Pixels]]

    def told(self) -> bytes:
        """The metadata as JSON in ASCII; empty if there are none."""
        return json.dumps(self.metadata, ensure_ascii=True).encode() if self.metadata else b""

    def ticks(self, frame: int, per_second: int) -> int:
        """How long a frame is shown, in units of 1 / ``per_second``.

        Each frame ends at the tick that is nearest to its true end, so that errors do not add up.

        >>> from fractions import Fraction
        >>> film = Film(3, 1, 1, 1, Fraction(30), True, {}, lambda: iter(()))
        >>> [film.ticks(frame, 100) for frame in range(6)]
        [3, 4, 3, 3, 4, 3]
        """
        return round((frame + 1) * per_second / self.fps) - round(frame * per_second / self.fps)
