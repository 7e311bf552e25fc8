"""What preparing a collection costs against Pillow alone: `python tests/benchmarks/decoding.py`.

Target: at least 80 % of the rate at which Pillow decodes and scales the same images in one bare process per core. All
that is done before a training (headers, decoding, writing, hashing) is measured beside it.
"""

from __future__ import annotations

import io
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from interleave import Spread, in_turn, ratio, show, taken
from PIL import Image
from report import Row, conclude

ROUNDS = 5
SIDE = 64
CORES = len(os.sched_getaffinity(0))
KINDS = {"jpeg 512": ("JPEG", 512, 600), "png 256": ("PNG", 256, 600), "jpeg 1600": ("JPEG", 1600, 100)}


def make(folder: Path, kind: str, side: int, number: int) -> None:
    """Write ``number`` images with some texture."""
    rng = np.random.default_rng(0)
    suffix = {"JPEG": "jpg", "PNG": "png"}[kind]
    for i in range(number):
        coarse = Image.fromarray(rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{i:05}.{suffix}")


def bare(paths: list[str]) -> int:
    """What anybody would write: open, draft, scale, to an array."""
    for path in paths:
        with Image.open(io.BytesIO(Path(path).read_bytes())) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
            np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0))
    return len(paths)


def pillow(pool: ProcessPoolExecutor, folder: Path) -> float:
    """Seconds that one bare process per core takes."""
    paths = sorted(map(str, folder.iterdir()))
    return taken(lambda: sum(pool.map(bare, [paths[i::CORES] for i in range(CORES)])))


def decode(folder: Path) -> None:
    """Decoding alone."""
    from gancli.data.containers import FolderSource
    from gancli.data.decoding import Flaw, decode_all
    from gancli.data.fit import Fit

    if any(isinstance(decoded, Flaw) for decoded in decode_all(FolderSource(folder).each(), Fit(SIDE, SIDE, 3))):
        raise SystemExit("A image could not be decoded.")


def prepare(folder: Path) -> float:
    """Seconds for all that is done before a training, when nothing of it was done before."""
    from gancli.config.schema import DataConfig
    from gancli.data import cache, load_images

    cache.clear()
    return taken(lambda: load_images(DataConfig(dataset=f"{folder}/", image_size=str(SIDE))))


def main() -> list[Row]:
    """Round by round, for each kind of image."""
    rows = []
    with TemporaryDirectory() as place, ProcessPoolExecutor(CORES) as pool:
        os.environ["GANCLI_CACHE"] = str(Path(place) / "cache")
        for name, (kind, side, number) in KINDS.items():
            folder = Path(place) / name.replace(" ", "-")
            folder.mkdir()
            make(folder, kind, side, number)
            works = {
                "Pillow": lambda folder=folder: pillow(pool, folder),
                "gancli decodes": lambda folder=folder: taken(lambda: decode(folder)),
                "gancli prepares": lambda folder=folder: prepare(folder),
            }
            in_turn(works, 1)
            times = in_turn(works, ROUNDS)
            print(f"{name}: {number / Spread.of(times['Pillow']).median:.0f} images/s by bare Pillow on {CORES} cores")
            show(times, "Pillow")
            rate = ratio(times, "Pillow", "gancli decodes")
            rows.append(
                Row.of(f"decoding {name}, against one bare Pillow process per core: its rate", rate, ".0%", at_least=0.8)
            )
    return rows


if __name__ == "__main__":
    conclude(main())
