"""Whether a configuration is one of a translation: two sets of images, which gancli-translate puts together."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.data.source import HUB, Source, open_source
from gancli.errors import DatasetError, GancliError
from gancli.plugins.registry import part
from gancli.text import visible

if TYPE_CHECKING:
    from gancli.config.schema import DataConfig

DOMAINS = ("A", "B")


def open_data(config: DataConfig, split: str = "train") -> Source:
    """The images of a configuration: those at ``data.dataset``, with ``data.to`` a translation."""
    if config.to is None:
        return open_source(config.dataset, split)
    source: Source = part("translation", "A translation (--to)")(config, split)
    return source


def has_domains(address: str) -> bool:
    """Whether the folder or archive at a path has images for training of two domains: ``trainA`` and ``trainB``.

    Raises:
        DatasetError: it has such images of one of them only.
    """
    path = Path(os.path.expanduser(address))  # noqa: PTH111  (Path.expanduser raises for an unknown user)
    if address.startswith(HUB):
        return False  # nothing is downloaded for it
    from gancli.data.containers import is_tar

    try:
        if not (path.is_dir() or zipfile.is_zipfile(path) or is_tar(path)):
            return False
        parts = open_source(address).parts()
    except GancliError:
        return False
    found = {part.domain for part in parts if part.split == "train"} & set(DOMAINS)
    if len(found) == 1:
        full, empty = (f"train{domain}" for domain in sorted(DOMAINS, key=found.__contains__, reverse=True))
        raise DatasetError(
            f"'{visible(address)}' has images in {full}, and none in {empty}.",
            f"Put the other images of a translation into {empty}, or name its folders otherwise.",
        )
    return len(found) == len(DOMAINS)
