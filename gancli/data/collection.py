"""Sources of encoded images, of any sizes and modes: headers first, then decoded once, and kept in the cache.

A decoded set is kept under a key made of the catalogue (names, sizes, and times or checksums: see
:meth:`Collection.stamp`), of all settings that change pixels, and of Pillow's version.
"""

from __future__ import annotations

import json
import math
import os
from abc import abstractmethod
from collections import Counter
from dataclasses import replace
from functools import cached_property, partial
from hashlib import sha256
from statistics import median_high
from typing import TYPE_CHECKING, BinaryIO, ClassVar

import PIL

from gancli.data import cache
from gancli.data.arrays import notes_on_classes
from gancli.data.catalogue import SNIFFED_BYTES, SUFFIXES, Catalogue, Item, Part
from gancli.data.decoding import MAX_FILE_BYTES, Flaw, Header, Opener, decode_all, picky_pillow, reading, survey
from gancli.data.fit import DEEPEST, Fit, choose
from gancli.data.labels import Labels, labels_of
from gancli.data.paths import count, open_regular, quoted
from gancli.data.source import Loaded, Source, Watch, fingerprint, title, unwatched
from gancli.errors import ConfigError, DatasetError
from gancli.plugin import ImageSet, ImageSpec
from gancli.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gancli.config.schema import DataConfig

FORMAT = 3  # version of what is kept; a change makes all sets anew
PIXEL_KEYS = ("image_size", "channels", "fit", "alpha", "background", "max_pixels")
CHECKED_BYTES = 2**30  # up to here (a second's work) a kept set is compared with its fingerprint whenever it is used
SAMPLES, SAMPLE_BYTES = 64, 2**14


class Collection(Source):
    """Encoded images at ``path``."""

    kind: ClassVar[str]  # folder, zip, tar or table
    items: Sequence[Item]  # the images of this split, in an order that depends on nothing but the content
    # the class of each image, if there are any, and notes about what looks like labels but is not used
    labelled: tuple[Labels | None, tuple[str, ...]]

    def __init__(self, path: Path, split: str = "train", domain: str = "", name: str = "") -> None:
        self.path, self.split, self.domain = path, split, domain
        self.name = name or title(path)
        self._headers: list[Header | Flaw] | None = None

    def __str__(self) -> str:
        return quoted(self.path)

    @abstractmethod
    def each(self) -> Iterator[Opener]:
        """What opens each image, in their order; to be used before the next is asked for."""

    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the catalogue: files that are not used, and why."""

    @abstractmethod
    def stamp(self) -> str:
        """SHA-256, in hex, that changes with every image added, removed, renamed or replaced."""

    def chosen(self, parts: Sequence[Part]) -> list[Part]:
        """The parts of the split and the domain; what is there for validation serves as test set."""
        here = [part for part in parts if self.domain in ("", part.domain)]
        if not here and parts:
            known = ", ".join(sorted({part.domain for part in parts if part.domain})) or "no domains"
            wrong = f"{self} has no domain '{self.domain}', but {known}."
            raise DatasetError(wrong, "Name its folders trainA, trainB, testA and testB.")
        chosen = [part for part in here if part.split == self.split]
        if self.split == "test":
            chosen = chosen or [part for part in here if part.split == "val"]
        if not chosen and here:
            problem = f"{self} has no {self.split} split, such as a sub-folder of {self.split} images."
            raise DatasetError(problem, "Name one 'test', beside one named 'train', or give it as a data set of its own.")
        return chosen

    def headers(self, config: DataConfig, watch: Watch = unwatched) -> list[Header | Flaw]:
        """The header of each image, or what is wrong with it; read once."""
        if self._headers is None:
            with picky_pillow(config.max_pixels):
                self._headers = survey(self.each(), watch, len(self.items))
        return self._headers

    def spec(self, config: DataConfig, watch: Watch = unwatched) -> ImageSpec:
        """See :meth:`Source.spec`. No pixel is decoded for it."""
        facts = cache.finished(cache.root() / "pictures" / self._key(config))
        if facts is not None:
            return ImageSpec(*facts.shape[1:], len(facts.class_names))
        fit, labels = choose(self._sound_headers(config, watch), config), self.labelled[0]
        return ImageSpec(fit.channels, fit.height, fit.width, len(labels.names) if labels else 0)

    def load(self, config: DataConfig, watch: Watch = unwatched) -> Loaded:
        """All images, mapped into memory. They are decoded unless that was done."""
        target = cache.folder("pictures") / self._key(config)
        facts = _kept(target)
        if facts is None:
            with cache.locked(target.name):
                facts = _kept(target) or self._decode(config, target, watch)
        skipped = tuple((name, flaw) for _, name, flaw in facts.skipped)
        if len(skipped) > config.allow_broken * (facts.shape[0] + len(skipped)):
            raise self._too_many_broken(config, skipped)
        images, source = _image_set(target, facts), str(self.path.resolve())
        return Loaded(self.name, source, images, facts.fingerprint, skipped=skipped, unlabelled=facts.unlabelled)

    def _key(self, config: DataConfig) -> str:
        """The name of the decoded set in the cache. Refuses what cannot be decoded at all."""
        if config.labels is not None:
            raise ConfigError(
                f"data.labels is '{config.labels}', but a set of encoded images has its labels in sub-folders or in "
                "files beside the images (dataset.json, metadata.jsonl, metadata.csv, labels.csv, .cls).",
                "Leave data.labels out.",
            )
        if not self.items:
            hints = *self.notes(), "`gancli dataset list` shows the data sets that have a name."
            problem = f"{self} holds no image."
            raise DatasetError(problem, f"Images end in {', '.join(SUFFIXES)}; hidden files are skipped. {' '.join(hints)}")
        settings = {key: getattr(config, key) for key in PIXEL_KEYS}
        return sha256(json.dumps([FORMAT, PIL.__version__, self.stamp(), settings]).encode()).hexdigest()[:32]

    def _sound_headers(self, config: DataConfig, watch: Watch) -> list[Header]:
        seen = self.headers(config, watch)
        if headers := [header for header in seen if not isinstance(header, Flaw)]:
            return headers
        raise self._too_many_broken(config, [(item.name, str(flaw)) for item, flaw in zip(self.items, seen, strict=True)])

    def _decode(self, config: DataConfig, target: Path, watch: Watch) -> cache.Facts:
        """Decode everything, however much is broken, and give it the name ``target``. For the holder of the lock."""
        headers = self._sound_headers(config, watch)
        fit = choose(headers, config)
        row, path = (fit.channels, fit.height, fit.width), target.with_name(f"{cache.UNFINISHED}{target.name}")
        with picky_pillow(config.max_pixels):
            names = [item.name for item in self.items]
            skipped = cache.write(path, math.prod(row), decode_all(self.each(), fit), names, watch)
        if len(skipped) == len(names):
            raise self._too_many_broken(config, [(name, flaw) for _, name, flaw in skipped])
        labels, looked_like_labels = self.labelled
        left_out = {index for index, _, _ in skipped}
        kept = None if labels is None else tuple(n for i, n in enumerate(labels.numbers) if i not in left_out)
        classes = labels.names if labels else ()
        facts = cache.Facts(
            shape=(len(names) - len(skipped), *row),
            labels=kept,
            class_names=classes,
            notes=(*self.notes(), *_what_was_done(headers, fit, config), *notes_on_classes(kept, classes)),
            skipped=tuple(skipped),
            fingerprint="",
            unlabelled=() if labels else looked_like_labels,
        )
        facts = replace(facts, fingerprint=fingerprint(_image_set(path, facts)))
        cache.finish(path, target, facts)
        return facts

    def _too_many_broken(self, config: DataConfig, broken: Sequence[tuple[str, str]]) -> DatasetError:
        """More images are broken than ``data.allow_broken`` permits: which, and why."""
        total = len(self.items)
        remedy, what = "`gancli dataset show` lists all of them.", "broken"
        if all("data.max_pixels" in flaw for _, flaw in broken):
            what, remedy = "too large", f"Resize them, or set the limit with -s data.max_pixels=N. {remedy}"
        elif len(broken) < total:
            share = min(1.0, len(broken) / total + 0.01)
            remedy = f"`gancli dataset show` lists all of them; -s data.allow_broken={share:.2f} trains without them."
            what = f"broken, more than {config.allow_broken:.0%}"
        are = f"{'is' if len(broken) == 1 else 'are'} {what} ({_listed(broken, ', ')})"
        return DatasetError(f"{count(len(broken), 'image')} of {total:,} in {self} {are}.", remedy)


class FileSource(Collection):
    """Images that are files in a folder or an archive, with one catalogue for all kinds."""

    is_sorted: ClassVar[bool] = True

    def __init__(self, path: Path, split: str = "train", domain: str = "") -> None:
        super().__init__(path, split, domain)
        self.files, self._notes_on_files = self.listed()  # under the names that stand in the container

    @abstractmethod
    def listed(self) -> tuple[list[Item], list[str]]:
        """The files, and notes about what is not among them."""

    @abstractmethod
    def opened(self, item: Item) -> BinaryIO:
        """One file, to be read before the next is opened."""

    def sample(self) -> bytes:
        """Some of the content, where names, sizes and times alone could be those of other images."""
        return b""

    def read(self, item: Item, size: int = MAX_FILE_BYTES) -> bytes:
        """What is in a file, or its beginning; nothing if it cannot be read."""
        found = reading(partial(self.opened, item), lambda stream: stream.read(size))
        return b"" if isinstance(found, Flaw) else found

    @cached_property
    def catalogue(self) -> Catalogue:
        """Images by part, files of labels, and what is not used."""
        return Catalogue.of(self.files, partial(self.read, size=SNIFFED_BYTES), backslashes=self.kind != "folder")

    def parts(self) -> tuple[Part, ...]:
        """See :meth:`Source.parts`."""
        return tuple(sorted(self.catalogue.parts))

    @cached_property
    def items(self) -> list[Item]:  # type: ignore[override]  # which is read only as well
        """See :class:`Collection`."""
        items = [item for part in self.chosen(self.parts()) for item in self.catalogue.parts[part]]
        return sorted(items, key=lambda item: item.name) if self.is_sorted else items

    def each(self) -> Iterator[Opener]:
        """See :meth:`Collection.each`."""
        return (partial(self.opened, item) for item in self.items)

    @cached_property
    def labelled(self) -> tuple[Labels | None, tuple[str, ...]]:  # type: ignore[override]
        """See :class:`Collection`."""
        sidecars, items = self.catalogue.sidecars, self.items
        names, paths = [item.name for item in items], [item.path for item in items]
        return labels_of(names, sidecars, lambda name: self.read(sidecars[name]), paths)

    def notes(self) -> tuple[str, ...]:
        """See :meth:`Collection.notes`."""
        return (*self._notes_on_files, *self.catalogue.notes, *self.labelled[1])

    def stamp(self) -> str:
        """See :meth:`Collection.stamp`: of names, sizes, times and checksums."""
        state = sha256(f"{self.kind}\n".encode())
        for item in (*self.items, *self.catalogue.sidecars.values()):
            state.update(f"{item.name}\0{item.size}\0{item.stamp}\n".encode(errors="surrogateescape"))
        state.update("".join(self.catalogue.notes).encode(errors="surrogateescape"))
        state.update(self.sample())
        return state.hexdigest()


def _listed(broken: Sequence[tuple[str, str]], end: str) -> str:
    listed = "; ".join(f"{visible(name)}: {visible(flaw)}" for name, flaw in broken[:3])
    return listed + (f"{end}..." if len(broken) > 3 else "")  # noqa: PLR2004  (as many are listed)


def _kept(target: Path) -> cache.Facts | None:
    """The facts of a set that is there and whole; what was damaged is made anew."""
    facts = cache.finished(target)
    if facts is None or math.prod(facts.shape) > CHECKED_BYTES:
        return facts
    return facts if fingerprint(_image_set(target, facts)) == facts.fingerprint else None


def _image_set(path: Path, facts: cache.Facts) -> ImageSet:
    import torch

    labels = None if facts.labels is None else torch.tensor(facts.labels, dtype=torch.int64)
    notes, broken = facts.notes, [(name, flaw) for _, name, flaw in facts.skipped]
    if broken:
        notes = (*notes, f"{count(len(broken), 'broken image')} left out ({_listed(broken, '; ')}).")
    return ImageSet(cache.mapped(path, facts.shape), labels, facts.class_names, notes)


def _what_was_done(headers: Sequence[Header], fit: Fit, config: DataConfig) -> list[str]:
    """What became of the images' sizes, colours, depth, frames and transparency, in sentences."""
    sizes = Counter((header.height, header.width) for header in headers)
    notes = []
    if set(sizes) != {(fit.height, fit.width)}:
        sides = sorted(map(min, sizes.elements()))
        (tall, wide), _ = sizes.most_common(1)[0]
        spread = f"of {len(sizes):,} sizes (shorter sides {sides[0]} to {sides[-1]}, median {median_high(sides)})"
        were = f"{tall}x{wide}" if len(sizes) == 1 else spread
        how = {"crop": "centre-cropped", "pad": "padded", "stretch": "stretched"}[fit.fit]
        chosen = "" if config.image_size else "; --image-size chooses another size"
        notes.append(f"Images are {were}, and are resized to {fit.height}x{fit.width}: {how}{chosen}.")
    if (alpha := sum(header.alpha for header in headers)) and not fit.keeps_alpha:
        hint = "-s data.alpha=keep learns it" if config.channels is None else f"data.channels is {fit.channels}, without alpha"
        notes.append(f"{count(alpha, 'image')} with transparency, composited onto {config.background}; {hint}.")
    colour = sum(not header.grey for header in headers)
    if 0 < colour < len(headers) and fit.is_colour:
        notes.append(f"{len(headers) - colour:,} of {len(headers):,} images are grey; all are taken as colour.")
    elif colour and not fit.is_colour:
        notes.append(f"{count(colour, 'image')} in colour, taken as grey.")
    if profiles := sum(header.profile for header in headers):
        notes.append(f"{count(profiles, 'image')} with a colour profile of another kind, converted to sRGB.")
    if more := sum(header.frames - 1 for header in headers):
        stacks = count(sum(header.frames > 1 for header in headers), "animation or stack", "animations or stacks")
        notes.append(f"{stacks}: the first frame of each is used, {count(more, 'further frame')} not.")
    deep = [header for header in headers if header.deepest]
    if deep and fit.white < DEEPEST:
        largest = max(header.deepest for header in deep)
        grey = sum(header.grey for header in deep)
        bits = f"16 bits per channel hold {fit.white.bit_length()} at most (largest value {largest:,})"
        if grey:
            notes.append(f"{count(grey, 'image')} whose {bits}: {fit.white:,} is taken for white.")
        if grey < len(deep):
            notes.append(f"{count(len(deep) - grey, 'colour image')} whose {bits}: they look dark; convert them to 8 bits.")
    return notes


def sampled(path: Path, blocks: int = SAMPLES) -> bytes:
    """A digest of a file's size and of so many blocks, evenly spread over it; of all of it where it is small.

    It tells a file from another one of the same name, size and time: times in archives mean nothing.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        state = sha256(str(size).encode())
        for place in evenly(max(1, size - SAMPLE_BYTES + 1), blocks):
            file.seek(place)
            state.update(file.read(SAMPLE_BYTES))
    return state.digest()


def evenly(number: int, most: int) -> list[int]:
    """At most so many of the whole numbers from 0 to ``number - 1``, evenly spread, with the first and the last.

    >>> evenly(3, 8), evenly(100, 4)
    ([0, 1, 2], [0, 33, 66, 99])
    """
    chosen = min(number, most)
    return [i * (number - 1) // max(1, chosen - 1) for i in range(chosen)]
