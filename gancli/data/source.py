"""Sources of images: one small class per kind, and the one place where it is decided what an address is.

A registered name wins. Anything else that looks like a path is what is there: a folder by its names, a file by its bytes.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import is_zipfile

from gancli.data.catalogue import Part, is_image
from gancli.data.paths import names_in, open_regular, quoted
from gancli.errors import ConfigError, DatasetError, GancliError, PluginError
from gancli.plugin import ImageSet, ImageSpec
from gancli.plugins.registry import DATASETS, is_path, part
from gancli.text import visible

if TYPE_CHECKING:
    from gancli.config.schema import DataConfig, RunConfig
    from gancli.data.collection import FileSource

HUB = "hf:"
ZIPS = (b"PK\x03\x04", b"PK\x05\x06")  # the second is an empty one
NUMPY = b"\x93NUMPY"
PARQUET, ARROW_FILE, ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
CIFAR = re.compile(r"data_batch_[1-5]\.bin|train\.bin")  # one of the files of its binary version
IDX = (b"\0\0", b"\x1f\x8b", b"\xfd7zXZ")  # plain, gzip or xz
SPLITS = ("train", "test")
DOMAINS = ("A", "B")

Watch = Callable[[str, int, int], object]
"""Called often with what is done, how much of it, and of how much (0: unknown): ``"decoding images", 7, 100``."""


def unwatched(what: str, done: int, total: int, /) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Images, and where they came from."""

    name: str  # a short slug, for the names of run directories: mnist
    source: str  # for people: the resolved path, or the plugin's name and distribution
    images: ImageSet
    fingerprint: str  # see fingerprint
    licence: str = ""  # of the images, as far as it is known; else empty
    skipped: tuple[tuple[str, str], ...] = ()  # name and flaw of each encoded image that was left out
    unlabelled: tuple[str, ...] = ()  # why there are no labels, where something looked like labels; sentences


class Source(ABC):
    """Images of one split, not yet read. What is missing or broken in it is a :class:`DatasetError`."""

    def parts(self) -> tuple[Part, ...]:
        """The parts of the whole data set, as far as a path has any: splits, and domains."""
        return ()

    @abstractmethod
    def spec(self, config: DataConfig, watch: Watch = unwatched) -> ImageSpec:
        """Shape of the images that :meth:`load` gives, and number of classes. Decodes as little as it can."""

    @abstractmethod
    def load(self, config: DataConfig, watch: Watch = unwatched) -> Loaded:
        """The images, as the configuration asks for them."""


class _Arrays(Source):
    """Images that are arrays already: of a plugin or a file. They are loaded once, and fitted if asked."""

    def __init__(self, load: Callable[[DataConfig], Loaded]) -> None:
        self._load = load
        self._loaded: Loaded | None = None

    def spec(self, config: DataConfig, watch: Watch = unwatched) -> ImageSpec:
        spec = self.load(config.model_copy(update={"image_size": None}), watch).images.spec(conditional=True)
        if config.image_size is None:
            return spec
        from gancli.config.schema import sides

        height, width = sides(config.image_size)
        return replace(spec, height=height, width=width)

    def load(self, config: DataConfig, watch: Watch = unwatched) -> Loaded:
        loaded = self._loaded = self._loaded or self._load(config)
        if config.image_size is None and config.channels is None:
            return loaded
        from gancli.data.fit import refit

        images = refit(loaded.images, config, watch)
        return loaded if images is loaded.images else replace(loaded, images=images, fingerprint=fingerprint(images))


def fingerprint(images: ImageSet) -> str:
    """SHA-256, in hex, of shape, type, pixels and labels: equal for equal images, wherever they came from."""
    state = sha256()
    for tensor in (images.images, images.labels, images.sources):
        if tensor is not None:
            state.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
            state.update(tensor.contiguous().numpy().data)
    return state.hexdigest()


def located(config: RunConfig) -> RunConfig:
    """The configuration with absolute paths of the images and labels: a run goes on from any working directory."""

    def absolute(path: str) -> str:
        return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111  (links stay; no error for an unknown user)

    update = {}
    for key in ("dataset", "to", "labels"):
        address = getattr(config.data, key)
        if address is not None and (key == "labels" or (is_path(address) and not address.startswith(HUB))):
            update[key] = absolute(address)
    return config.model_copy(update={"data": config.data.model_copy(update=update)})


def open_source(address: str, split: str = "train", domain: str = "") -> Source:
    """The source of images at an address: a registered name, a path, or ``hf:OWNER/NAME``.

    Of a translation data set (``trainA trainB testA testB``) both domains, as two classes, unless ``domain`` names one.
    """
    if split not in SPLITS:
        raise DatasetError(f"There is no split '{split}'.", f"Choose one of {', '.join(SPLITS)}.")
    if not is_path(address):
        return _Arrays(lambda config: _from_plugin(config, address, split))
    if address.startswith(HUB):
        source: Source = part("hub-dataset", f"'{visible(address)}'")(address, split, domain)
        return source
    path = Path(os.path.expanduser(address))  # noqa: PTH111  (Path.expanduser raises for an unknown user)
    return _folder(path, split, domain) if path.is_dir() else _file(path, split, domain)


def open_data(config: DataConfig, split: str = "train") -> Source:
    """The images of a configuration: those at ``data.dataset``, with ``data.to`` a translation by gancli-translate."""
    if config.to is None:
        return open_source(config.dataset, split)
    source: Source = part("translation", "A translation (--to)")(config, split)
    return source


def has_domains(address: str) -> bool:
    """Whether the folder or archive at a path has images for training of two domains: ``trainA`` and ``trainB``.

    Raises:
        DatasetError: it has such images of one of them only.
    """
    if address.startswith(HUB):
        return False  # nothing is downloaded for it
    from gancli.data.containers import is_tar

    path = Path(os.path.expanduser(address))  # noqa: PTH111  (Path.expanduser raises for an unknown user)
    try:
        if not (path.is_dir() or is_zipfile(path) or is_tar(path)):
            return False
        parts = open_source(address).parts()
    except GancliError:
        return False
    found = {part.domain for part in parts if part.split == "train"} & set(DOMAINS)
    if len(found) == 1:
        full, empty = (f"train{domain}" for domain in sorted(DOMAINS, key=found.__contains__, reverse=True))
        problem = f"{quoted(address)} has images in {full}, and none in {empty}."
        raise DatasetError(problem, f"Put the other images of a translation into {empty}, or name its folders otherwise.")
    return len(found) == len(DOMAINS)


def _folder(path: Path, split: str, domain: str) -> Source:
    from gancli.data.arrays import IDX_NAME
    from gancli.data.containers import FolderSource

    names = names_in(path)
    if not any(map(is_image, names)):  # beside images, other files are not data
        if any(map(IDX_NAME.fullmatch, names)):
            return _idx(path, split)
        if any(map(CIFAR.fullmatch, names)):
            return _cifar(FolderSource(path, split), split)
        below = [name for folder in names for name in names_in(path / folder, strict=False)]
        tables = any(map(is_table, below)) and not any(map(is_image, below))
        if tables or "dataset_dict.json" in names or any(map(is_table, names)):  # of Hugging Face's save_to_disk
            return _tables(path, split, domain)
    return FolderSource(path, split, domain)


def _file(path: Path, split: str, domain: str) -> Source:
    from gancli.data.arrays import load_numpy
    from gancli.data.containers import TarSource, ZipSource, is_tar

    with open_regular(path) as file:
        start = file.peek(8)[:8]
    if start.startswith((PARQUET, ARROW_FILE)) or (is_table(path.name) and start.startswith(ARROW_STREAM)):
        return _tables(path, split, domain)
    if start.startswith(NUMPY) or (start.startswith(ZIPS) and path.suffix.lower() == ".npz"):
        return _Arrays(lambda _: _named(load_numpy(path, split), path))
    if start.startswith(ZIPS):
        return ZipSource(path, split, domain)
    if is_tar(path):
        archive = TarSource(path, split, domain)
        names = [file.name.rpartition("/")[2] for file in archive.files]
        return _cifar(archive, split) if any(map(CIFAR.fullmatch, names)) and not any(map(is_image, names)) else archive
    if is_image(path.name) and not start.startswith(b"\0\0\x08"):
        raise DatasetError(f"{quoted(path)} is one image.", "Give the folder that it lies in, or an archive.")
    if not start.startswith(IDX):
        problem = f"{quoted(path)} is not a supported data set: it starts with the bytes {start[:4].hex(' ')}."
        raise DatasetError(problem, "Give a folder, zip or tar of images, or a file of them in IDX, .npy, .npz or Parquet.")
    return _idx(path, split)


def is_table(name: str) -> bool:
    """Whether the name is a table's, and not that of what Hugging Face's library keeps of its own computations.

    >>> [is_table(name) for name in ("train-00000-of-00001.PARQUET", "cache-1f.arrow", ".x.parquet")]
    [True, False, False]
    """
    return name.lower().endswith((".parquet", ".arrow")) and not name.startswith(("cache-", "."))


def _tables(path: Path, split: str, domain: str) -> Source:
    source: Source = part("tables", f"{quoted(path)}, with Parquet or Arrow tables,")(path, split, domain)
    return source


def _cifar(source: FileSource, split: str) -> Source:
    load = part("cifar", f"{quoted(source.path)}, with CIFAR's binary files,")
    return _Arrays(lambda _: _named(load(source, split), source.path))


def _idx(path: Path, split: str) -> Source:
    from gancli.data.arrays import load_idx

    return _Arrays(lambda config: _named(*load_idx(path, split, config.labels)))


def _from_plugin(config: DataConfig, address: str, split: str) -> Loaded:
    entry = DATASETS.find(address)
    if config.labels is not None:
        problem = f"data.labels is '{config.labels}', but the data set '{entry.name}' has labels of its own."
        raise ConfigError(problem, "Leave data.labels out.")
    plugin = DATASETS.load_entry(entry)
    images = plugin().load(split)
    if (broken := broken_promise(images)) is not None:
        raise PluginError(f"The data set '{entry.name}' returned {broken}.", f"Report it to the authors of {entry.qualified}.")
    if os.path.lexists(address):
        note = f"This is the data set {entry.name}; for the file or folder of that name, write ./{entry.name}."
        images = replace(images, notes=(*images.notes, note))
    source = f"{entry.name} ({f'{entry.distribution} {entry.version}'.strip()})"
    return Loaded(entry.name, source, images, fingerprint(images), plugin.licence)


def broken_promise(images: object) -> str | None:  # noqa: PLR0911  (one for each promise)
    """What is wrong with the images from a plugin, if anything: see :class:`gancli.plugin.ImageSet`."""
    import torch

    if not isinstance(images, ImageSet):
        return f"{type(images).__name__}, not gancli.plugin.ImageSet"
    pixels, labels, sources, names = images.images, images.labels, images.sources, images.class_names
    parts: tuple[object, ...] = (pixels, labels, sources)
    if foreign := {type(part).__name__ for part in parts if not isinstance(part, torch.Tensor | None)}:
        return f"{foreign.pop()}, not torch.Tensor"
    for each in (pixels, *([] if sources is None else [sources])):
        if each.dtype != torch.uint8 or each.ndim != 4 or not each.numel():  # noqa: PLR2004  (dimensions)
            return f"images of type {each.dtype} and shape {tuple(each.shape)}, not uint8 (n, c, h, w)"
    if sources is not None and images.paired and len(sources) != len(pixels):
        return f"{len(sources)} source images for {len(pixels)} paired ones"
    if labels is None:
        return f"{len(names)} names of classes, and no labels" if names else None
    if labels.dtype != torch.int64 or labels.shape != pixels.shape[:1]:
        return f"labels of type {labels.dtype} and shape {tuple(labels.shape)}, not int64 ({len(pixels)},)"
    if labels.min() < 0 or labels.max() >= len(names) or len(set(names)) < len(names):
        return f"labels from {labels.min()} to {labels.max()}, with {len(set(names))} names of classes"
    return None


def _named(images: ImageSet, path: Path) -> Loaded:
    """Images that were read from a file or folder."""
    return Loaded(title(path), str(path.resolve()), images, fingerprint(images))


def title(path: Path) -> str:
    """What to call the images at a path: by its own name if it says something, else by its folder's.

    >>> from pathlib import Path
    >>> title(Path("/data/Fashion MNIST/train-images-idx3-ubyte.gz")), title(Path("a/cats.tar.gz"))
    ('fashion-mnist', 'cats')
    """
    from gancli.data.arrays import SPLIT_WORD

    stem = re.sub(r"images[-.]idx[34]-ubyte.*", "", path.name, flags=re.DOTALL)
    own = slug(SPLIT_WORD.sub("", stem if stem != path.name else stem.split(".")[0]))
    return own or slug(path.absolute().parent.name) or "images"


def slug(text: str) -> str:
    """A short name for run directories.

    >>> slug("My Photos (2024)")
    'my-photos-2024'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
