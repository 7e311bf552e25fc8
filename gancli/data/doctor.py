"""What is in a data set, what is wrong with it, and what a training would make of it. Loads torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from hashlib import sha256
from statistics import median_high
from typing import TYPE_CHECKING

from gancli.data import open_source
from gancli.data.collection import Collection
from gancli.data.decoding import Flaw, read_all, reading
from gancli.data.paths import count
from gancli.text import visible
from gancli.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.config.schema import DataConfig
    from gancli.data import Loaded, Watch
    from gancli.data.catalogue import Item

SHEET_IMAGES = 64
FEW_IMAGES = 1_000
IMBALANCE = 10
SPREAD = 8
ELONGATED = 2


@dataclass(frozen=True, slots=True)
class Files:
    """What encoded images are made of.

    Attributes:
        kind: of their source: ``folder``, ``zip``, ``tar`` or ``table``.
        files: how many.
        formats: how many of each; likewise ``modes``.
        grey: how many have no colour.
        transparent: how many have transparency.
        sizes: how many of each height and width.
        duplicates: groups of names whose files hold the same bytes.
        broken: name and flaw of each image that is left out.
    """

    kind: str
    files: int
    formats: dict[str, int]
    modes: dict[str, int]
    grey: int
    transparent: int
    sizes: dict[tuple[int, int], int]
    duplicates: list[list[str]]
    broken: tuple[tuple[str, str], ...]

    @property
    def shorter_sides(self) -> tuple[int, int, int]:
        """The smallest, the median, and the largest."""
        sides = sorted(min(size) for size, number in self.sizes.items() for _ in range(number))
        return sides[0], median_high(sides), sides[-1]

    @property
    def elongated(self) -> int:
        """How many are more than twice as long as wide, or the reverse."""
        return sum(n for size, n in self.sizes.items() if max(size) > ELONGATED * min(size))

    def as_json(self) -> dict[str, object]:
        """All of it, as a JSON object."""
        commonest = Counter(self.sizes).most_common(5)
        return {
            **asdict(self),
            "sizes": {
                "different": len(self.sizes),
                "shorter_side": dict(zip(("smallest", "median", "largest"), self.shorter_sides, strict=True)),
                "elongated": self.elongated,
                "commonest": [{"height": h, "width": w, "images": n} for (h, w), n in commonest],
            },
            "broken": [{"name": name, "reason": flaw} for name, flaw in self.broken],
        }


@dataclass(frozen=True, slots=True)
class Description:
    """What a data set is, and what is worth knowing about it.

    Attributes:
        data: the images, with the broken ones left out.
        split: ``train`` or ``test``.
        classes: number of images of each class.
        files: None for arrays.
        advice: sentences.
    """

    data: Loaded
    split: str
    classes: dict[str, int]
    files: Files | None
    advice: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """All of it but the images, as a JSON object."""
        pixels = self.data.images.images
        number, channels, height, width = pixels.shape
        return {
            "name": self.data.name,
            "source": self.data.source,
            "split": self.split,
            "images": number,
            "channels": channels,
            "height": height,
            "width": width,
            "classes": self.classes,
            "bytes": pixels.nbytes,
            "fingerprint": self.data.fingerprint,
            "licence": self.data.licence,
            "notes": list(self.data.images.notes),
            **({} if self.files is None else self.files.as_json()),
            "advice": list(self.advice),
        }


def describe(config: DataConfig, split: str, watch: Watch, choice: str = "") -> Description:
    """Everything about the images that the configuration asks for.

    Args:
        config: which images, and what is to be made of them.
        split: which part of them.
        watch: is called with the progress.
        choice: what a training would choose for them, as the first advice.

    Raises:
        GancliError: there is no such data set, or nothing of it can be read.
    """
    source = open_source(config.dataset, split)
    loaded = source.load(config.model_copy(update={"allow_broken": 1.0}), watch)
    files = _files(source, config, loaded, watch) if isinstance(source, Collection) else None
    names, labels = loaded.images.class_names, loaded.images.labels
    classes = {} if labels is None else dict(zip(names, labels.bincount(minlength=len(names)).tolist(), strict=True))
    advice = [choice] if choice else []
    advice += [*_advice(loaded, classes), *(_advice_on_files(files, loaded, config) if files else ())]
    if {part.domain for part in source.parts()} >= {"A", "B"}:
        advice.append("The domains A and B are two classes here; `gancli train --dataset` learns to translate A into B.")
    return Description(loaded, split, classes, files, tuple(advice))


def write_sheet(loaded: Loaded, path: Path) -> None:
    """Write 64 of the images, or all if there are fewer, evenly spread over the set, as one PNG.

    Raises:
        StorageError: it cannot be written.
    """
    import numpy as np

    from gancli.images import grid, to_png
    from gancli.storage.disk import write_atomically

    pixels = loaded.images.images.numpy()
    chosen = np.linspace(0, len(pixels) - 1, min(SHEET_IMAGES, len(pixels))).round().astype(int)
    canvas = grid(np.ascontiguousarray(pixels[chosen].transpose(0, 2, 3, 1)))
    write_atomically(path, to_png(canvas, {"gancli": __version__}))


def _files(source: Collection, config: DataConfig, loaded: Loaded, watch: Watch) -> Files:
    """What the headers tell, and which files are the same: only those of equal sizes and checksums are read."""
    seen, items = source.headers(config, watch), source.items
    headers = [header for header in seen if not isinstance(header, Flaw)]

    def likeness(item: Item) -> tuple[int, str]:
        return item.size, item.stamp if source.kind == "zip" else ""

    alike = Counter(map(likeness, items))
    same: dict[str, list[str]] = {}
    for i, (item, opened) in enumerate(zip(items, source.each(), strict=True)):
        if alike[likeness(item)] > 1 and not isinstance(data := reading(opened, read_all), Flaw):
            same.setdefault(sha256(data).hexdigest(), []).append(item.name)
        watch("comparing images", i + 1, len(items))
    return Files(
        kind=source.kind,
        files=len(seen),
        formats=dict(Counter(header.format for header in headers).most_common()),
        modes=dict(Counter(header.mode for header in headers).most_common()),
        grey=sum(header.grey for header in headers),
        transparent=sum(header.alpha for header in headers),
        sizes=dict(Counter((header.height, header.width) for header in headers)),
        duplicates=[names for names in same.values() if len(names) > 1],
        broken=loaded.skipped,
    )


def _advice(loaded: Loaded, classes: dict[str, int]) -> list[str]:
    """What is worth knowing about any set."""
    advice = []
    number = len(loaded.images.images)
    if number < FEW_IMAGES:
        advice.append(f"Only {count(number, 'image')}: the discriminator will overfit. Add more if you can.")
    full = [size for size in classes.values() if size]
    if full and max(full) > IMBALANCE * min(full):
        advice.append(f"Classes are imbalanced: the largest has {max(full):,} images, the smallest {min(full):,}.")
    return advice


def _advice_on_files(files: Files, loaded: Loaded, config: DataConfig) -> list[str]:
    """What is worth knowing about encoded images."""
    (smallest, median, largest), advice = files.shorter_sides, []
    height, width = loaded.images.images.shape[2:]
    if len(files.broken) > config.allow_broken * files.files:
        share = min(1.0, len(files.broken) / files.files + 0.01)
        advice.append(f"So many are broken that training refuses them: repair them, or -s data.allow_broken={share:.2f}.")
    if largest > SPREAD * smallest:
        advice.append(f"Sizes differ widely: shorter sides are {smallest} to {largest} pixels.")
    if median < min(height, width):
        advice.append(f"Half of the images are smaller than {height}x{width} and would be enlarged: choose a smaller size.")
    if files.elongated and config.fit == "crop":
        advice.append(
            f"The crop removes more than half of {count(files.elongated, 'image')}; -s data.fit=pad keeps all of each."
        )
    if repeated := sum(len(names) - 1 for names in files.duplicates):
        first, second, *_ = files.duplicates[0]
        advice.append(f"{count(repeated, 'copy', 'copies')} of other files, such as {visible(second)} of {visible(first)}.")
    return advice
