"""The doctor of data sets: what is in one, what is wrong with it, and what a training would make of it. Loads torch."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from statistics import median_high
from typing import TYPE_CHECKING, Any

from gancli.data.paths import count, visible
from gancli.data.readers.reader import read_all, reading
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gancli.config.schema import DataConfig
    from gancli.data import Loaded
    from gancli.data.decoding import Header
    from gancli.data.readers.reader import Item, Reader
    from gancli.data.watch import Watch
    from gancli.plugin import ImageSpec

__all__ = ["pictures", "write_sheet"]

SHEET_PICTURES = 64
FEW_PICTURES = 1_000
IMBALANCE = 10
SPREAD = 8
ELONGATED = 2
LARGEST_FOR_DENSE = 3 * 32 * 32


def pictures(config: DataConfig, split: str, watch: Watch, sheet: Path | None = None) -> dict[str, Any]:
    """Number, size, classes and their balance, fingerprint, licence and source; of a collection also what it is made of.

    Args:
        config: which pictures, and what is to be made of them.
        split: ``train`` or ``test``.
        watch: is told how far it is.
        sheet: where to draw some of the pictures, as a network would see them.

    Raises:
        GancliError: there is no such data set, or nothing of it can be read.
    """
    from gancli.data import collection_of, load_images

    reader = collection_of(config, split)
    collected = {} if reader is None else _collected(reader, watch)
    loaded = load_images(config.model_copy(update={"allow_broken": 1.0}), split, watch)
    if sheet is not None:
        write_sheet(loaded, sheet)
    images = loaded.images
    number, channels, height, width = images.images.shape
    classes = _balance(images.class_names, images.labels)
    flaws = [{"name": name, "reason": flaw} for name, flaw in loaded.skipped]
    return {
        "name": loaded.name,
        "source": loaded.source,
        "split": split,
        "images": number,
        "channels": channels,
        "height": height,
        "width": width,
        "classes": classes,
        "bytes": images.images.nbytes,
        "fingerprint": loaded.fingerprint,
        "licence": loaded.licence,
        "notes": list(images.notes),
        **collected,
        **({} if reader is None else {"broken": flaws}),
        "advice": [*_advice(images.spec(), number, classes), *_advice_on_files(collected, flaws, config, (height, width))],
    }


def write_sheet(loaded: Loaded, path: Path) -> None:
    """Draw 64 of the pictures, or all if there are fewer, evenly spread over the set, as a PNG.

    Raises:
        StorageError: it cannot be written.
    """
    from io import BytesIO

    import numpy as np

    from gancli.images import grid, save_png
    from gancli.storage.disk import write_atomically

    pixels = loaded.images.images.numpy()
    chosen = np.linspace(0, len(pixels) - 1, min(SHEET_PICTURES, len(pixels))).round().astype(int)
    buffer = BytesIO()
    save_png(grid(np.ascontiguousarray(pixels[chosen].transpose(0, 2, 3, 1))), buffer, {"gancli": __version__})
    write_atomically(path, buffer.getvalue())


def _balance(names: tuple[str, ...], labels: Any) -> dict[str, int]:  # noqa: ANN401  (a tensor, or None)
    if labels is None:
        return {}
    return dict(zip(names, labels.bincount(minlength=len(names)).tolist(), strict=True))


def _collected(reader: Reader, watch: Watch) -> dict[str, Any]:
    """What the headers of the files tell, and which files are the same."""
    from gancli.data.pipeline import survey

    seen = survey(reader, watch)
    headers = [header for header in seen if not isinstance(header, str)]
    return {
        "kind": reader.kind,
        "files": len(seen),
        "formats": dict(Counter(header.format for header in headers).most_common()),
        "modes": dict(Counter(header.mode for header in headers).most_common()),
        "grey": sum(header.grey for header in headers),
        "transparent": sum(header.alpha for header in headers),
        "sizes": _sizes(headers),
        "duplicates": _duplicates(reader, watch),
    }


def _sizes(headers: Sequence[Header]) -> dict[str, Any]:
    """Heights and widths: how many different ones, the extremes of the shorter side, and the commonest."""
    sizes = Counter((header.height, header.width) for header in headers)
    shorter = sorted(map(min, sizes.elements()))
    if not shorter:
        return {}
    return {
        "different": len(sizes),
        "shorter_side": {"smallest": shorter[0], "median": median_high(shorter), "largest": shorter[-1]},
        "elongated": sum(n for (h, w), n in sizes.items() if max(h, w) > ELONGATED * min(h, w)),
        "commonest": [{"height": h, "width": w, "pictures": n} for (h, w), n in sizes.most_common(5)],
    }


def _duplicates(reader: Reader, watch: Watch) -> list[list[str]]:
    """Names of pictures whose files hold the same bytes. Only files of equal sizes (and checksums, in a zip) are read."""
    items = reader.items()
    alike = Counter(_likeness(reader, item) for item in items)
    groups: dict[str, list[str]] = {}
    for opened in reader.each():
        item = items[opened.index]
        if alike[_likeness(reader, item)] > 1 and isinstance(data := reading(opened, read_all), bytes):
            groups.setdefault(sha256(data).hexdigest(), []).append(item.name)
        watch("comparing pictures", opened.index + 1, len(items))
    return [names for names in groups.values() if len(names) > 1]


def _likeness(reader: Reader, item: Item) -> tuple[int, str]:
    return item.size, item.stamp if reader.kind == "zip" else ""


def _advice(spec: ImageSpec, number: int, classes: Mapping[str, int]) -> list[str]:
    """What is worth knowing about any set."""
    advice = []
    if number < FEW_PICTURES:
        advice.append(
            f"{count(number, 'picture')} {'is' if number == 1 else 'are'} few: a GAN learns them by heart. More help more."
        )
    full = [size for size in classes.values() if size]
    if full and max(full) > IMBALANCE * min(full):
        advice.append(f"Classes are uneven: the largest has {max(full):,} pictures, the smallest {min(full):,}.")
    if spec.channels * spec.height * spec.width > LARGEST_FOR_DENSE:
        advice.append(f"For pictures of {spec} choose a convolutional architecture, such as --arch dcgan.")
    return advice


def _advice_on_files(
    collected: Mapping[str, Any], flaws: Sequence[Mapping[str, str]], config: DataConfig, size: tuple[int, int]
) -> list[str]:
    """What is worth knowing about a collection of files."""
    if not collected.get("sizes"):
        return []
    sides, advice = collected["sizes"]["shorter_side"], []
    if flaws and len(flaws) > config.allow_broken * collected["files"]:
        share = min(1.0, len(flaws) / collected["files"] + 0.01)
        advice.append(f"So many are broken that training refuses them: repair them, or -s data.allow_broken={share:.2f}.")
    if sides["largest"] > SPREAD * sides["smallest"]:
        advice.append(f"Sizes differ widely: shorter sides are {sides['smallest']} to {sides['largest']} pixels.")
    if sides["median"] < min(size):
        advice.append(
            f"Half of the pictures are smaller than {size[0]}x{size[1]} and would be enlarged: choose a smaller size."
        )
    if (long := collected["sizes"]["elongated"]) and config.fit == "crop":
        advice.append(f"The crop takes more than half of {count(long, 'picture')}; -s data.fit=pad keeps all of each.")
    if repeated := sum(len(names) - 1 for names in collected["duplicates"]):
        first = collected["duplicates"][0]
        advice.append(
            f"{count(repeated, 'copy', 'copies')} of other files, such as {visible(first[1])} of {visible(first[0])}."
        )
    return advice
