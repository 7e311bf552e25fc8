"""Pretrained weights that plugins read, and the extractors that are nothing without them."""

from __future__ import annotations

from hashlib import file_digest
from typing import TYPE_CHECKING

from gancli.errors import GancliError, PluginError
from gancli.plugins.registry import EXTRACTORS

if TYPE_CHECKING:
    from gancli.plugin import Asset, FeatureExtractor


def check_asset(asset: Asset) -> None:
    """Raise a PluginError for a file of pretrained weights that is missing or another one."""
    try:
        with asset.path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        what = f"The pretrained weights '{asset.name}' are missing: '{asset.path}' cannot be read."
        raise PluginError(what, asset.origin) from error
    if found != asset.sha256:
        what = f"'{asset.path}' is not the file '{asset.name}': its SHA-256 is {found}, not {asset.sha256}."
        raise PluginError(what, asset.origin)


def installed_extractor(name: str) -> FeatureExtractor:
    """The extractor of that name; a PluginError that says how to install it, if it or a file that it needs is missing."""
    plugin = EXTRACTORS.load(name)()
    for asset in plugin.assets():
        if not asset.path.is_file():
            raise PluginError(f"The extractor '{name}' needs {asset.name}, which is not installed.", asset.origin)
    return plugin


def for_colour() -> str | None:
    """Name of the installed extractor that suits images in colour, the first by name; None if there is none."""
    for entry in EXTRACTORS.entries():
        try:
            if EXTRACTORS.load_entry(entry).for_colour:
                installed_extractor(entry.qualified)
                return entry.name
        except GancliError:
            continue  # broken, or without its files
    return None
