"""Compressed files, told by their first bytes rather than by their names."""

from __future__ import annotations

import bz2
import gzip
import lzma
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedIOBase, BufferedReader

__all__ = ["decompressed"]


def decompressed(raw: BufferedReader) -> BufferedIOBase:
    """What is in a file that is plain, gzip, xz or bzip2. Nothing is decompressed before it is read."""
    magic = raw.peek(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(raw)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    return raw
