"""How work on pictures tells how far it is: ``watch(what, done, total)``."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Watch", "unwatched"]

Watch = Callable[[str, int, int], None]
"""Called often with what is being done, such as ``decoding``, how much of it is done, and of how much (0: not known)."""


def unwatched(what: str, done: int, total: int) -> None:
    """Nobody looks."""
