"""Which class each image belongs to: by a file beside the images, else by their folders.

The first of these that is there is used; where it cannot be, a note says why:

1. ``dataset.json`` of the StyleGAN tools: ``{"labels": [["a/0.png", 3], ...]}``;
2. ``metadata.jsonl`` and ``metadata.csv`` of Hugging Face's image folders, with ``file_name``;
3. a CSV file with a column of file names (or of names without suffix) and one of labels;
4. ``KEY.cls`` beside ``KEY.jpg``, as in WebDataset's shards;
5. the uppermost folders that tell images apart, if every image lies in one of at least two.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gancli.data.catalogue import normalised
from gancli.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

MAX_CLASSES = 65_536
STYLEGAN = "dataset.json"
FILE_COLUMNS = ("file_name", "filename", "file", "image", "image_id", "img", "id", "path", "name")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category")
THOUSANDS = re.compile(r"[0-9]{5}")
"""How the StyleGAN tools name the folders among which they divide any images, a thousand in each."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The names of the classes, and the number of the class of each image."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]


Table = dict[str, object]  # labels by the name of a file


class _UnusedError(ValueError):
    """Why a file of labels is not used, as the end of a sentence that begins with its name."""


def labels_of(
    names: Sequence[str],
    sidecars: Collection[str] = (),
    read: Callable[[str], bytes] = lambda _: b"",
    paths: Sequence[str] | None = None,
) -> tuple[Labels | None, tuple[str, ...]]:
    """The labels of images, if there are any, and notes about what looks like labels but is not used.

    The sidecars, which ``read`` reads, may hold labels; ``paths``, the names without the folders of their split, say classes.

    >>> labels_of(["x/cat/1.png", "x/dog/1.png"])[0]
    Labels(names=('cat', 'dog'), numbers=(0, 1))
    """
    notes: list[str] = []
    undivided = False
    for title, tables, decisive in _tables(names, sidecars, read):
        try:
            table = tables()
            if table is None:  # it says that there are no labels
                undivided = True
                continue
            return numbered(_looked_up(names, table)), tuple(notes)
        except _UnusedError as reason:
            notes.append(f"{title} {reason}, so it is not used.")
            if decisive:
                return None, tuple(notes)
    folders = [name.split("/")[:-1] for name in (names if paths is None else paths)]
    depth = len(_common(folders))
    tops = [parts[depth] for parts in folders if len(parts) > depth]
    found, classes = None, set(tops)
    if tops and len(tops) < len(names):
        outside = f"{len(names) - len(tops):,} of {len(names):,} images lie in no sub-folder"
        notes.append(f"{outside}, so sub-folders are not taken as classes.")
    elif len(classes) > MAX_CLASSES:
        notes.append(f"{len(classes):,} sub-folders are too many to be taken as classes.")
    elif tops and undivided and all(map(THOUSANDS.fullmatch, classes)):
        notes.append(f"{STYLEGAN} says that there are no classes: the folders are its thousands of images.")
    elif tops:
        found = numbered(tops)
    return found, tuple(notes)


def numbered(values: Sequence[object], names: Sequence[str] = ()) -> Labels:
    """Whole numbers from 0 on as they are, text as the names of classes in natural order.

    >>> numbered(["10", "9", "cat"])
    Labels(names=('9', '10', 'cat'), numbers=(1, 0, 2))

    Raises:
        ValueError: they are neither.
    """
    numbers = [value for value in values if type(value) is int and 0 <= value < MAX_CLASSES]
    if len(numbers) == len(values):
        size = max(numbers) + 1
        known = tuple(names) if len(names) >= size else tuple(map(str, range(size)))
        return Labels(known, tuple(numbers))
    texts = [normalised(value.strip()) for value in values if isinstance(value, str)]
    if len(texts) < len(values) or not all(texts) or len(set(texts)) > MAX_CLASSES:
        raise _UnusedError("has labels that are neither class numbers (whole, from 0) nor names")

    def natural(text: str) -> tuple[list[tuple[int, int, str]], str]:  # 2 before 10
        parts = re.findall(r"[0-9]{1,18}|[^0-9]+", text)
        return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts], text

    classes = sorted(set(texts), key=natural)
    number = {text: i for i, text in enumerate(classes)}
    return Labels(tuple(classes), tuple(number[text] for text in texts))


def _tables(
    names: Sequence[str], sidecars: Collection[str], read: Callable[[str], bytes]
) -> Iterable[tuple[str, Callable[[], Table | None], bool]]:
    """Title and content of each possible source of labels, and whether it is the last word."""
    if not names or not sidecars:
        return
    folders = [name.split("/")[:-1] for name in names]
    common = _common(folders)
    tops = ["".join(f"{part}/" for part in common[:depth]) for depth in range(len(common) + 1)]
    if found := [top + STYLEGAN for top in tops if top + STYLEGAN in sidecars][:1]:
        yield STYLEGAN, partial(_stylegan, read, found[0]), True
    below = {"".join(f"{p}/" for p in parts[:i]) for parts in folders for i in range(len(parts) + 1)}
    for title in ("metadata.jsonl", "metadata.csv"):
        if parts := sorted(top + title for top in below if top + title in sidecars):
            yield title, partial(_joined, parts, read), False
    for name in sorted(name for name in sidecars if name.endswith(".csv")):
        top, _, title = name.rpartition("/")
        if title != "metadata.csv" and (not top or f"{top}/" in tops):
            yield title, partial(_joined, [name], read), False
    keys = {_key(name) for name in names}
    if cls := [name for name in sidecars if name.endswith(".cls") and _key(name) in keys]:
        yield ".cls", lambda: {_key(name): read(name).decode("utf-8-sig").strip() for name in cls}, False


def _looked_up(names: Sequence[str], table: Table) -> list[object]:
    """The label of each image: by its whole name, its file's name, or that without its suffix."""
    alone = Counter(name.rpartition("/")[2] for name in names)

    def label(name: str) -> object:
        file = name.rpartition("/")[2]
        known = [name, _key(name), *([file, _key(file), file.rpartition(".")[0]] if alone[file] == 1 else [])]
        return next((table[key] for key in known if table.get(key) is not None), None)

    found = [label(name) for name in names]
    if missing := sum(value is None for value in found):
        raise _UnusedError(f"has no label for {missing:,} of {len(names):,} images")
    return found


def _stylegan(read: Callable[[str], bytes], file: str) -> Table | None:
    try:
        pairs = json.loads(read(file).decode("utf-8-sig"))["labels"]
        top = file.removesuffix(STYLEGAN)
        return {top + normalised(str(name).replace("\\", "/")): label for name, label in pairs or ()} or None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _UnusedError("holds no list of labels that can be read") from None


def _joined(files: Sequence[str], read: Callable[[str], bytes]) -> Table:
    """The labels in files of rows, each with names below its own folder."""
    table: Table = {}
    for file in files:
        top = file[: file.rfind("/") + 1]
        try:
            text = read(file).decode("utf-8-sig")
            if file.endswith(".csv"):
                delimiter = max(",;\t", key=text.partition("\n")[0].count)
                rows: list[dict[str, object]] = list(csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True))
            else:
                rows = [dict(json.loads(line).items()) for line in text.splitlines() if line.strip()]
        except (ValueError, AttributeError, RecursionError, csv.Error):
            raise _UnusedError("cannot be read") from None
        columns = list(rows[0]) if rows else []
        by_word = {column.strip().lower(): column for column in columns}
        name = next((by_word[word] for word in FILE_COLUMNS if word in by_word), None)
        label = next((by_word[word] for word in LABEL_COLUMNS if word in by_word), None)
        if label is None and name is not None and len(columns) == 2:  # noqa: PLR2004  (the other column)
            label = next(column for column in columns if column != name)
        if name is None or label is None:
            missing = "file names" if name is None else "labels"
            listed = ", ".join(visible(column)[:20] for column in columns[:6]) or "nothing"
            raise _UnusedError(f"has no column of {missing} (it has {listed})")
        for row in rows:
            known = normalised(str(row.get(name)).replace("\\", "/"))
            table[top + known] = row.get(label)
            table.setdefault(known, row.get(label))
    return table


def _key(name: str) -> str:
    """What the parts of one sample have in common: the name up to the first dot of the file's.

    >>> _key("a.b/0001.seg.png")
    'a.b/0001'
    """
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _common(folders: Sequence[list[str]]) -> Sequence[str]:
    """The folders that all images have in common, from the top."""
    return os.path.commonprefix(folders)  # noqa: RUF071  (of lists of names, not of characters)
