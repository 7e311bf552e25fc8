"""Images to train on: from a data set's name or a user's path to uint8 images, and to batches.

    source       what an address is, decided once: one small class per kind of source
    catalogue    names to images, splits, domains: the same rules for every kind; labels
    collection   encoded images of any kind: decoded once; containers: folders, zip and tar archives
    arrays       images in NumPy's files and IDX
    decoding     encoded images to pixels; fit: to one size and number of channels
    cache        decoded images and downloads on the disk
    mnist        the data sets in the package
    batches      images to batches

Importing this package costs nothing: torch comes with the images. What is missing or broken is a ``DatasetError``, of one
image a ``Flaw``; a data set without a plugin is a ``PluginError``, settings that do not suit the images are a
``ConfigError``, and what cannot be kept in the cache a ``StorageError``. Tables and downloads are in gancli-hub.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gancli.data.source import Loaded, Source, Watch, fingerprint, open_data, open_source, unwatched

if TYPE_CHECKING:
    from gancli.config.schema import DataConfig

__all__ = ["Loaded", "Source", "Watch", "fingerprint", "load_images", "open_data", "open_source", "unwatched"]


def load_images(config: DataConfig, split: str = "train", watch: Watch = unwatched) -> Loaded:
    """The images of ``split`` (``"train"`` or ``"test"``) that the configuration asks for."""
    return open_data(config, split).load(config, watch)
