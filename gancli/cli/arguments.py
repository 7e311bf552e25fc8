"""The command line as it was typed, and as Typer can read it."""

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["has", "normalise"]

GLOBAL = frozenset({"-q", "--quiet", "--no-color", "--debug"})
"""Options of the program, which may stand anywhere on the line."""


def has(argv: Sequence[str], option: str) -> bool:
    """Whether a flag stands on the line."""
    return option in _before_dashes(argv)


def normalise(argv: Sequence[str]) -> list[str]:
    """The program's own options moved to the front, and the value of ``--resume``, which may be left out, made explicit.

    >>> normalise(["train", "--resume", "--epochs", "40", "-q"])
    ['-q', 'train', '--resume=', '--epochs', '40']
    """
    words = _before_dashes(argv)
    options = [word for word in words if word in GLOBAL]
    rest = [word for word in words if word not in GLOBAL]
    rest = [
        "--resume=" if word == "--resume" and follower.startswith("-") else word for word, follower in pairwise([*rest, "-"])
    ]
    return [*options, *rest, *argv[len(words) :]]


def _before_dashes(argv: Sequence[str]) -> list[str]:
    """The words before a ``--``, after which nothing is an option."""
    words = list(argv)
    return words[: words.index("--")] if "--" in words else words
