"""How cost grows: `python tests/benchmarks/growth.py`.

A training step against the batch size, the width of dense, the side of dcgan's images and the size of the data set; `write`,
which `gancli sample` calls, against the number of images. Processor time of one thread, which other programs change little,
taken in turn. The slope is that of a line through logarithm of cost and logarithm of size (least squares): 1 is "twice as much
takes twice as long", 0 is "it makes no difference". Beside it stands the slope between each two neighbours, where a surprise
would be seen.
"""

from __future__ import annotations

import math
import statistics
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
from interleave import in_turn
from report import Row, conclude

from gancli.checkpoint.provenance import Origin, Provenance
from gancli.config.resolve import resolve
from gancli.errors import GancliError
from gancli.models.model import Model
from gancli.sampling.sample import Request, write
from gancli.training.setup import set_up

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, STEPS = 7, 8
BATCHES = (32, 64, 128, 256, 512, 1024)
WIDTHS = (0.5, 1, 2, 4)
SIDES = (16, 32, 64)
SETS = (1_000, 4_000, 15_000, 60_000)
NUMBERS = (256, 1024, 4096, 16384)


def processor_seconds(work: Callable[[], object]) -> float:
    """Of one call, in all threads of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def steps(settings: list[str], count: int = STEPS) -> Callable[[], float]:
    """Seconds per step, on average over as many as contain each penalty once; set up and warmed up."""
    game = set_up(resolve(assignments=["runtime.device=cpu", "runtime.threads=1", *settings], environment={}).config)
    game.step()
    return lambda: processor_seconds(lambda: [game.step() for _ in range(count)]) / count


def of_batches() -> dict[float, Callable[[], float]]:
    """With the whole of MNIST and the default networks."""
    return {size: steps([f"train.batch_size={size}"]) for size in BATCHES}


def of_widths() -> dict[float, Callable[[], float]]:
    """Of all hidden layers; the pixels and the latents stay as they are."""
    works = {}
    for factor in WIDTHS:
        generator, discriminator = (
            [int(factor * width) for width in widths] for widths in ((256, 512, 1024), (1024, 512, 256))
        )
        works[factor] = steps([f"arch.generator_widths={generator}", f"arch.discriminator_widths={discriminator}"])
    return works


def of_sides(place: Path) -> dict[float, Callable[[], float]]:
    """Colour images of 16, 32 and 64 pixels per side; dcgan has a layer more for each doubling."""
    works = {}
    for side in SIDES:
        images = np.random.default_rng(0).integers(0, 256, (256, side, side, 3), np.uint8)
        np.save(place / f"{side}.npy", images)
        settings = ["arch.name=dcgan", f"data.dataset={place / f'{side}.npy'}", "train.batch_size=16", "augment.mode=off"]
        works[side] = steps(settings, 4)
    return works


def of_sets(place: Path) -> dict[float, Callable[[], float]]:
    """Random images; the time in which a new epoch is shuffled is spread over its steps, as it is in a training."""
    works = {}
    for size in SETS:
        np.save(place / f"{size}.npy", np.random.default_rng(0).integers(0, 256, (size, 28, 28), np.uint8))
        works[size] = steps([f"data.dataset={place / f'{size}.npy'}", "augment.mode=off"])
    return works


def of_numbers(place: Path) -> dict[float, Callable[[], float]]:
    """Images of the default generator, into an archive."""
    game = set_up(resolve(environment={}).config)
    facts = {
        "arch": {"name": "fresh", "distribution": "none", "version": "1", "options": {}},
        "image": {"channels": 1, "height": 1, "width": 1},
        "classes": [],
        "latent_dim": 1,
        "dataset": {"name": "none"},
    }
    origin = Origin("fresh", Path(), 0, "0" * 64, "ema", Provenance.parse(facts, Path()))
    model = Model(game.state.ema, game.config.model.latent_dim, game.image, (), origin)
    target = str(place / "images.npz")
    return {n: lambda n=n: processor_seconds(lambda: write(model, Request(range(n), target))) for n in NUMBERS}


def slope(costs: dict[float, float]) -> float:
    """Of the line through the logarithms, by least squares."""
    return statistics.linear_regression([math.log(size) for size in costs], [math.log(cost) for cost in costs.values()]).slope


def measure(what: str, works: dict[float, Callable[[], float]], most: float) -> Row:
    """One line per size; medians."""
    names = {f"{size:g}": work for size, work in works.items()}
    in_turn(names, 1)
    times = in_turn(names, ROUNDS)
    costs = {size: statistics.median(times[f"{size:g}"]) for size in works}
    local = ["", *(f"{slope({a: costs[a], b: costs[b]}):.2f}" for a, b in pairwise(costs))]
    print(f"\n{what}\n{'':>8} {'ms':>10} {'slope':>6}")
    for (size, cost), neighbours in zip(costs.items(), local, strict=True):
        print(f"{size:8g} {1e3 * cost:10.2f} {neighbours:>6}")
    found = slope(costs)
    print(f"{'all':>8} {'':10} {found:6.2f}")
    sizes = f"{min(costs):,g} to {max(costs):,g}"
    return Row(f"{what}, {sizes}: slope", f"{found:.2f}", f"at most {most:.2f}", found <= most)


def main() -> list[Row]:
    """One series after the other."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        rows = [
            measure("a step against the batch size", of_batches(), 1.05),
            measure("a step against the width of dense", of_widths(), 2.0),
            measure("a step against the size of the data set", of_sets(place), 0.05),
            measure("an archive against its number of images", of_numbers(place), 1.05),
        ]
        try:
            sides = of_sides(place)
        except GancliError as error:
            print(f"Sides are left out: {error}")
        else:
            rows.append(measure("a step of dcgan against the images' side", sides, 2.2))
    return rows


if __name__ == "__main__":
    conclude(main())
