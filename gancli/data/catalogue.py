"""The catalogue of a source: which of its names are images, and of which split, domain and class.

- names are Unicode NFC with ``/`` between their parts, whatever the system that wrote them;
- what operating systems leave behind, and what is hidden, is skipped;
- images are known by their suffix, and by their first bytes where the suffix is unknown;
- ``train``, ``test``, ``val`` and their synonyms divide a set where they are whole names of folders beside each other, at any
  depth; ``trainA trainB testA testB`` divide it into two domains as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gancli.data.paths import count
from gancli.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SUFFIXES = (
    *(".avif", ".avifs", ".bmp", ".dib", ".gif", ".ico", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe"),
    *(".jpeg", ".jpf", ".jpg", ".jpx", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tga"),
    *(".tif", ".tiff", ".webp", ".apng", ".mpo"),
)
"""How the names of images end, in any letter case."""
HEIC = (".heic", ".heif", ".hif")
UNREADABLE = (
    *(*HEIC, ".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"),
    *(".jxl", ".psd", ".svg", ".exr", ".hdr", ".eps", ".xcf"),
)
"""Images that no decoder here reads: they are counted, and named with the remedy."""
REMEDY = "convert them to JPEG or PNG, for instance with ImageMagick: magick mogrify -format png"
COPIES = ("~", ".bak", ".orig", "_original", ".old", ".tmp", ".part", ".crdownload")
"""How editors and downloads name what is not the file itself, whatever is in it."""
SIDECARS = re.compile(r"(.*/)?(dataset\.json|metadata\.jsonl|[^/]*\.(csv|cls))", re.DOTALL)
"""Files that may say which class each image belongs to, see :mod:`gancli.data.labels`."""
LITTER = (
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "#recycle"),
    *("$recycle.bin", "system volume information"),
)
"""What systems leave behind, in lower case; hidden names (``.DS_Store``, ``.nfs1``) are litter too."""
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
}
_PART = re.compile(rf"({'|'.join(SPLITS)})(?:[-_ ]?([abAB]))?", re.IGNORECASE)
_MAGIC = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|II\*\0|MM\0\*|qoif|P[1-6]\s+[#0-9]"
    rb"|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0|.{4}ftypavi[fs]|\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    re.DOTALL,
)
_HEIC = re.compile(rb".{4}ftyp(hei[cmsx]|hev[cmx]|mif1|msf1)", re.DOTALL)
SNIFFED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a source, unread."""

    name: str  # below the source, see normalised
    size: int  # encoded bytes, as far as its container says
    stamp: str  # what changes when the content does: a time, or a checksum that the container holds
    key: int | str  # its place in the container: a name, a number, or a byte
    path: str = ""  # its name without the folder of its split: what its class is read from


@dataclass(frozen=True, order=True, slots=True)
class Part:
    """A part of a data set: its split (``train``, ``test`` or ``val``), and its domain, if any."""

    split: str
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a source holds."""

    # the images of each part, in the order of the container; undivided sets are train
    parts: dict[Part, tuple[Item, ...]]
    sidecars: dict[str, Item]  # the files that may hold labels, by name
    notes: tuple[str, ...]  # what is not used and why, one sentence each

    @classmethod
    def of(cls, files: Iterable[Item], start: Callable[[Item], bytes], *, backslashes: bool) -> Catalogue:
        """The catalogue of all regular files of a container, of which ``start`` gives the first bytes.

        In archives, backslashes may stand for slashes.
        """
        files = list(files)
        if backslashes and not any("/" in file.name for file in files):
            files = [replace(file, name=file.name.replace("\\", "/")) for file in files]
        files = [replace(file, name=normalised(file.name)) for file in files]
        images, sidecars, others = [], {}, Counter[str]()
        for file in files:
            suffix = PurePosixPath(file.name).suffix.lower()
            if any(map(is_litter, file.name.split("/"))):
                continue
            if suffix in SUFFIXES:
                images.append(file)
            elif SIDECARS.fullmatch(file.name):
                sidecars[file.name] = file
            elif file.name.lower().endswith(COPIES) or suffix in UNREADABLE:
                others[suffix or "~"] += 1
            elif _MAGIC.match(first := start(file)):
                images.append(file)
            else:
                others[".heic" if _HEIC.match(first) else suffix] += 1
        parts, outside = _divided(images)
        return cls(parts, sidecars, (*_unused(others), *outside))


def normalised(name: str) -> str:
    """The name in Unicode's composed form (NFC), without ``./`` at its start."""
    return unicodedata.normalize("NFC", name).removeprefix("./")


def is_litter(part: str) -> bool:
    """Whether a file or folder of this name belongs to the operating system, or is hidden."""
    return (part.startswith(".") and part not in {"..", "."}) or part.lower() in LITTER


def is_image(name: str) -> bool:
    """Whether the name, with ``/`` between its parts, is an image's and no part of it is litter.

    >>> [is_image(name) for name in ("a/B.JPG", "notes.txt", "__MACOSX/a.png", ".hidden/a.png", "./a.png")]
    [True, False, False, False, True]
    """
    return name.lower().endswith(SUFFIXES) and not any(map(is_litter, name.split("/")))


def part_of(word: str) -> Part | None:
    """The part that a whole name stands for.

    >>> part_of("Validation"), part_of("trainA"), part_of("contest")
    (Part(split='val', domain=''), Part(split='train', domain='A'), None)
    """
    match = _PART.fullmatch(word)
    return match and Part(SPLITS[match[1].lower()], (match[2] or "").upper())


def _divided(images: Sequence[Item]) -> tuple[dict[Part, tuple[Item, ...]], tuple[str, ...]]:
    """The images of each part, and what is in none of them.

    Folders divide the set where one named for training stands beside one of another split (or of
    another domain); a lone ``train`` does where it has folders of its own, and its neighbours none.
    """
    children: dict[tuple[str, ...], dict[str, bool]] = defaultdict(dict)
    folders = [tuple(image.name.split("/")[:-1]) for image in images]
    for names in folders:
        for depth, word in enumerate(names):
            below = children[names[:depth]]
            below[word] = below.get(word, False) or depth + 1 < len(names)
    dividers = {parent for parent, below in children.items() if _divides(below)}
    depth = min(map(len, dividers), default=0)
    found: dict[Part, list[Item]] = defaultdict(list)
    outside = Counter[str]()
    for image, names in zip(images, folders, strict=True):
        part = part_of(names[depth]) if names[:depth] in dividers and depth < len(names) else None
        if part is None:
            outside[f"{names[depth]}/" if depth < len(names) else "no folder"] += 1
            continue
        kept = [*names[:depth], *([part.domain] if part.domain else []), *names[depth + 1 :]]
        path = "/".join([*kept, image.name.rpartition("/")[2]])
        found[part].append(replace(image, path=path))
    if not dividers or 2 * outside.total() > len(images):
        return {Part("train"): tuple(replace(image, path=image.name) for image in images)}, ()
    notes = []
    if outside:
        listed = ", ".join(f"{visible(name)} {number:,}" for name, number in outside.most_common(4))
        notes = [f"{count(outside.total(), 'image')} in no split, so not used ({listed})."]
    splits = Counter(part.split for part, items in found.items() for _ in items)
    if splits["test"] and splits["val"]:
        notes.append(f"{count(splits['val'], 'image')} for validation not used: the test split is.")
    return {part: tuple(items) for part, items in found.items()}, tuple(notes)


def _divides(below: dict[str, bool]) -> bool:
    parts = {part for word in below if (part := part_of(word))}
    splits, training = {part.split for part in parts}, {p for p in parts if p.split == "train"}
    if "train" not in splits:
        return False
    if len(splits) > 1 or len(training) > 1:
        return True
    nested = {word for word, has_folders in below.items() if has_folders}
    return len(below) > 1 and bool(nested) and all(map(part_of, nested))


def _unused(others: Counter[str]) -> list[str]:
    """Notes about the files that are not images, or cannot be decoded."""
    notes = []
    images = Counter({suffix: number for suffix, number in sorted(others.items()) if suffix in UNREADABLE})
    if images:
        heic = ", such as HEIC" if images.keys() & set(HEIC) else ""
        listed = ", ".join(f"{number:,} {suffix}" for suffix, number in images.items())
        unread = f"{count(images.total(), 'image')} in formats that cannot be read{heic}, so not used ({listed})"
        notes.append(f"{unread}: {REMEDY}.")
    if rest := others - images:
        kinds = [f"{number:,} {visible(suffix[:12]) or 'without suffix'}" for suffix, number in rest.most_common(4)]
        more = ", ..." * (len(rest) > len(kinds))
        notes.append(f"{count(rest.total(), 'other file')} not used ({', '.join(kinds)}{more}).")
    return notes
