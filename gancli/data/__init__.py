"""Images to train on: from a data set's name or a user's path to uint8 pictures, and from pictures to batches.

``load_images`` decides what the configuration means. A registered name wins; anything else that looks like a path (a separator,
a leading ``.`` or ``~``, or a file of that name) is one. Importing this package costs nothing: torch comes with the pictures.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gancli.data.watch import Watch, unwatched
from gancli.errors import ConfigError, PluginError
from gancli.plugins.registry import DATASETS, is_path

if TYPE_CHECKING:
    from gancli.config.schema import DataConfig
    from gancli.data.readers.reader import Reader
    from gancli.plugin import ImageSet

__all__ = ["Loaded", "collection_of", "fingerprint", "load_images"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Pictures, and where they came from.

    Attributes:
        name: a short slug, for the names of run directories: ``mnist``.
        source: for people: the resolved path, or the plugin's name and distribution.
        images: the pictures.
        fingerprint: of the pictures and labels, see :func:`fingerprint`.
        licence: of the pictures, as far as it is known; else empty.
        skipped: name and flaw of each picture of a collection that was left out.
    """

    name: str
    source: str
    images: ImageSet
    fingerprint: str
    licence: str = ""
    skipped: tuple[tuple[str, str], ...] = ()


def load_images(config: DataConfig, split: str = "train", watch: Watch = unwatched) -> Loaded:
    """The pictures of ``split`` (``"train"`` or ``"test"``) that the configuration asks for; ``watch`` is told how far it is.

    Raises:
        DatasetError: they are missing or broken.
        PluginError: there is no data set of that name, or it is broken.
        ConfigError: labels are given for a data set that has its own.
    """
    if is_path(config.dataset):
        return _from_path(config, split, watch)
    return _from_plugin(config, split, watch)


def collection_of(config: DataConfig, split: str = "train") -> Reader | None:
    """The encoded pictures that the configuration asks for, unread; None where it asks for a named data set or for arrays.

    Raises:
        DatasetError: they are missing or broken.
    """
    if not is_path(config.dataset):
        return None
    from gancli.data.opening import collection_at

    return collection_at(config.dataset, split)


def fingerprint(images: ImageSet) -> str:
    """SHA-256, in hex, of shape, type, pixels and labels: equal for equal pictures, wherever they came from."""
    from hashlib import sha256

    state = sha256()
    for tensor in (images.images, images.labels):
        if tensor is not None:
            state.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
            state.update(tensor.contiguous().numpy().data)
    return state.hexdigest()


def _from_path(config: DataConfig, split: str, watch: Watch) -> Loaded:
    from gancli.data.opening import load_arrays_at
    from gancli.data.sources import slug, title

    reader = collection_of(config, split)
    if reader is None:
        images, path = load_arrays_at(config.dataset, config, split)
        images = _fitted(images, config, watch)
        return Loaded(title(path), str(path.resolve()), images, fingerprint(images))
    from gancli.data.collection import load_collection

    images, facts = load_collection(reader, config, watch)
    skipped = tuple((name, flaw) for _, name, flaw in facts.skipped)
    name = slug(config.dataset) if config.dataset.startswith("hf:") else title(reader.path)
    return Loaded(name, str(reader.path.resolve()), images, facts.fingerprint, skipped=skipped)


def _fitted(images: ImageSet, config: DataConfig, watch: Watch) -> ImageSet:
    """Arrays as they are, unless another size or number of channels is asked for."""
    if config.image_size is None and config.channels is None:
        return images
    from gancli.data.refit import refit

    return refit(images, config, watch)


def _from_plugin(config: DataConfig, split: str, watch: Watch) -> Loaded:
    from gancli.data.sources import refuse_split

    entry = DATASETS.find(config.dataset)
    if config.labels is not None:
        raise ConfigError(
            f"data.labels is '{config.labels}', but the data set '{entry.name}' has labels of its own.",
            "Leave data.labels out.",
        )
    refuse_split(split)
    plugin = DATASETS.load_entry(entry)
    images = plugin().load(split)
    if (broken := _broken_promise(images)) is not None:
        raise PluginError(f"The data set '{entry.name}' returned {broken}.", f"Report it to the authors of {entry.qualified}.")
    if os.path.lexists(config.dataset):
        note = f"This is the data set {entry.name}; for the file or folder of that name, write ./{entry.name}."
        images = replace(images, notes=(*images.notes, note))
    images = _fitted(images, config, watch)
    source = f"{entry.name} ({f'{entry.distribution} {entry.version}'.strip()})"
    return Loaded(entry.name, source, images, fingerprint(images), plugin.licence)


def _broken_promise(images: ImageSet) -> str | None:
    """What is wrong with the pictures from a plugin, if anything: see :class:`gancli.plugin.ImageSet`."""
    import torch

    pixels, labels = images.images, images.labels
    parts: tuple[object, ...] = (pixels, labels)
    if foreign := {type(part).__name__ for part in parts if not isinstance(part, torch.Tensor | None)}:
        return f"{foreign.pop()}, not torch.Tensor"
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or not pixels.numel():  # noqa: PLR2004
        return f"pictures of type {pixels.dtype} and shape {tuple(pixels.shape)}, not uint8 (n, c, h, w)"
    if labels is None:
        return None
    if labels.dtype != torch.int64 or labels.shape != pixels.shape[:1]:
        return f"labels of type {labels.dtype} and shape {tuple(labels.shape)}, not int64 ({len(pixels)},)"
    if labels.min() < 0 or labels.max() >= len(images.class_names):
        return f"labels from {labels.min()} to {labels.max()}, with {len(images.class_names)} names of classes"
    return None
