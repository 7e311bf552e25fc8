"""Which names in a collection are pictures."""

from __future__ import annotations

__all__ = ["SUFFIXES", "is_litter", "is_picture"]

SUFFIXES = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""How the names of pictures end, in any letter case."""

LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information"})
"""What operating systems leave behind, in lower case; hidden names (``.DS_Store``, ``._1.png``) are litter too."""


def is_litter(part: str) -> bool:
    """Whether a file or folder of this name belongs to the operating system, or is hidden.

    >>> [is_litter(part) for part in (".git", "._cat.png", "__MACOSX", "cat.png", "..")]
    [True, True, True, False, False]
    """
    return (part.startswith(".") and part != "..") or part.lower() in LITTER


def is_picture(name: str) -> bool:
    """Whether the name, with ``/`` between its parts, is a picture's and no part of it is litter.

    >>> [is_picture(name) for name in ("a/B.JPG", "notes.txt", "__MACOSX/a.png", ".hidden/a.png", "./a.png")]
    [True, False, False, False, True]
    """
    return name.lower().endswith(SUFFIXES) and not any(is_litter(part) for part in name.removeprefix("./").split("/"))
