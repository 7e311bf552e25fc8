"""What preparing a collection costs against Pillow alone: `python tests/benchmarks/decoding.py`.

Target: at least 80 % of the rate at which Pillow decodes and scales the same pictures in one bare process per core. Both are
measured in turn, so that a machine that is busy with something else is so for both.
"""

from __future__ import annotations

import io
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

ROUNDS = 5
SIDE = 64
CORES = len(os.sched_getaffinity(0))
KINDS = {"jpeg 512": ("JPEG", 512, 600), "png 256": ("PNG", 256, 600), "jpeg 1600": ("JPEG", 1600, 100)}


def make(folder: Path, kind: str, side: int, number: int) -> None:
    """Write ``number`` pictures with some texture."""
    rng = np.random.default_rng(0)
    suffix = {"JPEG": "jpg", "PNG": "png"}[kind]
    for i in range(number):
        coarse = Image.fromarray(rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{i:05}.{suffix}")


def bare(paths: list[str]) -> int:
    """What anybody would write: open, draft, scale, to an array."""
    for path in paths:
        with Image.open(io.BytesIO(Path(path).read_bytes())) as picture:
            picture.draft("RGB", (2 * SIDE, 2 * SIDE))
            np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0))
    return len(paths)


def pillow(pool: ProcessPoolExecutor, folder: Path) -> float:
    """Pictures per second of one bare process per core."""
    paths = sorted(map(str, folder.iterdir()))
    begin = time.perf_counter()
    sum(pool.map(bare, [paths[i::CORES] for i in range(CORES)]))
    return len(paths) / (time.perf_counter() - begin)


def ours(folder: Path, cache: Path) -> tuple[float, float]:
    """Pictures per second of decoding alone, and of all that is done before a training: headers, decoding, writing, hashing."""
    from gancli.config import DataConfig
    from gancli.data import cache as kept
    from gancli.data import load_images
    from gancli.data.fit import Fit
    from gancli.data.pipeline import decode_all
    from gancli.data.readers.folder import FolderReader

    os.environ["GANCLI_CACHE"] = str(cache)
    begin = time.perf_counter()
    number = sum(decoded.pixels is not None for decoded in decode_all(FolderReader(folder), Fit(SIDE, SIDE, 3)))
    alone = number / (time.perf_counter() - begin)
    kept.clear()
    begin = time.perf_counter()
    load_images(DataConfig(dataset=f"{folder}/", image_size=str(SIDE)))
    return alone, number / (time.perf_counter() - begin)


def main() -> None:
    """Round by round."""
    print(
        f"{'':12} {'Pillow/s':>9} {'decoding/s':>11} {'share':>6} {'all/s':>7} {'share':>6}   ({ROUNDS} rounds, {CORES} cores)"
    )
    with TemporaryDirectory() as place, ProcessPoolExecutor(CORES) as pool:
        for name, (kind, side, number) in KINDS.items():
            folder = Path(place) / name.replace(" ", "-")
            folder.mkdir()
            make(folder, kind, side, number)
            ours(folder, Path(place) / "cache"), pillow(pool, folder)  # warm up
            rows = [(pillow(pool, folder), *ours(folder, Path(place) / "cache")) for _ in range(ROUNDS)]
            theirs, alone, whole = (statistics.median(column) for column in zip(*rows, strict=True))
            print(f"{name:12} {theirs:9.0f} {alone:11.0f} {alone / theirs:6.0%} {whole:7.0f} {whole / theirs:6.0%}")


if __name__ == "__main__":
    main()
