"""Search for a recipe: `python tests/benchmarks/search.py FOLDER [--help]`.

Successive halving: every candidate trains for a short budget, the better half of them for a longer one, and so on. A candidate
is a line of settings as of `gancli train -s`, of which those that begin with `lab.` belong to levers that the library does not
have: they are tried here (`lab.py`) before anything is added there.

A budget is what the default networks cost for so many images. A candidate whose step takes half of the time sees twice as many
images. How long a step takes is measured first, against the default's, in turn, in the processor's time of one thread, so that
other programs change little. Every schedule follows the fraction of the budget.

Every finished training is a line of FOLDER/results.jsonl; a search that was killed goes on behind the last one.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lab import Step, precondition

from gancli.config.resolve import resolve
from gancli.config.schema import DataConfig
from gancli.data import load_images
from gancli.images import grid, to_bytes, to_picture
from gancli.metrics import manifolds
from gancli.metrics.distances import Moments, frechet_distance
from gancli.metrics.extractors import DigitExtractor, Extractor, RandomExtractor, batches, read, some_of
from gancli.metrics.probe import Probe
from gancli.randomness.latents import latents
from gancli.training import setup
from gancli.training.setup import load_suited

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from gancli.config.schema import RunConfig
    from gancli.data import Loaded
    from gancli.data.source import Watch
    from gancli.training.setup import Training

HERE = Path(__file__).parent
RESULTS = "results.jsonl"
LAB, COST = "lab.", "cost="
MEASURED_AT = (0.25, 0.5, 0.625, 0.75, 1.0)
"""Fractions of the budget after which FD is measured. .625 is five minutes of eight."""
PICTURES = 10_000
FIRST_SEED = 10**6
SURE = 0.99
SAME_COST = ("train.learning_rate", "train.betas", "train.ema", "train.warmup", "objective.r1_gamma")
"""Beginnings of settings that change no step's cost."""
ROUNDS, STEPS = 5, 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recipe: a name, settings of the library, and levers of the lab."""

    name: str
    settings: tuple[str, ...] = ()
    levers: dict[str, Any] = field(default_factory=dict)
    cost: float | None = None
    """Processor time of an image, as a multiple of the default's, if it is known: `cost=0.66`."""

    @classmethod
    def parse(cls, line: str) -> Candidate:
        """From `name: train.learning_rate=2e-3 lab.step="single"`."""
        name, _, words = line.partition(":")
        settings = [word for word in words.split() if not word.startswith((LAB, COST))]
        cost = next((float(word.removeprefix(COST)) for word in words.split() if word.startswith(COST)), None)
        levers = dict(word.removeprefix(LAB).split("=", 1) for word in words.split() if word.startswith(LAB))
        return cls(name.strip(), tuple(settings), {key: json.loads(value) for key, value in levers.items()}, cost)

    def game(self, dataset: str, seed: int, steps: int | None = None) -> tuple[Training, Step]:
        """The training, set up by the library, and the step to take."""
        arch = f"arch.name={HERE / 'lab.py'}:Lab"
        common = [arch, f"data.dataset={dataset}", f"train.seed={seed}", "runtime.precision=fp32", "runtime.threads=1"]
        config = resolve(assignments=[*common, *DENSE_DEFAULTS, *self.settings], environment={}).config
        game = setup.set_up(config)
        precondition(game)
        return game, Step(game, steps or 1, **self.levers)


def _dense_defaults() -> list[str]:
    from gancli.gan.architectures.dense import Dense

    return [f"{key}={value}" for key, value in Dense.defaults.items()]


DENSE_DEFAULTS = _dense_defaults()
DEFAULT = Candidate("default")


def relative_cost(candidate: Candidate, dataset: str) -> float:
    """Processor time of an image, as a multiple of the default's."""
    if not candidate.levers and all(one.startswith(SAME_COST) for one in candidate.settings):
        return 1.0
    both = [one.game(dataset, 0) for one in (DEFAULT, candidate)]
    ratios = []
    for position in range(ROUNDS + 1):
        seconds = []
        for game, step in both:
            start = time.process_time()
            for _ in range(STEPS):
                step(0.1)
            seconds.append((time.process_time() - start) / game.config.train.batch_size)
        if position:
            ratios.append(seconds[1] / seconds[0])
    return statistics.median(ratios)


_loaded: dict[str, Loaded] = {}


def _load_once(config: RunConfig, watch: Watch) -> tuple[RunConfig, Loaded]:
    """Training images are read once per data set: many trainings follow each other in one process."""
    name = config.data.dataset
    if name not in _loaded:
        _loaded[name] = load_suited(config, watch)[1]
    return config, _loaded[name]


setup.load_suited = _load_once


class Judge:
    """Everything that is measured at the end: by the training's own extractor, and by another one."""

    def __init__(self, dataset: str, training: Tensor) -> None:
        self.probe = Probe.for_data(dataset, training)
        test = load_images(DataConfig(dataset=dataset), "test").images.images
        self.random = RandomExtractor.for_data(training)
        self.random_moments = Moments.of([read(self.random, batches(some_of(training, PICTURES))).features])
        self.digits = DigitExtractor() if dataset == "mnist" else None
        main: Extractor = self.digits or self.random
        self.main = main
        self.main_moments = self.digits.training_moments() if self.digits else self.random_moments
        self.real = read(main, batches(some_of(test, PICTURES))).features

    def measure(self, images: Sequence[Tensor]) -> dict[str, float]:
        """Figures of 10,000 images."""
        features = read(self.main, images).features
        near = manifolds.compare(features, self.real)
        found = {
            "fd": frechet_distance(Moments.of([features]), self.main_moments),
            "precision": near.precision.value,
            "recall": near.recall.value,
            "coverage": near.coverage.value,
        }
        if self.digits:
            found["fd_random"] = frechet_distance(Moments.of([read(self.random, images).features]), self.random_moments)
            sure, shares = self.sureness(images)
            found |= {"sure": sure, "least_class": min(shares), "most_class": max(shares)}
        return found

    def sureness(self, images: Sequence[Tensor]) -> tuple[float, list[float]]:
        """Share of digits that the classifier is sure of, and share of each class."""
        assert self.digits
        with torch.no_grad():
            chances = torch.cat([self.digits.network(batch)[1].softmax(1) for batch in images])
        best, kinds = chances.max(1)
        return float((best > SURE).float().mean()), (kinds.bincount(minlength=10) / len(kinds)).tolist()


@cache
def judge(dataset: str) -> Judge:
    """Made once per data set."""
    return Judge(dataset, _loaded[dataset].images.images)


@torch.inference_mode()
def draw(game: Training, count: int, start: int = FIRST_SEED) -> Iterator[Tensor]:
    """Images of the EMA generator, of latents that are always the same."""
    for first in range(start, start + count, 250):
        seeds = range(first, min(first + 250, start + count))
        yield game.state.ema(torch.from_numpy(latents(seeds, game.config.model.latent_dim)))


def train(
    candidate: Candidate, budget: int, seed: int, dataset: str, cost: float, folder: Path, hopeless: dict[str, float]
) -> dict[str, Any]:
    """One training of ``budget`` default images' worth of time; given up where FD is above ``hopeless`` at that fraction."""
    game, step = candidate.game(dataset, seed)
    batch = game.config.train.batch_size
    total = max(1, round(budget / cost / batch))
    step.total = total
    due = {max(1, round(fraction * total)): fraction for fraction in MEASURED_AT}
    curve: dict[str, float] = {}
    seconds = 0.0
    for number in range(1, total + 1):
        start = time.process_time()
        step((number - 1) / total)
        seconds += time.process_time() - start
        if number in due:
            found = judge(dataset).probe.measure(draw(game, 2048))
            curve[str(due[number])] = next(iter(found.values()))
            print(f"  {candidate.name} {budget} seed {seed}: {due[number]:.3f} {curve[str(due[number])]:.1f}", flush=True)
            if curve[str(due[number])] > hopeless.get(str(due[number]), math.inf):
                break
    images = list(draw(game, PICTURES))
    picture = to_picture(grid(to_bytes(images[0][:100]), 10))
    name = f"{candidate.name}-{budget}-{seed}-{dataset}.png".replace(" ", "_")
    picture.resize((picture.width * 3, picture.height * 3), 0).save(folder / name)
    return {
        "name": candidate.name,
        "settings": candidate.settings,
        "levers": candidate.levers,
        "dataset": dataset,
        "budget": budget,
        "seed": seed,
        "cost": cost,
        "images": number * batch,
        "given_up": number < total,
        "cpu_seconds": seconds,
        "curve": curve,
        **judge(dataset).measure(images),
    }


def halving(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """All with the first budget, the best share of them with the next one.

    The file of candidates is read again after each training, so that lines can be added while others train.
    """
    path = asked.folder / RESULTS
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    chosen: list[str] | None = None
    for budget in asked.budgets:
        scores: dict[str, float] = {}
        while waiting := [one for one in read_candidates(asked.candidates, chosen) if one.name not in scores]:
            rows = [result(waiting[0], budget, seed, known, asked) for seed in asked.seeds]
            scores[waiting[0].name] = statistics.median(row["fd"] for row in rows)
        chosen = sorted(scores, key=scores.__getitem__)[: max(1, round(len(scores) * asked.keep))]
    return known


def read_candidates(path: Path, chosen: list[str] | None) -> list[Candidate]:
    """Those of the file that are among the chosen ones, if some were chosen."""
    lines = path.read_text().splitlines()
    found = [Candidate.parse(line) for line in lines if line.strip() and not line.startswith("#")]
    return [one for one in found if chosen is None or one.name in chosen]


def result(
    candidate: Candidate, budget: int, seed: int, known: list[dict[str, Any]], asked: argparse.Namespace
) -> dict[str, Any]:
    """What is known of this training; else it is done now."""
    row = next((r for r in known if _key(r) == (candidate.name, asked.dataset, budget, seed)), None)
    if row is None:
        cost = candidate.cost or next((r["cost"] for r in known if r["name"] == candidate.name), None)
        first = next((r for r in known if _key(r) == (DEFAULT.name, asked.dataset, budget, seed)), None)
        hopeless = {at: value * asked.patience for at, value in first["curve"].items()} if first else {}
        cost = cost or relative_cost(candidate, asked.dataset)
        row = train(candidate, budget, seed, asked.dataset, cost, asked.folder, hopeless)
        with (asked.folder / RESULTS).open("a") as file:
            file.write(json.dumps(row) + "\n")
        known.append(row)
    print(shown(row), flush=True)
    return row


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["name"], row["dataset"], row["budget"], row["seed"]


def shown(row: dict[str, Any]) -> str:
    """A row of the table."""
    curve = " ".join(f"{value:.1f}" for value in row["curve"].values())
    names = ("fd", "fd_random", "precision", "recall", "sure", "least_class", "most_class")
    rest = " | ".join(f"{row[name]:.3g}" for name in names if name in row)
    return f"| {row['name']} | {row['budget']} | {row['seed']} | {row['cost']:.2f} | {row['images']} | {curve} | {rest} |"


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--candidates", type=Path, default=HERE / "search.txt", help="one a line: NAME: settings")
    parser.add_argument("--budgets", type=int, nargs="+", default=[100_000, 300_000, 900_000])
    parser.add_argument("--keep", type=float, default=0.33)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--patience", type=float, default=1.25, help="give up at so many times the default's FD")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    halving(asked)


if __name__ == "__main__":
    main()
