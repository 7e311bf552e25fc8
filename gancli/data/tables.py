"""Images in tables: Parquet files, Hugging Face's saved data sets (Arrow files), and its hub (``hf:NAME``).

A column of images is ``struct<bytes, path>`` (what the library's ``Image`` feature is stored as) or
plain ``binary``; the labels are a column of whole numbers or of text. Nothing of that library is
needed, only pyarrow: the extra ``hf``. Which split a file belongs to is told by the words of its name
first, then by its folders.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gancli.data.catalogue import Item, Part, part_of
from gancli.data.collection import SAMPLES, Collection, sampled
from gancli.data.decoding import MAX_FILE_BYTES, Opened
from gancli.data.fetching import refuse_offline
from gancli.data.labels import LABEL_COLUMNS, Labels, numbered
from gancli.data.paths import open_regular, quoted, visible
from gancli.errors import DatasetError, DownloadError
from gancli.plugins.installation import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["ARROW_FILE", "PARQUET", "TableSource", "fetched", "is_table"]

_LOG = logging.getLogger(__name__)

SUFFIXES = (".parquet", ".arrow")
IMAGE_NAMES = ("image", "img", "picture", "jpg", "png", "images")
PARQUET, ARROW_FILE = b"PAR1", b"ARROW1"
"""How files begin."""
ROWS = 64
"""Read at a time: images may be large."""
CONVERTED = "refs/convert/parquet"
"""The branch on which the hub keeps every data set as Parquet, whatever its authors uploaded."""
HUB_SPLITS = {"train": ("train",), "test": ("test", "validation")}


class TableSource(Collection):
    """The images in one table, or in all those of a split in a folder, row by row."""

    kind: ClassVar[str] = "table"

    def __init__(self, path: Path, split: str = "train", domain: str = "", name: str = "") -> None:
        super().__init__(path, split, domain, name)
        self._notes: list[str] = []
        try:
            self._image, self._label, self._names = _columns(_opened(self._files[0]), self._files[0])
        except UnicodeDecodeError as error:  # a name in the schema, which is decoded when it is looked at
            raise _damaged(self._files[0], error) from error

    @cached_property
    def _parts(self) -> Mapping[Part, list[Path]]:
        if self.path.is_file():
            return {Part("train"): [self.path]}
        parts: dict[Part, list[Path]] = defaultdict(list)
        for file in sorted(self.path.rglob("*")):
            if is_table(file.name) and file.is_file():
                parts[_part(file.relative_to(self.path))].append(file)
        if not parts:
            raise DatasetError(f"{quoted(self.path)} holds no table.", "Name the file itself.")
        return parts

    @cached_property
    def _files(self) -> list[Path]:
        return [file for part in self._chosen_parts(self.parts()) for file in self._parts[part]]

    def parts(self) -> tuple[Part, ...]:
        """See :meth:`Source.parts`."""
        return tuple(sorted(self._parts))

    def items(self) -> Sequence[Item]:
        """See :meth:`Collection.items`; rows have numbers for names."""
        return self._items

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        rows = sum(_opened(file).rows for file in self._files)
        width = len(str(max(rows - 1, 0)))
        return tuple(Item(f"row {row:0{width}}", 0, "", row) for row in range(rows))

    def each(self, start: int = 0) -> Iterator[Opened]:
        """See :meth:`Collection.each`."""
        for index, value in islice(enumerate(self._values(self._image)), start, None):
            data = value.get("bytes") if isinstance(value, dict) else value
            if not data:
                yield Opened(index, None, "without bytes: it is only a path" if isinstance(value, dict) else "empty")
            elif len(data) > MAX_FILE_BYTES:
                yield Opened(index, None, f"larger than {MAX_FILE_BYTES >> 20} MiB")
            else:
                yield Opened(index, io.BytesIO(data))

    def labels(self) -> Labels | None:
        """See :meth:`Collection.labels`: from the column of labels."""
        return self._labels

    @cached_property
    def _labels(self) -> Labels | None:
        if self._label is None:
            return None
        values = [int(v) if isinstance(v, bool) else v for v in self._values(self._label)]
        try:
            return numbered(values, self._names)
        except ValueError:
            label = visible(self._label)
            self._notes.append(f"The column {label} holds something else than class numbers from 0 on, so it is not used.")
            return None

    def notes(self) -> tuple[str, ...]:
        """See :meth:`Collection.notes`."""
        return tuple(self._notes)

    def unlabelled(self) -> tuple[str, ...]:
        """See :meth:`Collection.unlabelled`."""
        listed = ", ".join(LABEL_COLUMNS)
        return self.notes() or ((f"No column is named {listed}.",) if self._label is None else ())

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


def is_table(name: str) -> bool:
    """Whether the name is a table's, and not that of what Hugging Face's library keeps of its own computations.

    >>> [is_table(name) for name in ("train-00000-of-00001.PARQUET", "cache-1f.arrow", ".x.parquet")]
    [True, False, False]
    """
    return name.lower().endswith(SUFFIXES) and not name.startswith(("cache-", "."))


def _part(file: Path) -> Part:
    """The part of a table, by the first word of its name that names one, else by its nearest such folder.

    >>> _part(Path("contest/train-0.parquet")), _part(Path("a/latest.parquet")).split
    (Part(split='train', domain=''), 'train')
    """
    words = re.findall(r"[A-Za-z0-9]+", file.stem)
    folders = [word for folder in reversed(file.parts[:-1]) for word in re.findall(r"[A-Za-z0-9]+", folder)]
    return next((part for word in [*words, *folders] if (part := part_of(word))), Part("train"))


@dataclass(frozen=True)
class _Table:
    """What all kinds of files have in common: ``batches`` yields the rows of one column, a handful at a time."""

    types: Mapping[str, Any]
    metadata: Mapping[bytes, bytes]
    rows: int
    batches: Callable[[str], Iterator[Any]]

    @classmethod
    def of(cls, schema: Any, rows: int, batches: Callable[[str], Iterator[Any]]) -> _Table:  # noqa: ANN401  (pyarrow is not typed)
        """With the type of each column, and what else the schema says."""
        return cls({field.name: field.type for field in schema}, dict(schema.metadata or {}), rows, batches)


def _opened(path: Path) -> _Table:
    pa = _pyarrow()
    with open_regular(path) as file:
        start = file.peek(8)[:8]
    try:
        if start.startswith(PARQUET):
            import pyarrow.parquet as pq

            table = pq.ParquetFile(path)
            rows = table.metadata.num_rows
            return _Table.of(table.schema_arrow, rows, lambda column: table.iter_batches(batch_size=ROWS, columns=[column]))

        def arrow() -> Iterator[Any]:
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

        def slices(column: str) -> Iterator[Any]:
            for batch in islice(arrow(), 1, None):
                one = batch.select([column])
                yield from (one.slice(begin, ROWS) for begin in range(0, one.num_rows, ROWS))

        batches = arrow()
        schema = next(batches)
        return _Table.of(schema, sum(batch.num_rows for batch in batches), slices)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def _pyarrow() -> Any:  # noqa: ANN401  (the module)
    require("hf", "pyarrow")
    import pyarrow as pa
    import pyarrow.ipc
    import pyarrow.types

    return pa


def _columns(table: _Table, path: Path) -> tuple[str, str | None, tuple[str, ...]]:
    """Which columns hold images and labels, and the names of the classes, as far as the schema tells."""
    types = table.types
    lower = {name.lower(): name for name in types}
    fit = [name for name, kind in types.items() if _holds_bytes(kind)]
    if not fit:
        listed = ", ".join(f"{visible(name)} ({visible(str(kind))[:40]})" for name, kind in list(types.items())[:8])
        raise DatasetError(
            f"{quoted(path)} has no column of encoded images, but {listed}.",
            "Images are bytes; where they are files beside the table, move it away.",
        )
    image = next((lower[name] for name in IMAGE_NAMES if lower.get(name) in fit), fit[0])
    label = next((lower[name] for name in LABEL_COLUMNS if name in lower and _names_classes(types[lower[name]])), None)
    try:  # the names that Hugging Face's library keeps in the schema
        features = json.loads(table.metadata[b"huggingface"])["info"]["features"]
        return image, label, tuple(map(str, features[label]["names"]))
    except (KeyError, TypeError, ValueError):
        return image, label, ()


def _holds_bytes(kind: Any) -> bool:  # noqa: ANN401  (pyarrow is not typed)
    """Whether a column of this type can hold encoded images."""
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


def _damaged(path: Path, error: Exception) -> DatasetError:
    reason = visible(str(error)).rstrip(". ")[:200]
    return DatasetError(f"{quoted(path)} is a damaged table: {reason}.", "Copy or download it again.")


def fetched(name: str, split: str) -> Path:
    """The folder of the Parquet files of a split of a data set on the hub, downloaded unless they are there.

    Raises:
        PluginError: huggingface_hub is not installed.
        DatasetError: there is no such data set, or it has no such split.
        DownloadError: the network is forbidden or fails.
    """
    hub = _hub()
    where = f"https://huggingface.co/datasets/{visible(name)}"
    refuse_offline(f"hf:{visible(name)}", f"Download the Parquet files of {where} elsewhere and give their folder.")
    with _explained(hub, name):
        names = hub.HfApi().list_repo_files(name, repo_type="dataset", revision=CONVERTED)
    chosen = _of_split([file for file in names if file.endswith(".parquet")], split)
    if not chosen:
        listed = ", ".join(sorted(map(visible, names))[:10])
        raise DatasetError(f"hf:{visible(name)} has no {split} split.", f"It has {listed}.")
    _LOG.warning("downloading %d files of %s", len(chosen), where)
    with _explained(hub, name):
        paths = [Path(hub.hf_hub_download(name, file, repo_type="dataset", revision=CONVERTED)) for file in chosen]
    return paths[0].parent


@contextmanager
def _explained(hub: Any, name: str) -> Iterator[None]:  # noqa: ANN401  (the module)
    try:
        yield
    except (hub.errors.RepositoryNotFoundError, hub.errors.HFValidationError) as error:
        raise DatasetError(f"There is no data set '{visible(name)}' on the hub.", "Write it as hf:OWNER/NAME.") from error
    except Exception as error:  # the hub's HTTP library has changed before, and its errors have no common base
        first = visible(str(error).strip().split("\n", 1)[0])[:200].rstrip(".")
        raise DownloadError(f"hf:{visible(name)} could not be downloaded: {first}.", "Check the network.") from error


def _of_split(files: list[str], split: str) -> list[str]:
    """The files ``CONFIG/SPLIT/0000.parquet`` of one split, of the configuration ``default``, else of the first."""
    parts = [(file, file.split("/")) for file in files]
    for wanted in HUB_SPLITS[split]:
        configs = sorted({p[0] for _, p in parts if len(p) > 2 and p[1] == wanted}, key=lambda c: (c != "default", c))  # noqa: PLR2004
        if configs:
            return sorted(file for file, p in parts if p[:2] == [configs[0], wanted])
    return []


def _hub() -> Any:  # noqa: ANN401  (the module)
    require("hf", "huggingface_hub")
    import huggingface_hub
    import huggingface_hub.errors

    return huggingface_hub
