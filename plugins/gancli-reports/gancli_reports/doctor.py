"""What is in a data set, what is wrong with it, and what a training would make of it. Loads torch."""

from __future__ import annotations

from collections import Counter, defaultdict
from hashlib import sha256
from statistics import median_high
from typing import TYPE_CHECKING, Any

from gancli.data import Loaded, Watch, open_source
from gancli.data.collection import Collection
from gancli.data.decoding import Flaw, read_all, reading
from gancli.data.paths import count
from gancli.text import visible
from gancli.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.config.schema import DataConfig
    from gancli.data.catalogue import Item

SHEET_IMAGES = 64
# from where on the number of images, and ratios of classes, sizes and sides, are worth an advice
FEW_IMAGES, IMBALANCE, SPREAD, ELONGATED = 1_000, 10, 8, 2


def describe(config: DataConfig, split: str, watch: Watch, choice: str = "") -> tuple[Loaded, dict[str, Any]]:
    """The images that the configuration asks for, without the broken ones, and all about them as a JSON object.

    The first advice is the ``choice`` that a training would make for them.
    """
    source = open_source(config.dataset, split)
    loaded = source.load(config.model_copy(update={"allow_broken": 1.0}), watch)
    files = _files(source, config, loaded, watch) if isinstance(source, Collection) else {}
    pixels, labels, names = loaded.images.images, loaded.images.labels, loaded.images.class_names
    counts = [] if labels is None else labels.bincount(minlength=len(names)).tolist()
    classes: dict[str, int] = dict(zip(names, counts, strict=False))  # none without labels
    number, channels, height, width = pixels.shape
    advice = [choice] if choice else []
    if number < FEW_IMAGES:
        advice.append(f"Only {count(number, 'image')}: the discriminator will overfit. Add more if you can.")
    full = [size for size in classes.values() if size]
    if full and max(full) > IMBALANCE * min(full):
        advice.append(f"Classes are imbalanced: the largest has {max(full):,} images, the smallest {min(full):,}.")
    advice += _advice_on_files(files, height, width, config) if files else []
    if {part.domain for part in source.parts()} >= {"A", "B"}:
        advice.append("The domains A and B are two classes here; `gancli train --dataset` learns to translate A into B.")
    return loaded, {
        "name": loaded.name,
        "source": loaded.source,
        "split": split,
        "images": number,
        "channels": channels,
        "height": height,
        "width": width,
        "classes": classes,
        "bytes": pixels.nbytes,
        "fingerprint": loaded.fingerprint,
        "licence": loaded.licence,
        "notes": list(loaded.images.notes),
        **files,
        "advice": advice,
    }


def write_sheet(loaded: Loaded, path: Path) -> None:
    """Write 64 of the images, or all if there are fewer, evenly spread over the set, as one PNG."""
    import numpy as np

    from gancli.images import grid, to_png
    from gancli.storage.disk import write_atomically

    pixels = loaded.images.images.numpy()
    chosen = np.linspace(0, len(pixels) - 1, min(SHEET_IMAGES, len(pixels))).round().astype(int)
    canvas = grid(np.ascontiguousarray(pixels[chosen].transpose(0, 2, 3, 1)))
    write_atomically(path, to_png(canvas, {"gancli": __version__}))


def _files(source: Collection, config: DataConfig, loaded: Loaded, watch: Watch) -> dict[str, Any]:
    """What the headers tell, and which files are the same: only those of equal sizes and checksums are read."""
    seen, items = source.headers(config, watch), source.items
    headers = [header for header in seen if not isinstance(header, Flaw)]

    def likeness(item: Item) -> tuple[int, str]:
        return item.size, item.stamp if source.kind == "zip" else ""

    alike, same = Counter(map(likeness, items)), defaultdict[str, list[str]](list)
    for i, (item, opener) in enumerate(zip(items, source.each(), strict=True)):
        if alike[likeness(item)] > 1 and not isinstance(data := reading(opener, read_all), Flaw):
            same[sha256(data).hexdigest()].append(item.name)
        watch("comparing images", i + 1, len(items))
    sizes = Counter((header.height, header.width) for header in headers)
    sides = sorted(map(min, sizes.elements()))
    return {
        "kind": source.kind,
        "files": len(seen),
        "formats": dict(Counter(header.format for header in headers).most_common()),
        "modes": dict(Counter(header.mode for header in headers).most_common()),
        "grey": sum(header.grey for header in headers),
        "transparent": sum(header.alpha for header in headers),
        "sizes": {
            "different": len(sizes),
            "shorter_side": {"smallest": sides[0], "median": median_high(sides), "largest": sides[-1]},
            "elongated": sum(max(size) > ELONGATED * min(size) for size in sizes.elements()),
            "commonest": [{"height": h, "width": w, "images": n} for (h, w), n in sizes.most_common(5)],
        },
        "duplicates": [names for names in same.values() if len(names) > 1],
        "broken": [{"name": name, "reason": flaw} for name, flaw in loaded.skipped],
    }


def _advice_on_files(files: dict[str, Any], height: int, width: int, config: DataConfig) -> list[str]:
    """What is worth knowing about encoded images."""
    advice, sizes, broken = [], files["sizes"], len(files["broken"])
    smallest, median, largest = sizes["shorter_side"].values()
    if broken > config.allow_broken * files["files"]:
        share = min(1.0, broken / files["files"] + 0.01)
        advice.append(f"So many are broken that training refuses them: repair them, or -s data.allow_broken={share:.2f}.")
    if largest > SPREAD * smallest:
        advice.append(f"Sizes differ widely: shorter sides are {smallest} to {largest} pixels.")
    if median < min(height, width):
        enlarged = f"Half of the images or more are smaller than {height}x{width} and would be enlarged"
        advice.append(f"{enlarged}: choose a smaller --image-size if the architecture has one.")
    if (cut := sizes["elongated"]) and config.fit == "crop":
        advice.append(f"The crop removes more than half of {count(cut, 'image')}; -s data.fit=pad keeps all of each.")
    if repeated := sum(len(names) - 1 for names in files["duplicates"]):
        first, second, *_ = files["duplicates"][0]
        advice.append(f"{count(repeated, 'copy', 'copies')} of other files, such as {visible(second)} of {visible(first)}.")
    return advice
