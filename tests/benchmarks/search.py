"""Search for a recipe: `python tests/benchmarks/search.py DATASET FOLDER [--help]`.

Successive halving: every candidate trains for a short budget, the best share of them for a longer one, and so on. A
candidate is a line of settings as of `gancli train -s`; networks that no plugin has are tried in a file of their own
(`arch.name=FILE.py:CLASS`) before they are added to one.

A budget is in CPU seconds of one thread, which other programs change less than the time on the wall, and every schedule follows
the fraction of it that is spent: what a step costs is half of what is compared. The judge is a network that no candidate trains
with (`judge.py`).

Every finished training is a line of FOLDER/results.jsonl; a search that was killed goes on behind the last one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from judge import features, measure, network

from gancli.config.resolve import resolve
from gancli.data import load_images
from gancli.images import grid, to_bytes, to_picture
from gancli.randomness.latents import latents
from gancli.training.setup import prepare, set_up

HERE = Path(__file__).parent
GENERATED = 1000
FIRST_SEED = 10**6


def train(name: str, settings: list[str], budget: float, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """One training of so many CPU seconds, judged; its images are shown in FOLDER."""
    common = [f"data.dataset={asked.dataset}", f"train.seed={seed}", "runtime.threads=1", "runtime.precision=fp32"]
    common += [f"data.image_size={asked.image_size}"] if asked.image_size else []
    training = set_up(resolve(assignments=[*common, *settings], environment={}).config)
    prepare(training)
    spent, steps = 0.0, 0
    while spent < budget:
        start = time.process_time()
        training.trainer.step(spent / budget)
        spent, steps = spent + time.process_time() - start, steps + 1
    z = torch.from_numpy(latents(range(FIRST_SEED, FIRST_SEED + GENERATED), training.config.model.latent_dim))
    with torch.inference_mode():
        images = torch.cat([training.state.ema(part) for part in z.split(100)]).clamp(-1, 1)
    image = to_picture(grid(to_bytes(images[:60]), 10))
    file = f"{name}-{budget:.0f}-{seed}.png".replace(" ", "-")
    image.resize((image.width * 3, image.height * 3), 0).save(asked.folder / file)
    judged = training.config.data.model_copy(update={"dataset": asked.against or asked.dataset})
    real = load_images(judged).images.images.float() / 127.5 - 1
    seen = steps * training.config.train.batch_size
    row = {"name": name, "settings": settings, "budget": budget, "seed": seed, "images": seen}
    return row | measure(features(images), features(real))


def halving(asked: argparse.Namespace) -> None:
    """All with the first budget, the best share of them with the next one.

    The file of candidates is read again after each training, so that lines can be added while others train.
    """
    path = asked.folder / "results.jsonl"
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    chosen: list[str] | None = None
    for budget in asked.budgets:
        scores: dict[str, float] = {}
        while waiting := [name for name in read(asked.candidates) if name not in scores and (not chosen or name in chosen)]:
            name, rows = waiting[0], []
            for seed in asked.seeds:
                key = (name, budget, seed)
                row = next((row for row in known if (row["name"], row["budget"], row["seed"]) == key), None)
                if row is None:
                    row = train(name, read(asked.candidates)[name], budget, seed, asked)
                    with path.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                rows.append(row)
                columns = ("images", "fd", "kid", "precision", "recall", "coverage")
                print(f"| {name} | {budget:.0f} | {seed} |", " | ".join(f"{row[c]:.3g}" for c in columns), "|", flush=True)
            scores[name] = statistics.median(row["fd"] for row in rows)
        chosen = sorted(scores, key=scores.__getitem__)[: max(1, round(len(scores) * asked.keep))]


def read(path: Path) -> dict[str, list[str]]:
    """Settings by the name of the candidate: a line is `NAME: KEY=VALUE KEY=VALUE`."""
    lines = (line.partition(":") for line in path.read_text().splitlines() if line.strip() and not line.startswith("#"))
    return {name.strip(): settings.split() for name, _, settings in lines}


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="a folder of images, or another data set")
    parser.add_argument("folder", type=Path, help="where results and images go")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--against", help="the data set that generated images are compared with; default: DATASET")
    parser.add_argument("--candidates", type=Path, default=HERE / "search.txt", help="one a line: NAME: settings")
    parser.add_argument("--budgets", type=float, nargs="+", default=[60, 180, 540], help="CPU seconds")
    parser.add_argument("--keep", type=float, default=0.33)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    network()  # what it needs is missed now, not after the first training
    halving(asked)


if __name__ == "__main__":
    main()
