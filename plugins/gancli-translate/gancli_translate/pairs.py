"""Two sets of images for a translation: source images, and target images that they are to become.

Both are decoded as one set would be, to one size and number of channels. Labels are not used. In pairs
an image and its counterpart have the same name, up to the suffix; images of arrays, the same place.
"""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256
from itertools import count as count_from
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gancli.data.paths import count, quoted
from gancli.data.source import DOMAINS, HUB, Loaded, Source, Watch, has_domains, open_source, unwatched
from gancli.errors import ConfigError, DatasetError
from gancli.plugin import ImageSet
from gancli.plugins.registry import is_path
from gancli.text import visible

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.config.schema import DataConfig
    from gancli.plugin import ImageSpec


def open_data(config: DataConfig, split: str) -> Source:
    """The images of a configuration with ``data.to``."""
    assert config.to is not None  # noqa: S101  (for the type checker)
    if _place(config.dataset) != _place(config.to):
        return Translation(open_source(config.dataset, split), open_source(config.to, split), paired=config.paired)
    if not is_path(config.dataset) or not has_domains(config.dataset):
        raise ConfigError(
            f"The images to translate and those to translate into are the same: '{visible(config.to)}'.",
            "Name two sets by --dataset and --to, or one whose folders are called trainA, trainB, testA and testB.",
        )
    one, other = (open_source(config.dataset, split, domain) for domain in DOMAINS)
    return Translation(one, other, paired=config.paired)


def _place(address: str) -> str:
    """The same text for the same images."""
    if not is_path(address) or address.startswith(HUB):
        return address
    return os.path.realpath(os.path.expanduser(address))  # noqa: PTH111  (as above)


class Translation(Source):
    """Images to translate, and those that they are to become, as one data set; ``paired``: each one with its own."""

    def __init__(self, sources: Source, targets: Source, *, paired: bool) -> None:
        self.sources, self.targets, self.paired = sources, targets, paired

    def spec(self, config: DataConfig, watch: Watch = unwatched) -> ImageSpec:
        """See :meth:`Source.spec`: shapes of both."""
        common = self._common(config, watch)
        source, target = (each.spec(common, watch) for each in (self.sources, self.targets))
        return replace(target, classes=0, source=source.shape, paired=self.paired)

    def load(self, config: DataConfig, watch: Watch = unwatched) -> Loaded:
        """See :meth:`Source.load`."""
        common = self._common(config, watch)
        sources, targets = (each.load(common, watch) for each in (self.sources, self.targets))
        alike = sources.name == targets.name
        notes = [
            f"{'Domain ' * alike}{name}: {note}"
            for name, each in zip(DOMAINS if alike else (sources.name, targets.name), (sources, targets), strict=True)
            for note in each.images.notes
        ]
        images, inputs = targets.images.images, sources.images.images
        if self.paired:
            pairs = self._pairs(sources, targets)
            if lost := len(inputs) + len(sources.skipped) - len(pairs):
                notes.append(f"{count(lost, 'pair')} left out, one image of which is broken.")
            inputs, images = _rows(inputs, [a for a, _ in pairs]), _rows(images, [b for _, b in pairs])
        state = f"{sources.fingerprint} {targets.fingerprint}{' paired' if self.paired else ''}"
        return Loaded(
            name=targets.name if alike else f"{sources.name}-to-{targets.name}"[:40].strip("-"),
            source=targets.source if sources.source == targets.source else f"{sources.source} to {targets.source}",
            images=ImageSet(images, notes=tuple(notes), sources=inputs, paired=self.paired),
            fingerprint=sha256(state.encode()).hexdigest(),
            licence="; ".join(dict.fromkeys(filter(None, (sources.licence, targets.licence)))),
            skipped=(*sources.skipped, *targets.skipped),
        )

    def _common(self, config: DataConfig, watch: Watch) -> DataConfig:
        """The configuration with a size and a number of channels for both sets, where their own differ."""
        one, other = (each.spec(config, watch) for each in (self.sources, self.targets))
        update: dict[str, object] = {}
        if (one.height, one.width) != (other.height, other.width):
            update["image_size"] = str(min(one.height, one.width, other.height, other.width))
        if one.channels != other.channels:
            channels = {one.channels, other.channels}
            update["channels"] = (3 if channels & {3, 4} else 1) + bool(channels & {2, 4})
        return config.model_copy(update=update)

    def _pairs(self, sources: Loaded, targets: Loaded) -> list[tuple[int, int]]:
        """The places of both images of each pair in the loaded sets."""
        one, other = _stems(self.sources, sources), _stems(self.targets, targets)
        if one is None or other is None:
            here, there = len(sources.images.images), len(targets.images.images)
            if here != there:
                raise DatasetError(
                    f"--paired needs as many source images as target images; there are {here:,} and {there:,}.",
                    "Give folders, whose images are paired by their names, or leave --paired out.",
                )
            return [(i, i) for i in range(here)]
        for mine, theirs, whose in ((one, other, targets), (other, one, sources)):
            if lonely := [name for name in mine if name not in theirs]:
                listed = ", ".join(visible(name) for name in lonely[:5]) + (", ..." if len(lonely) > 5 else "")  # noqa: PLR2004  (as many are shown)
                raise DatasetError(
                    f"{count(len(lonely), 'image')} without a counterpart in {quoted(whose.source)}: {listed}.",
                    "With --paired, files of the same name belong together, whatever their suffix: rename them, "
                    "remove them, or leave --paired out.",
                )
        both = [(place, other[name]) for name, place in one.items()]
        pairs = [(here, there) for here, there in both if here is not None and there is not None]
        if not pairs:
            raise DatasetError("No pair is left: of each, one image is broken.", "`gancli dataset show` says what is broken.")
        return pairs


def _stems(source: Source, loaded: Loaded) -> dict[str, int | None] | None:
    """Name without split, domain and suffix -> place among the loaded images (None: broken); None for arrays and tables."""
    from gancli.data.collection import FileSource

    if not isinstance(source, FileSource):
        return None
    broken, places = {name for name, _ in loaded.skipped}, count_from(0)
    stems: dict[str, int | None] = {}
    for item in source.items:
        parts = (item.path or item.name).split("/")
        if source.domain in parts[:-1]:
            parts.remove(source.domain)
        stem = str(PurePosixPath(*parts).with_suffix(""))
        if stem in stems:
            raise DatasetError(
                f"{source} holds two images called '{visible(stem)}', so that pairs are not certain.",
                "Rename one of them, or leave --paired out.",
            )
        stems[stem] = None if item.name in broken else next(places)
    return stems


def _rows(images: Tensor, places: list[int]) -> Tensor:
    """The images at these places; the very tensor, memory-mapped perhaps, if they are all of it, in its order."""
    return images if places == list(range(len(images))) else images[places]
