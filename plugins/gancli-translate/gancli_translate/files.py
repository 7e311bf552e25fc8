"""Translate image files: decoded as in training, in batches of one size, written as PNG under their names."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from gancli import images
from gancli.config.schema import DataConfig
from gancli.data.containers import FolderSource, open_image
from gancli.data.decoding import Flaw, decode_all, picky_pillow, survey
from gancli.data.fit import Fit, choose
from gancli.data.paths import quoted, unreadable
from gancli.data.source import unwatched
from gancli.errors import DatasetError, UsageError
from gancli.sampling.sample import about
from gancli.storage.disk import explained, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gancli.images import Images
    from gancli.models.sampler import Sampler

# images that are translated at a time, and their pixels in all, unless one image has more
BATCH_SIZE, BATCH_PIXELS = 64, 2**19


@dataclass(frozen=True, slots=True)
class Job:
    """An image to translate: its name for people, what opens it, and the file to write."""

    name: str
    opened: Callable[[], BinaryIO]
    target: Path


def jobs(paths: Sequence[Path], output: str) -> list[Job]:
    """What is to be done: each image of files and folders, and where its translation goes.

    The output is a file, for one image; or a folder, which exists or ends in a slash. Names in it are those of the images,
    with .png for their suffix: ``a.jpg`` becomes ``a.png``, or ``a.jpg.png`` beside an ``a.tif``.

    Raises:
        DatasetError: there is nothing at a path, or no image in a folder.
        UsageError: the output is a file of another kind, or is to hold several images.
    """
    found: list[tuple[str, Callable[[], BinaryIO]]] = []
    for path in paths:
        if not os.path.lexists(path):
            raise unreadable(path, FileNotFoundError())
        if not path.is_dir():
            found.append((path.name, partial(open_image, path)))
            continue
        source = FolderSource(path)
        items = sorted((item for part in source.catalogue.parts.values() for item in part), key=lambda item: item.name)
        if not items:
            raise DatasetError(f"{quoted(path)} holds no image.", "Give images, or folders of images.")
        found += [(item.name, partial(source.opened, item)) for item in items]
    folder = Path(output)
    if not output.endswith(("/", os.sep)) and not folder.is_dir():
        if len(found) > 1:
            raise UsageError(f"'{output}' is one file, and there are {len(found):,} images.", f"Give a folder: -o {output}/")
        if folder.suffix.lower() != ".png":
            raise UsageError(f"'{output}' is not a PNG.", "Give a name that ends in .png, or in / for a folder.")
        return [Job(*found[0], folder)]
    stems = Counter(PurePosixPath(name).with_suffix("") for name, _ in found)
    targets: dict[str, Job] = {}
    for name, opened in found:
        stem = PurePosixPath(name).with_suffix("")
        target = f"{stem if stems[stem] == 1 else name}.png"
        if target in targets:
            raise UsageError(f"Two of the images would become '{target}'.", "Translate them in two calls, into two folders.")
        targets[target] = Job(name, opened, folder / target)
    return list(targets.values())


def translate(
    model: Sampler[Images],
    todo: Sequence[Job],
    *,
    metadata: bool = True,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[tuple[str, str], ...]:
    """Translate and write; name and flaw of each broken image, which is skipped.

    ``progress`` is called with (images done, images in all).

    EXIF's orientation is applied; transparency is kept or composited as it was in training. With ``metadata`` the files
    carry text chunks that say how they were made.

    Raises:
        UsageError: the model does not translate images.
        DatasetError: all images are broken.
        StorageError: a file cannot be written; nothing half-written is left.
    """
    channels = model.image.source[0] if model.image.source else 1
    model.refuse_sources((1, channels, 1, 1))
    settings = model.origin.provenance.config
    kept = {key: settings[f"data.{key}"] for key in ("background", "max_pixels") if f"data.{key}" in settings}
    config = DataConfig.model_validate({**kept, "channels": channels})
    done = 0
    with picky_pillow(config.max_pixels):
        groups, flaws = _surveyed(todo, config)
        for fit, members in groups.items():
            decoded = zip(members, decode_all((todo[index].opened for index in members), fit), strict=True)
            size = max(1, min(BATCH_SIZE, BATCH_PIXELS // (fit.height * fit.width)))
            while batch := list(islice(decoded, size)):
                flaws |= {index: str(flaw) for index, flaw in batch if isinstance(flaw, Flaw)}
                if good := [(todo[index], pixels) for index, pixels in batch if not isinstance(pixels, Flaw)]:
                    sources = (np.stack([pixels for _, pixels in good]).astype(np.float32) - 127.5) / 127.5
                    translated = images.to_bytes(model.translate(sources, batch_size=size))
                    for (job, _), pixels in zip(good, translated, strict=True):
                        facts = {**about(model.origin), "translated": job.name} if metadata else {}
                        with explained(job.target.parent):
                            job.target.parent.mkdir(parents=True, exist_ok=True)
                        write_atomically(job.target, images.to_png(pixels, facts))
                done += len(batch)
                progress(done, len(todo))
    skipped = tuple((todo[index].name, flaw) for index, flaw in sorted(flaws.items()))
    if len(skipped) == len(todo):
        name, flaw = skipped[0]
        more = f" (and {len(skipped) - 1:,} more)" if len(skipped) > 1 else ""
        raise DatasetError(f"{quoted(name)}{more} cannot be read as an image: {flaw}.", "Replace or convert it.")
    return skipped


def _surveyed(todo: Sequence[Job], config: DataConfig) -> tuple[dict[Fit, list[int]], dict[int, str]]:
    """The numbers of the images that are decoded alike, in their own size; and what is wrong with the others."""
    groups: dict[Fit, list[int]] = {}
    flaws: dict[int, str] = {}
    for index, header in enumerate(survey((job.opened for job in todo), unwatched, len(todo))):
        if isinstance(header, Flaw):
            flaws[index] = str(header)
        else:
            fit = replace(choose([header], config), height=header.height, width=header.width)
            groups.setdefault(fit, []).append(index)
    return groups, flaws
