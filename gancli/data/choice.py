"""Which architecture, which size and how long, as far as the user leaves it open.

    architecture   of the installed ones whose :class:`.Purpose` includes the images, the one of the highest rank
    size           as the images are, but no larger than what the purpose resizes to on this machine
    extractor      of images in colour: the installed extractor for them
    length         the purpose's; five passes over a large set; in proportion fewer of images larger than 64x64;
                   four times as many on a GPU

All of it follows from the images' headers and from whether there is a GPU, not from the clock: the same command, the same run.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.config.schema import LENGTHS, DataConfig
from gancli.data.collection import Collection
from gancli.data.decoding import Flaw
from gancli.data.fit import nearest_side, suggested_size
from gancli.data.paths import count as number
from gancli.data.source import HUB, open_source
from gancli.errors import GancliError
from gancli.plugin import Architecture, ImageSpec, Purpose
from gancli.plugins.distributions import OWN
from gancli.plugins.installation import OFFICIAL
from gancli.plugins.registry import ARCHITECTURES, DATASETS, for_colour, is_path

if TYPE_CHECKING:
    from gancli.config.layers import Flat

EPOCHS, MOST_IMAGES = 5, 1_000_000  # passes over a large set of images, and their limit
REFERENCE_PIXELS, FEWEST_IMAGES = 64 * 64, 50_000
GPU_FACTOR = 4
COLOUR = 3  # channels from which on images are in colour


def choose(data: DataConfig, arch: str | None, given: Flat, *, fetch: bool = True) -> tuple[Flat, str] | None:
    """What suits the images of a training, unless it is a translation: settings, and a sentence if it chose the architecture.

    None where nothing is known of the images, which ``fetch`` fetches from the hub. ``given``: the user's settings, by key.
    """
    if (seen := _look(data, fetch=fetch)) is None:
        return None
    spec, count, native = seen
    image = spec if given.get("model.conditional") is True else replace(spec, classes=0)
    gpu = _has_gpu(str(given.get("runtime.device", "auto")))
    better = ""
    if arch is None:
        name, purpose, better = _best(image, count, given, gpu=gpu)
    else:
        name, purpose = arch, ARCHITECTURES.load(arch).purpose
    settings: Flat = {}
    if image.channels >= COLOUR and (extractor := for_colour()):
        settings["log.extractor"] = extractor
    if not isinstance(purpose, Purpose):
        return settings, better
    largest = purpose.resized_to[gpu]
    if native and data.image_size is None:
        height, width = suggested_size(native, largest)
        plugin = ARCHITECTURES.load(name)()
        if not _generates(plugin, image, height, width):
            side = nearest_side(lambda side: _generates(plugin, image, side, side), min(height, width))
            height, width = (side, side) if side else (height, width)
        if (height, width) != (image.height, image.width):
            settings["data.image_size"] = str(height) if height == width else f"{height}x{width}"
            image = replace(image, height=height, width=width)
    if purpose.images is not None:
        images = max(purpose.images, min(EPOCHS * count, MOST_IMAGES)) * (GPU_FACTOR if gpu else 1)
        images = images * REFERENCE_PIXELS // max(REFERENCE_PIXELS, image.height * image.width)
        settings["train.images"] = max(FEWEST_IMAGES, round(images, -3))
    if arch is not None:
        return settings, ""
    kind = {1: "grey", 2: "grey transparent", 3: "colour", 4: "transparent"}[image.channels]
    resized = bool(native) and set(native) != {(image.height, image.width)}
    has_length = any(given.get(key) is not None for key in LENGTHS)
    length = "" if has_length or purpose.images is None else f", for {settings['train.images']:,} images seen"
    return settings | {"arch.name": name}, (
        f"Chosen for {number(count, f'{kind} image')} {'resized to' if resized else 'of'} {image.height}x{image.width}: "
        f"architecture {name} ({purpose.why}){length}. --arch, --image-size and --images choose otherwise.{better}"
    )


def _look(data: DataConfig, *, fetch: bool) -> tuple[ImageSpec, int, list[tuple[int, int]]] | None:
    """Shape and number of the images, and the sizes of those that are decoded to one; no pixel of these is."""
    address = data.dataset
    try:
        own = not is_path(address) and DATASETS.find(address).distribution in {OWN, *OFFICIAL.values()}
        if own or (address.startswith(HUB) and not fetch):
            return None
        source = open_source(address)
        if isinstance(source, Collection):
            headers = [header for header in source.headers(data) if not isinstance(header, Flaw)]
            return source.spec(data), len(headers), [(header.height, header.width) for header in headers]
        images = source.load(data).images
    except GancliError:
        return None  # the training says what is wrong with them
    return images.spec(conditional=True), len(images.images), []


def _best(image: ImageSpec, count: int, given: Flat, *, gpu: bool) -> tuple[str, Purpose | None, str]:
    """Name and purpose of the architecture of the highest rank that is for such images; ``dense`` if none is.

    The third is a hint how to get the pretrained weights that an architecture of a higher rank needs, or why it is dense.
    """
    found: list[tuple[int, str, Purpose]] = []
    lacking: list[tuple[int, str]] = []
    sizes = {(image.height, image.width)} | (set() if given.get("data.image_size") else {(32, 32), (64, 64)})
    plugins = []
    for entry in ARCHITECTURES.entries():
        with suppress(GancliError):  # a broken one breaks nothing else
            plugins.append((entry, ARCHITECTURES.load_entry(entry)()))
    known = {option for _, plugin in plugins for option in plugin.Config.model_fields}
    wanted = {key.removeprefix("arch.") for key in given if key.startswith("arch.")} & known  # what none has is refused later
    for entry, plugin in plugins:
        purpose, options = plugin.purpose, plugin.Config.model_fields
        if (
            isinstance(purpose, Purpose)
            and wanted <= set(options)
            and purpose.sides[0] <= min(image.height, image.width) <= purpose.sides[1]
            and image.channels in purpose.channels
            and count >= purpose.fewest
            and (gpu or not purpose.gpu)
            and any(_generates(plugin, image, *size) for size in sizes)
        ):
            missing = next((asset for asset in plugin.assets(plugin.Config()) if not asset.path.is_file()), None)
            if missing is None:
                found.append((purpose.rank, entry.name, purpose))
            else:
                lacking.append(
                    (purpose.rank, f" '{entry.name}' would suit them better, but lacks {missing.name}. {missing.origin}")
                )
    best, hint = max(lacking, default=(0, ""))
    if not found:
        others = f"of the installed architectures no other generates images of {image.height}x{image.width}"
        return "dense", None, f"The architecture is dense: {others}. --arch and --image-size choose otherwise.{hint}"
    rank, name, purpose = max(found, key=lambda each: (each[0], each[1]))
    return name, purpose, hint if best > rank else ""


def _generates(plugin: Architecture[Any], image: ImageSpec, height: int, width: int) -> bool:
    """Whether it generates images of this size, with these channels and classes."""
    return plugin.supports(plugin.Config(), replace(image, height=height, width=width)) is None


def _has_gpu(device: str) -> bool:
    """Whether the training will be on a GPU; torch is asked only where there are signs of one."""
    drivers = any(map(Path.exists, map(Path, ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))))
    if device == "cpu" or not (drivers or sys.platform == "darwin" or shutil.which("nvidia-smi")):
        return False
    from gancli.runtime.device import pick_device

    try:
        return pick_device(device).type != "cpu"
    except GancliError:
        return False
