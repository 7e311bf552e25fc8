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

from gancli.data.paths import quoted, visible
from gancli.data.readers.labels import MAX_CLASSES, Labels, natural
from gancli.data.readers.reader import MAX_FILE_BYTES, SAMPLES, Item, Opened, Reader, sampled
from gancli.errors import DatasetError
from gancli.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["TableReader"]

IMAGE_NAMES = ("image", "img", "picture", "jpg", "png", "images")
LABEL_NAMES = ("label", "labels", "fine_label", "class", "target", "category")
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
        self._columns = _columns(_opened(self._files[0]).schema, path)

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
        values = list(self._values(self._columns.label))
        if all(isinstance(value, str) for value in values):
            names = sorted(set(values), key=lambda name: (natural(name), name))
            number = {name: i for i, name in enumerate(names)}
            return Labels(tuple(names), tuple(number[value] for value in values))
        if not all(isinstance(value, int) and 0 <= value < MAX_CLASSES for value in values):
            self.notes.append(f"The column {self._columns.label} holds no class numbers from 0 on, so it is not used.")
            return None
        size = max(values) + 1
        names = list(self._columns.names) if len(self._columns.names) >= size else list(map(str, range(size)))
        return Labels(tuple(names), tuple(values))

    def stamp(self) -> str:
        """Of the names and times of the files, and samples of their bytes: their rows are not read for it."""
        state = sha256(f"{self.kind}\n".encode())
        for file in self._files:
            state.update(f"{file.name}\0{file.stat().st_mtime_ns}\n".encode(errors="surrogateescape"))
            state.update(sampled(file, max(1, SAMPLES // len(self._files))))
        return state.hexdigest()

    def _values(self, column: str) -> Iterator[Any]:
        for file in self._files:
            try:
                for batch in _opened(file).batches(column):
                    yield from batch.column(0).to_pylist()
            except (OSError, ValueError) as error:
                raise _damaged(file, error) from error


@dataclass(frozen=True)
class _Table:
    """What both kinds of files have in common."""

    schema: Any
    rows: int
    source: Any

    def batches(self, column: str) -> Iterator[Any]:
        """The rows of one column, a handful at a time."""
        if hasattr(self.source, "iter_batches"):
            yield from self.source.iter_batches(batch_size=ROWS, columns=[column])
            return
        for batch in self.source:
            table = batch.select([column])
            yield from (table.slice(start, ROWS) for start in range(0, table.num_rows, ROWS))


def _opened(path: Path) -> _Table:
    pa = _pyarrow()
    try:
        if path.suffix == ".arrow":
            rows = sum(batch.num_rows for batch in _stream(pa, path))
            stream = _stream(pa, path)
            return _Table(stream.schema, rows, stream)
        import pyarrow.parquet as pq

        file = pq.ParquetFile(path)
        return _Table(file.schema_arrow, file.metadata.num_rows, file)
    except (OSError, ValueError) as error:  # pyarrow's own errors are these
        raise _damaged(path, error) from error


def _stream(pa: Any, path: Path) -> Any:  # noqa: ANN401  (pyarrow is not typed)
    return pa.ipc.open_stream(pa.memory_map(os.fspath(path)))


def _pyarrow() -> Any:  # noqa: ANN401  (the module)
    require("hf", "pyarrow")
    import pyarrow as pa
    import pyarrow.ipc

    return pa


def _files(path: Path, split: str) -> list[Path]:
    """The tables of a split: the file itself, or those in a folder whose names speak of the split, else all to train on."""
    if path.is_file():
        if split == "test":
            raise DatasetError(f"{quoted(path)} is one table, without a test split.", "Give the folder of both.")
        return [path]
    tables = sorted(file for end in ("*.parquet", "*.arrow") for file in path.rglob(end) if not file.name.startswith("cache-"))
    mine = [file for file in tables if split in os.fspath(file.relative_to(path)).lower()]
    others = [file for file in tables if "test" in file.name.lower() or "valid" in file.name.lower()]
    chosen = mine or ([file for file in tables if file not in others] if split == "train" else [])
    if not chosen:
        raise DatasetError(f"{quoted(path)} holds no table of {split} pictures.", "Name the file itself.")
    return chosen


def _columns(schema: Any, path: Path) -> Columns:  # noqa: ANN401  (pyarrow is not typed)
    types = {field.name: str(field.type) for field in schema}
    fit = [name for name, kind in types.items() if kind in {"binary", "large_binary"} or kind.startswith("struct<bytes:")]
    if not fit:
        listed = ", ".join(f"{visible(name)} ({visible(kind)[:40]})" for name, kind in list(types.items())[:8])
        raise DatasetError(f"{quoted(path)} has no column of encoded pictures, but {listed}.", "Pictures are bytes.")
    image = next((name for name in IMAGE_NAMES if name in fit), fit[0])
    label = next(
        (name for name in LABEL_NAMES if types.get(name, "").startswith(("int", "uint", "string", "large_string"))), None
    )
    return Columns(image, label, _class_names(schema, label))


def _class_names(schema: Any, label: str | None) -> tuple[str, ...]:  # noqa: ANN401
    """The names that Hugging Face's library keeps in the schema."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return tuple(map(str, features[label]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{quoted(path)} is a damaged table: {visible(str(error))[:200]}.", "Copy or download it again.")
