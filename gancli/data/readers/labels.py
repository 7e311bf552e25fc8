"""Which class each picture of a collection belongs to: from folders, or from the ``dataset.json`` of the StyleGAN tools."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MAX_CLASSES", "SIDECAR", "Labels", "labels_from_names", "sidecar_folders"]

SIDECAR = "dataset.json"
MAX_CLASSES = 65_536
THOUSANDS = re.compile(r"[0-9]{5}")
"""How the StyleGAN tools call the folders among which they divide any pictures, a thousand in each."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The names of the classes, and the number of the class of each picture."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]


def labels_from_names(names: Sequence[str], sidecar: bytes | None = None, top: str = "") -> tuple[Labels | None, str]:
    """The labels of these pictures, if there are any, and a note if something looks like labels but is not used.

    A sidecar wins: ``{"labels": [["a/0.png", 3], ...]}``, with names below its own folder ``top``. Without one, or where it
    says null, the uppermost folders that tell pictures apart are the classes,
    in natural order, if every picture lies in one of at least two.

    >>> labels_from_names(["x/cat/1.png", "x/dog/1.png"])[0]
    Labels(names=('cat', 'dog'), numbers=(0, 1))
    """
    if sidecar is not None:
        labels = _from_sidecar([name.removeprefix(top) for name in names], sidecar)
        if labels is not None:
            return (labels, "") if isinstance(labels, Labels) else (None, labels)
    found, note = _from_folders(names)
    if sidecar is not None and found is not None and all(map(THOUSANDS.fullmatch, found.names)):
        return None, f"{SIDECAR} says that there are no classes: the numbered folders are its thousands of pictures."
    return found, note


def sidecar_folders(names: Sequence[str]) -> list[str]:
    """Where the sidecar of these pictures may lie: at the top, or in a folder that all of them lie in.

    >>> sidecar_folders(["faces/00000/0.png", "faces/00001/9.png"])
    ['', 'faces/']
    """
    folders = [name.split("/")[:-1] for name in names]
    common = folders[0][: _common_depth(folders)] if folders else []
    return ["".join(f"{part}/" for part in common[:depth]) for depth in range(len(common) + 1)]


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts ``2`` before ``10``.

    >>> sorted(["10", "9", "cat"], key=natural)
    ['9', '10', 'cat']
    """
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def _from_folders(names: Sequence[str]) -> tuple[Labels | None, str]:
    folders = [name.split("/")[:-1] for name in names]
    depth = _common_depth(folders)
    tops = [parts[depth] if len(parts) > depth else None for parts in folders]
    classes = sorted({top for top in tops if top is not None}, key=lambda top: (natural(top), top))
    if not classes:
        return None, ""
    outside = sum(top is None for top in tops)
    if outside:
        return None, f"{outside:,} of {len(names):,} pictures lie in no sub-folder, so sub-folders are not taken as classes."
    if len(classes) > MAX_CLASSES:
        return None, f"{len(classes):,} sub-folders are too many to be taken as classes."
    number = {top: i for i, top in enumerate(classes)}
    return Labels(tuple(classes), tuple(number[top] for top in tops if top is not None)), ""


def _common_depth(folders: Sequence[Sequence[str]]) -> int:
    """How many folders all pictures have in common from the top."""
    if not folders:
        return 0
    first, last = min(folders, key=tuple), max(folders, key=tuple)
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def _from_sidecar(names: Sequence[str], sidecar: bytes) -> Labels | str | None:
    """The labels in a ``dataset.json``; None if it says that there are none, else why it is not used."""
    try:
        document = json.loads(sidecar)
        pairs = document["labels"]
        table: Mapping[str, Any] = {} if pairs is None else dict(pairs)
    except (ValueError, TypeError, KeyError, RecursionError):
        return f"{SIDECAR} holds no list of labels that can be read, so it is not used."
    if not table:
        return None
    found = [table.get(name) for name in names]
    missing = sum(label is None for label in found)
    if missing:
        return f"{SIDECAR} has no label for {missing:,} of {len(names):,} pictures, so it is not used."
    numbers = [label for label in found if type(label) is int and 0 <= label < MAX_CLASSES]
    if len(numbers) < len(found):
        return f"{SIDECAR} has labels that are no class numbers (whole, from 0), so it is not used."
    return Labels(tuple(map(str, range(max(numbers) + 1))), tuple(numbers))
