"""Pictures in tables: Parquet files, and data sets of Hugging Face's library as it saves them to the disk (Arrow files).

A column of pictures is ``struct<bytes, path>`` (what the library's ``Image`` feature is stored as) or plain ``binary``; the
labels are a column of whole numbers or of text. Nothing of that library is needed, only pyarrow: the extra ``hf``.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from gancli.data.paths import open_regular, quoted, visible
from gancli.data.readers.labels import MAX_CLASSES, Labels, natural
from gancli.data.readers.reader import MAX_FILE_BYTES, SAMPLES, Item, Opened, Reader, sampled
from gancli.errors import DatasetError
from gancli.plugins.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["ARROW_FILE", "ARROW_STREAM", "PARQUET", "TableReader", "is_table"]

SUFFIXES = (".parquet", ".arrow")
IMAGE_NAMES = ("image", "img", "picture", "jpg", "png", "images")
LABEL_NAMES = ("label", "labels", "fine_label", "class", "target", "category")
PARQUET, ARROW_FILE, ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
"""How files begin."""
ROWS = 64
"""Read at a time: pictures may be large."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold pictures and labels, and the names of the classes, as far as the schema tells."""

    image: str
    label: str | None
    names: tuple[str, ...]


class TableReader(Reader):
    """The pictures in one table, or in all those of a split in a folder, row by row."""

    kind: ClassVar[str] = "table"

    def __init__(self, path: Path, split: str) -> None:
        super().__init__(path)
        self._files = _files(path, split)
        try:
            self._columns = _columns(_opened(self._files[0]), self._files[0])
        except UnicodeDecodeError as error:  # a name in the schema, which is decoded when it is looked at
            raise _damaged(self._files[0], error) from error

    def items(self) -> Sequence[Item]:
        """See :meth:`Reader.items`; rows have numbers for names."""
        return self._items

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        rows = sum(_opened(file).rows for file in self._files)
        width = len(str(max(rows - 1, 0)))
        return tuple(Item(f"row {row:0{width}}", 0, "") for row in range(rows))

    def each(self, start: int = 0) -> Iterator[Opened]:
        """See :meth:`Reader.each`."""
        index = -1
        for value in self._values(self._columns.image):
            index += 1
            if index < start:
                continue
            data = value.get("bytes") if isinstance(value, dict) else value
            if not data:
                yield Opened(index, None, "without bytes: it is only a path" if isinstance(value, dict) else "empty")
            elif len(data) > MAX_FILE_BYTES:
                yield Opened(index, None, f"larger than {MAX_FILE_BYTES >> 20} MiB")
            else:
                yield Opened(index, io.BytesIO(data))

    def labels(self) -> Labels | None:
        """See :meth:`Reader.labels`: from the column of labels."""
        if self._columns.label is None:
            return None
        values: list[Any] = list(self._values(self._columns.label))
        if all(isinstance(value, str) for value in values):
            names = sorted(set(values), key=lambda name: (natural(name), name))
            number = {name: i for i, name in enumerate(names)}
            return Labels(tuple(names), tuple(number[value] for value in values))
        if not all(isinstance(value, int) and 0 <= value < MAX_CLASSES for value in values):
            label = visible(self._columns.label)
            self.notes.append(f"The column {label} holds something else than class numbers from 0 on, so it is not used.")
            return None
        size = max(values) + 1
        names = list(self._columns.names) if len(self._columns.names) >= size else list(map(str, range(size)))
        return Labels(tuple(names), tuple(map(int, values)))  # true and false are numbers too

    def stamp(self) -> str:
        """Of the names and times of the files, and samples of their bytes: their rows are not read for it."""
        state = sha256(f"{self.kind}\n".encode())
        for file in self._files:
            state.update(f"{file.name}\0{file.stat().st_mtime_ns}\n".encode(errors="surrogateescape"))
            state.update(sampled(file, max(1, SAMPLES // len(self._files))))
        return state.hexdigest()

    def _values(self, column: str) -> Iterator[Any]:
        pa = _pyarrow()
        for file in self._files:
            table = _opened(file)
            if column not in table.types:
                first = quoted(self._files[0])
                raise DatasetError(f"{quoted(file)} has no column {visible(column)}, which {first} has.", "Remove one of them.")
            try:
                for batch in table.batches(column):
                    batch.validate(full=True)  # what is mapped into memory could point anywhere
                    yield from batch.column(0).to_pylist()
            except (OSError, ValueError, pa.ArrowException) as error:
                raise _damaged(file, error) from error


@dataclass(frozen=True)
class _Table:
    """What all kinds of files have in common: ``batches`` yields the rows of one column, a handful at a time."""

    types: Mapping[str, Any]
    metadata: Mapping[bytes, bytes]
    rows: int
    batches: Callable[[str], Iterator[Any]]


def _opened(path: Path) -> _Table:
    pa = _pyarrow()
    with open_regular(path) as file:
        start = file.peek(8)[:8]
    try:
        if start.startswith(PARQUET):
            import pyarrow.parquet as pq

            table = pq.ParquetFile(path)
            return _Table(
                *_described(table.schema_arrow),
                table.metadata.num_rows,
                lambda column: table.iter_batches(batch_size=ROWS, columns=[column]),
            )
        batches = _arrow(pa, path, start)
        schema = next(batches)
        rows = sum(batch.num_rows for batch in batches)
        return _Table(*_described(schema), rows, lambda column: _slices(_arrow(pa, path, start), column))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def _described(schema: Any) -> tuple[dict[str, Any], dict[bytes, bytes]]:  # noqa: ANN401  (pyarrow is not typed)
    """The type of each column, and what else the schema says."""
    return {field.name: field.type for field in schema}, dict(schema.metadata or {})


def _arrow(pa: Any, path: Path, start: bytes) -> Iterator[Any]:  # noqa: ANN401  (pyarrow is not typed)
    """The schema of an Arrow file of either kind, and then its batches."""
    source = pa.memory_map(os.fspath(path))
    if start.startswith(ARROW_FILE):
        file = pa.ipc.open_file(source)
        yield file.schema
        yield from (file.get_batch(i) for i in range(file.num_record_batches))
    else:
        stream = pa.ipc.open_stream(source)
        yield stream.schema
        yield from stream


def _slices(batches: Iterator[Any], column: str) -> Iterator[Any]:
    next(batches)  # the schema
    for batch in batches:
        table = batch.select([column])
        yield from (table.slice(start, ROWS) for start in range(0, table.num_rows, ROWS))


def _pyarrow() -> Any:  # noqa: ANN401  (the module)
    require("hf", "pyarrow")
    import pyarrow as pa
    import pyarrow.ipc
    import pyarrow.types

    return pa


def _files(path: Path, split: str) -> list[Path]:
    """The tables of a split: the file itself, or those in a folder whose names speak of the split, else all to train on."""
    if path.is_file():
        if split == "test":
            raise DatasetError(f"{quoted(path)} is one table, without a test split.", "Give the folder of both.")
        return [path]
    tables = sorted(file for file in path.rglob("*") if is_table(file.name) and file.is_file())
    mine = [file for file in tables if split in os.fspath(file.relative_to(path)).lower()]
    others = [file for file in tables if "test" in file.name.lower() or "valid" in file.name.lower()]
    chosen = mine or ([file for file in tables if file not in others] if split == "train" else [])
    if not chosen:
        raise DatasetError(f"{quoted(path)} holds no table of {split} pictures.", "Name the file itself.")
    return chosen


def _columns(table: _Table, path: Path) -> Columns:
    types = table.types
    lower = {name.lower(): name for name in types}
    fit = [name for name, kind in types.items() if _holds_bytes(kind)]
    if not fit:
        listed = ", ".join(f"{visible(name)} ({visible(str(kind))[:40]})" for name, kind in list(types.items())[:8])
        raise DatasetError(
            f"{quoted(path)} has no column of encoded pictures, but {listed}.",
            "Pictures are bytes; where they are files beside the table, move it away.",
        )
    image = next((lower[name] for name in IMAGE_NAMES if lower.get(name) in fit), fit[0])
    label = next((lower[name] for name in LABEL_NAMES if name in lower and _names_classes(types[lower[name]])), None)
    return Columns(image, label, _class_names(table, label))


def _holds_bytes(kind: Any) -> bool:  # noqa: ANN401  (pyarrow is not typed)
    """Whether a column of this type can hold encoded pictures."""
    types = _pyarrow().types
    if types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    if types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _names_classes(kind: Any) -> bool:  # noqa: ANN401  (pyarrow is not typed)
    """Whether a column of this type can hold labels."""
    types = _pyarrow().types
    if types.is_dictionary(kind):
        return _names_classes(kind.value_type)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return True
    return bool(types.is_integer(kind) or types.is_boolean(kind))


def is_table(name: str) -> bool:
    """Whether the name is a table's, and not that of what Hugging Face's library keeps of its own computations.

    >>> [is_table(name) for name in ("train-00000-of-00001.PARQUET", "cache-1f.arrow", ".x.parquet")]
    [True, False, False]
    """
    return name.lower().endswith(SUFFIXES) and not name.startswith(("cache-", "."))


def _class_names(table: _Table, label: str | None) -> tuple[str, ...]:
    """The names that Hugging Face's library keeps in the schema."""
    try:
        features = json.loads(table.metadata[b"huggingface"])["info"]["features"]
        return tuple(map(str, features[label]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"{quoted(path)} is a damaged table: {visible(str(error)).rstrip('. ')[:200]}.", "Copy or download it again."
    )
