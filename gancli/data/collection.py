"""A collection of encoded pictures, of any sizes and modes, as a set to train on: looked at, decoded once, and kept.

The set is kept under a key made of the catalogue (names, sizes, and times or checksums: see :meth:`Reader.stamp`), of all
settings that change pixels, and of Pillow's version. Another time, another name, or another setting make another set.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from statistics import median_high
from typing import TYPE_CHECKING

from gancli.data import cache
from gancli.data.arrays import numbered_classes
from gancli.data.decoded import Facts, Unfinished, finished, mapped, unfinished
from gancli.data.fit import choose
from gancli.data.paths import count, quoted, visible
from gancli.data.readers.folder import inventory
from gancli.data.readers.names import SUFFIXES
from gancli.errors import ConfigError, DatasetError
from gancli.plugin import ImageSet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gancli.config.schema import DataConfig
    from gancli.data.decoding import Header
    from gancli.data.fit import Fit
    from gancli.data.readers.labels import Labels
    from gancli.data.readers.reader import Reader
    from gancli.data.watch import Watch

__all__ = ["load_collection", "refuse_empty", "too_many_broken"]

FORMAT = 2
"""Version of what is kept; a change makes all sets anew."""
PIXEL_KEYS = ("image_size", "channels", "fit", "alpha", "background")
SHOWN = 3
CHECKED_BYTES = 2**30
"""Up to here (a second's work) all bytes of a kept set are compared with its fingerprint whenever it is used."""


def load_collection(reader: Reader, config: DataConfig, watch: Watch) -> tuple[ImageSet, Facts]:
    """All pictures of a collection, mapped into memory, and what is known of them. They are decoded unless that was done.

    Raises:
        DatasetError: there are none, or too many are broken.
        StorageError: the cache cannot be written to, or is full.
    """
    if config.labels is not None:
        raise ConfigError(
            f"data.labels is '{config.labels}', but labels of a collection are its sub-folders or its dataset.json.",
            "Leave data.labels out.",
        )
    refuse_empty(reader)
    key = _key(reader, config)
    target = cache.folder("pictures") / key
    facts = _kept(target)
    if facts is None:
        with cache.locked(key):
            facts = _kept(target) or _make(reader, config, target, watch)
    if len(facts.skipped) > config.allow_broken * (facts.shape[0] + len(facts.skipped)):
        raise too_many_broken(reader, config, [(name, flaw) for _, name, flaw in facts.skipped])
    return _image_set(target, facts), facts


def refuse_empty(reader: Reader) -> None:
    """Refuse a collection without a single picture.

    Raises:
        DatasetError: it is one.
    """
    if not reader.items():
        inside = inventory(reader.path) if reader.path.is_dir() else ""
        held = "nothing" if inside == "nothing" else f"{inside}, but no picture" if inside else "no picture"
        raise DatasetError(
            f"{quoted(reader.path)} holds {held}.",
            f"Pictures end in {', '.join(SUFFIXES)}; hidden names are passed over. `gancli dataset list` shows others.",
        )


def too_many_broken(reader: Reader, config: DataConfig, broken: Sequence[tuple[str, str]]) -> DatasetError:
    """More pictures are broken than ``data.allow_broken`` permits: which, and why."""
    total = len(reader.items())
    listed = "; ".join(f"{visible(name)}: {visible(flaw)}" for name, flaw in broken[:SHOWN])
    more = ", ..." if len(broken) > SHOWN else ""
    if len(broken) == total:
        remedy = "`gancli dataset show` lists all of them."
    else:
        share = min(1.0, len(broken) / total + 0.01)
        remedy = f"`gancli dataset show` lists all of them; -s data.allow_broken={share:.2f} trains without them."
    allowed = f", more than {config.allow_broken:.0%}" if len(broken) < total else ""
    return DatasetError(
        f"{count(len(broken), 'picture')} of {total:,} in {quoted(reader.path)} "
        f"{'is' if len(broken) == 1 else 'are'} broken{allowed} ({listed}{more}).",
        remedy,
    )


def _key(reader: Reader, config: DataConfig) -> str:
    import PIL

    settings = {key: getattr(config, key) for key in PIXEL_KEYS}
    text = json.dumps([FORMAT, PIL.__version__, reader.stamp(), settings])
    return sha256(text.encode()).hexdigest()[:32]


def _kept(target: Path) -> Facts | None:
    """The facts of a set that is there and whole; what was damaged is made anew."""
    from gancli.data import fingerprint

    facts = finished(target)
    if facts is None or math.prod(facts.shape) > CHECKED_BYTES:
        return facts
    return facts if fingerprint(_image_set(target, facts)) == facts.fingerprint else None


def _make(reader: Reader, config: DataConfig, target: Path, watch: Watch) -> Facts:
    """Decode everything, and give it the name ``target``. For the holder of the lock.

    Nothing ends early because many pictures are broken: how many there are is what the user has to know, and to allow.
    """
    from gancli.data.pipeline import survey

    seen = survey(reader, watch)
    headers = [header for header in seen if not isinstance(header, str)]
    if not headers:
        names = [item.name for item in reader.items()]
        raise too_many_broken(
            reader, config, [(name, flaw) for name, flaw in zip(names, seen, strict=True) if isinstance(flaw, str)]
        )
    labels = reader.labels()
    fit = choose(headers, config)
    rows = unfinished(target.with_name(f"{cache.UNFINISHED}{target.name}"), (fit.channels, fit.height, fit.width))
    rows.refuse_full_disk(len(seen))
    with rows.writing():
        _decode(reader, config, fit, rows, watch)
    notes = (*reader.notes, *_what_was_done(headers, fit, config))
    facts = _facts(rows, labels, notes)
    rows.finish(target, facts)
    return facts


def _decode(reader: Reader, config: DataConfig, fit: Fit, rows: Unfinished, watch: Watch) -> None:
    from gancli.data.pipeline import decode_all

    items = reader.items()
    for decoded in decode_all(reader, fit, rows.done):
        if decoded.pixels is None:
            rows.skip(items[decoded.index].name, decoded.flaw)
        else:
            rows.append(decoded.pixels)
        watch("decoding pictures", rows.done, len(items))
    if not rows.rows:
        raise too_many_broken(reader, config, [(name, flaw) for _, name, flaw in rows.skipped])


def _facts(rows: Unfinished, labels: Labels | None, notes: tuple[str, ...]) -> Facts:
    from gancli.data import fingerprint

    left_out = {index for index, _, _ in rows.skipped}
    numbers = None if labels is None else tuple(n for index, n in enumerate(labels.numbers) if index not in left_out)
    names = labels.names if labels else ()
    notes = (*notes, *_classes_without_pictures(numbers, names))
    facts = Facts((rows.rows, *rows.row_shape), numbers, names, notes, tuple(rows.skipped), "")
    return replace(facts, fingerprint=fingerprint(_image_set(rows.path, facts)))


def _classes_without_pictures(numbers: Sequence[int] | None, names: tuple[str, ...]) -> tuple[str, ...]:
    import numpy as np

    return () if numbers is None else numbered_classes(np.array(numbers), names)[1]


def _image_set(path: Path, facts: Facts) -> ImageSet:
    import torch

    labels = None if facts.labels is None else torch.tensor(facts.labels, dtype=torch.int64)
    notes = (*facts.notes, *_left_out(facts))
    return ImageSet(mapped(path, facts.shape), labels, facts.class_names, notes)


def _left_out(facts: Facts) -> tuple[str, ...]:
    broken = facts.skipped
    if not broken:
        return ()
    listed = "; ".join(f"{visible(name)}: {visible(flaw)}" for _, name, flaw in broken[:SHOWN])
    more = "; ..." if len(broken) > SHOWN else ""
    return (f"{count(len(broken), 'broken picture')} left out ({listed}{more}).",)


def _what_was_done(headers: Sequence[Header], fit: Fit, config: DataConfig) -> tuple[str, ...]:
    """What became of the pictures' sizes, colours and transparency, in sentences."""
    sizes = Counter((header.height, header.width) for header in headers)
    notes = []
    if set(sizes) != {(fit.height, fit.width)}:
        sides = sorted(map(min, sizes.elements()))
        (tall, wide), _ = sizes.most_common(1)[0]
        spread = f"of {len(sizes):,} sizes (shorter sides {sides[0]} to {sides[-1]}, median {median_high(sides)})"
        were = f"{tall}x{wide}" if len(sizes) == 1 else spread
        how = {"crop": "the middle is cut out", "pad": "a border is added", "stretch": "proportions are changed"}[fit.fit]
        chosen = "" if config.image_size else "; --image-size chooses another size"
        notes.append(f"Pictures are {were}, and are made {fit.height}x{fit.width}: {how}{chosen}.")
    alpha = sum(header.alpha for header in headers)
    if alpha and not fit.keeps_alpha:
        notes.append(
            f"{count(alpha, 'picture')} with transparency, shown before {config.background}; -s data.alpha=keep learns it."
        )
    colour = sum(not header.grey for header in headers)
    if colour < len(headers) and fit.channels > 2:  # noqa: PLR2004
        if colour:
            notes.append(f"{len(headers) - colour:,} of {len(headers):,} pictures are grey; all are taken as colour.")
    elif colour and fit.channels < 3:  # noqa: PLR2004
        notes.append(f"{count(colour, 'picture')} in colour, taken as grey.")
    return tuple(notes)
