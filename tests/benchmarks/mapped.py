"""Images that do not fit: `python tests/benchmarks/mapped.py`.

Batches of a set of 1 GiB, mapped from the cache, against the same set in memory, turn by turn; and then in a process whose
own memory (RLIMIT_DATA: all but what is mapped from files) is limited to less than the set. Targets: no slower than from
memory once the pages are warm, and flat: the limited process ends well.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from interleave import in_turn, ratio, show, taken
from report import Row, conclude

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gancli.data.batches import Batches

SHAPE = (87_381, 3, 64, 64)  # 1 GiB
LIMIT_BYTES = 768 * 2**20
ROUNDS, STEPS = 7, 40


def write(path: Path) -> None:
    """A finished set of random images, as the cache keeps it."""
    import numpy as np

    from gancli.data.cache import PIXELS

    rng = np.random.default_rng(0)
    row = SHAPE[1] * SHAPE[2] * SHAPE[3]
    with (path / PIXELS).open("wb") as file:
        for start in range(0, SHAPE[0], 4096):
            file.write(rng.bytes(min(4096, SHAPE[0] - start) * row))


def limited(path: Path) -> None:
    """In a process of its own: the mean image and an epoch of batches, in less memory than the set takes."""
    from gancli.data.batches import Batches
    from gancli.data.cache import mapped
    from gancli.training.setup import mean_image

    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    images = mapped(path, SHAPE)
    mean_image(images)
    batches = Batches(images, None, 128, 0)
    for step in range(batches.steps_per_epoch):
        batches[step]
    status = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    print(f"limited to {LIMIT_BYTES >> 20} MiB: an epoch of {images.nbytes >> 20} MiB, own memory {status['RssAnon'].strip()}")
    try:
        images.clone()
    except RuntimeError:
        print("(a copy of the set in memory is refused there, as it should be)")
    else:
        raise SystemExit("the limit does not bind")


def main() -> list[Row]:
    """Mapped and in memory in turn; then limited."""
    from gancli.data.batches import Batches
    from gancli.data.cache import mapped

    def steps(batches: Batches, starts: Iterator[int]) -> float:
        start = next(starts)
        return taken(lambda: [batches[step] for step in range(start, start + STEPS)]) / STEPS

    with TemporaryDirectory(dir=Path.cwd()) as folder:
        write(Path(folder))
        images = mapped(Path(folder), SHAPE)
        sets = {"in memory": Batches(images.clone(), None, 128, 0), "mapped": Batches(images, None, 128, 0)}
        works = {name: partial(steps, batches, count(0, STEPS)) for name, batches in sets.items()}
        in_turn(works, 1)
        times = in_turn(works, ROUNDS)
        show(times, "in memory")
        sets.clear()
        works.clear()
        subprocess.run([sys.executable, __file__, folder], check=True)
    what = "a batch of 128 of a mapped set of 1 GiB, against one in memory: times as long"
    return [Row.of(what, ratio(times, "mapped", "in memory"), ".2f")]


if __name__ == "__main__":
    if len(sys.argv) == 1:
        conclude(main())
    else:
        limited(Path(sys.argv[1]))
