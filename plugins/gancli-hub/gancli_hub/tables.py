"""Images in tables: Parquet files, and Hugging Face's saved data sets (Arrow files).

A column of images is ``struct<bytes, path>`` (what the library's ``Image`` feature is stored as) or
plain ``binary``; the labels are a column of whole numbers or of text. Which split a file belongs to is
known by the words of its name first, then by its folders.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections import defaultdict
from contextlib import contextmanager
from functools import cached_property, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pyarrow.types

from gancli.data.catalogue import Item, Part, part_of
from gancli.data.collection import SAMPLES, Collection, sampled
from gancli.data.decoding import Flaw, Opener, flaw_of_size
from gancli.data.labels import LABEL_COLUMNS, Labels, numbered
from gancli.data.paths import open_regular, quoted
from gancli.data.source import ARROW_FILE, PARQUET, is_table
from gancli.errors import DatasetError
from gancli.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

IMAGE_NAMES = ("image", "img", "picture", "jpg", "png", "images")
ROWS = 64  # read at a time: images may be large


class TableSource(Collection):
    """The images in one table, or in all those of a split in a folder, row by row. Rows have numbers for names."""

    kind: ClassVar[str] = "table"

    def __init__(self, path: Path, split: str = "train", domain: str = "", name: str = "") -> None:
        super().__init__(path, split, domain, name)
        self._parts: dict[Part, list[Path]] = defaultdict(list)
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file == path or (is_table(file.name) and file.is_file()):
                self._parts[Part("train") if file == path else _part(file.relative_to(path))].append(file)
        if not self._parts:
            raise DatasetError(f"{self} holds no table.", "Name the file itself.")
        self._tables = {file: _opened(file) for part in self.chosen(self.parts()) for file in self._parts[part]}
        first = next(iter(self._tables))
        with _intact(first):  # names in the schema are decoded when they are accessed
            self._image, self._label, self._names = _columns(self._tables[first], first)
        rows = sum(table.rows for table in self._tables.values())
        width = len(str(max(rows - 1, 0)))
        self.items = [Item(f"row {row:0{width}}", 0, "", row) for row in range(rows)]

    def parts(self) -> tuple[Part, ...]:
        """See :meth:`Source.parts`."""
        return tuple(sorted(self._parts))

    def each(self) -> Iterator[Opener]:
        """See :meth:`Collection.each`."""
        return (partial(_encoded, value) for value in self._values(self._image))

    @cached_property
    def labelled(self) -> tuple[Labels | None, tuple[str, ...]]:  # type: ignore[override]
        """See :class:`Collection`: from the column of labels."""
        if self._label is None:
            return None, (f"No column is named {', '.join(LABEL_COLUMNS)}.",)
        values = [int(v) if isinstance(v, bool) else v for v in self._values(self._label)]
        try:
            return numbered(values, self._names), ()
        except ValueError:
            what = "holds something else than class numbers from 0 on, so it is not used"
            return None, (f"The column {visible(self._label)} {what}.",)

    def notes(self) -> tuple[str, ...]:
        """See :meth:`Collection.notes`."""
        return self.labelled[1] if self._label else ()

    def stamp(self) -> str:
        """Of the names and times of the files, and samples of their bytes: their rows are not read for it."""
        state = sha256(f"{self.kind}\n".encode())
        for file in self._tables:
            state.update(f"{file.name}\0{file.stat().st_mtime_ns}\n".encode(errors="surrogateescape"))
            state.update(sampled(file, max(1, SAMPLES // len(self._tables))))
        return state.hexdigest()

    def _values(self, column: str) -> Iterator[Any]:
        for file, table in self._tables.items():
            if column not in table.schema.names:
                first = quoted(next(iter(self._tables)))
                raise DatasetError(f"{quoted(file)} has no column {visible(column)}, which {first} has.", "Remove one of them.")
            with _intact(file):
                for batch in table.batches(column):
                    batch.validate(full=True)  # what is mapped into memory could point anywhere
                    yield from batch.column(0).to_pylist()


def _encoded(value: Any) -> BinaryIO:  # noqa: ANN401  (bytes, or a mapping that has them)
    if isinstance(value, dict) and not value.get("bytes"):
        raise Flaw("without bytes: it is only a path")
    data = (value["bytes"] if isinstance(value, dict) else value) or b""
    if flaw := flaw_of_size(len(data)):
        raise flaw
    return io.BytesIO(data)


def _part(file: Path) -> Part:
    """The part of a table, by the first word of its name that names one, else by its nearest such folder.

    >>> from pathlib import Path
    >>> _part(Path("contest/train-0.parquet")), _part(Path("a/latest.parquet")).split
    (Part(split='train', domain=''), 'train')
    """
    words = [re.findall(r"[A-Za-z0-9]+", name) for name in (file.stem, *reversed(file.parts[:-1]))]
    return next((part for some in words for word in some if (part := part_of(word))), Part("train"))


class _Table(NamedTuple):
    """An open file: ``batches`` gives the rows of one column, a handful at a time."""

    schema: Any
    rows: int
    batches: Callable[[str], Iterator[Any]]


def _opened(path: Path) -> _Table:
    with open_regular(path) as file:
        start = file.peek(8)[:8]
    with _intact(path):
        if start.startswith(PARQUET):
            table = pa.parquet.ParquetFile(path)
            rows = table.metadata.num_rows
            return _Table(table.schema_arrow, rows, lambda column: table.iter_batches(batch_size=ROWS, columns=[column]))
        read = pa.ipc.open_file if start.startswith(ARROW_FILE) else pa.ipc.open_stream
        table = read(pa.memory_map(os.fspath(path))).read_all()  # which maps it
        return _Table(table.schema, table.num_rows, lambda column: table.select([column]).to_batches(ROWS))


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    """Whatever pyarrow raises is a :class:`DatasetError` about the file."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = visible(str(error)).rstrip(". ")[:200]
        raise DatasetError(f"{quoted(path)} is a damaged table: {reason}.", "Copy or download it again.") from error


def _columns(table: _Table, path: Path) -> tuple[str, str | None, tuple[str, ...]]:
    """Which columns hold images and labels, and the names of the classes, as far as the schema tells."""
    types = {field.name: field.type for field in table.schema}
    lower = {name.lower(): name for name in types}
    fit = [name for name, kind in types.items() if _holds(kind, "binary")]
    if not fit:
        listed = ", ".join(f"{visible(name)} ({visible(str(kind))[:40]})" for name, kind in list(types.items())[:8])
        raise DatasetError(
            f"{quoted(path)} has no column of encoded images, but {listed}.",
            "Images are bytes; where they are files beside the table, move it away.",
        )
    image = next((lower[name] for name in IMAGE_NAMES if lower.get(name) in fit), fit[0])
    named = (lower[name] for name in LABEL_COLUMNS if name in lower)
    label = next((name for name in named if _holds(types[name], "string", "integer", "boolean")), None)
    try:  # the names that Hugging Face's library keeps in the schema
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        return image, label, tuple(map(str, features[label]["names"]))
    except (KeyError, TypeError, ValueError):
        return image, label, ()


def _holds(kind: Any, *wanted: str) -> bool:  # noqa: ANN401  (pyarrow is not typed)
    """Whether a column of this type holds one of these types; of images, in its field ``bytes`` as well."""
    types = pa.types
    if types.is_dictionary(kind):
        return _holds(kind.value_type, *wanted)
    if types.is_struct(kind):
        return "binary" in wanted and any(field.name == "bytes" and _holds(field.type, *wanted) for field in kind)
    tests = [getattr(types, f"is_{form}", None) for name in wanted for form in (name, f"large_{name}", f"{name}_view")]
    return any(test(kind) for test in tests if test)
