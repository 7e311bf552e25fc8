"""Does the collapse alarm see mode collapse, and keep quiet otherwise?

    nice -n 10 python tests/benchmarks/collapse.py [--json] [NAME...]

Short trainings, half of them made to collapse: a discriminator that hardly learns lets the generator find one image that
fools it, and so does one without a penalty at large learning rates. Each row: diversity in features (the alarm's measure)
whenever it was measured, the part of 256 real images that 256 generated ones cover, and whether the alarm was raised.

The threshold was chosen on CHOSEN. SECOND has other seeds, images, architectures and ways to collapse; two healthy trainings
in it, whose diversity rose late, showed that one or two measurements without a rise are too few. HELD_OUT was looked at after
that, and nothing was changed. "late" is a healthy training whose discriminator hardly learns from half of the steps on. The
tables are in README.md; tests/unit/training/test_alarms.py has their series.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

import gancli
from gancli.config.schema import DataConfig
from gancli.data import load_images
from gancli.data.batches import normalise
from gancli.events import Alarm, EpochEnded
from gancli.metrics.distances import coverage, radii
from gancli.metrics.extractors import extractor_for, read, some_of
from gancli.plugins.registry import DATASETS

SMALL = {
    "train.batch_size": 32,
    "runtime.threads": 1,
    "runtime.device": "cpu",
    "train.learning_rate_decay": 0,
    "augment.mode": "off",
    "train.ema_halflife_images": 500,
    "log.quality_every_images": 0,
    "log.every_steps": 100,
    "log.preview_every_epochs": 1000,
    "checkpoint.every_steps": 1000000,
}
DENSE = {"arch.generator_widths": [64, 64], "arch.discriminator_widths": [64, 64]}
DCGAN = {"arch.name": "dcgan", "arch.channels": 8}
LAZY_D = {"train.discriminator_learning_rate": 1e-6, "train.learning_rate": 2e-3}
LOOSE = {"objective.r1_gamma": 0, "train.learning_rate": 1e-2, "train.discriminator_learning_rate": 2e-4}


def objective(name):
    return {"objective.name": name}


def data(name):
    return {"data.dataset": name}


CHOSEN = {
    "collapse": {
        "lazy D, non-saturating": LAZY_D,
        "lazy D, hinge": objective("hinge") | LAZY_D,
        "lazy D, least squares": objective("least-squares") | LAZY_D,
        "lazy D, wasserstein": objective("wasserstein") | LAZY_D,
        "no penalty, fast G": LOOSE,
        "no penalty, fast G, hinge": objective("hinge") | LOOSE,
        "lazy D, colour": data("COLOUR") | LAZY_D,
        "lazy D, colour, hinge": data("COLOUR") | objective("hinge") | LAZY_D,
        "lazy D, classes": {"model.conditional": True} | LAZY_D,
        "lazy D, 301 images": data("FEW") | LAZY_D,
    },
    "healthy": {
        "non-saturating": {},
        "hinge": objective("hinge"),
        "least squares": objective("least-squares"),
        "wasserstein": objective("wasserstein"),
        "relativistic": objective("relativistic"),
        "colour": data("COLOUR"),
        "colour, relativistic": data("COLOUR") | objective("relativistic"),
        "classes": {"model.conditional": True},
        "301 images": data("FEW"),
    },
}
SHAPES, FEW_SHAPES = data("SHAPES") | {"train.seed": 11}, data("FEW_SHAPES") | {"train.seed": 12}
SIXTEEN = {"data.image_size": 16, "train.seed": 13}
SECOND = {
    "collapse": {
        "shapes: dense, lazy D, relativistic": SHAPES | objective("relativistic") | LAZY_D,
        "shapes: dcgan, lazy D": SHAPES | DCGAN | LAZY_D,
        "shapes: dcgan, lazy D, hinge, classes": SHAPES | DCGAN | objective("hinge") | {"model.conditional": True} | LAZY_D,
        "shapes: dcgan, hinge, classes": SHAPES | DCGAN | objective("hinge") | {"model.conditional": True},  # of itself
        "300 shapes: dense, lazy D, least squares": FEW_SHAPES | objective("least-squares") | LAZY_D,
        "300 shapes: dcgan, no penalty": FEW_SHAPES | DCGAN | LOOSE,
        "16 px: dcgan, lazy D, wasserstein": SIXTEEN | DCGAN | objective("wasserstein") | LAZY_D,
        "16 px: dense, lazy D, patches": SIXTEEN | {"arch.patch_size": 4} | LAZY_D,
        "16 px: resnet, lazy D": SIXTEEN | {"arch.name": "resnet", "arch.channels": 8, "arch.growth": 2} | LAZY_D,
        "late: lazy D from half of the steps on": {"train.seed": 16, "then": LAZY_D},
        "late, shapes: dcgan": SHAPES | DCGAN | {"then": LAZY_D},
        "frozen D, latent of 2": {"train.seed": 14, "model.latent_dim": 2, "objective.r1_gamma": 0} | LAZY_D,
    },
    "healthy": {
        "shapes: dense": SHAPES,
        "shapes: dense, relativistic": SHAPES | objective("relativistic"),
        "shapes: dense, no penalty, wasserstein": SHAPES | objective("wasserstein") | LOOSE,  # recovers by itself
        "shapes: dcgan": SHAPES | DCGAN,
        "300 shapes: dense, least squares": FEW_SHAPES | objective("least-squares"),
        "300 shapes: dcgan": FEW_SHAPES | DCGAN,
        "16 px: dcgan, wasserstein": SIXTEEN | DCGAN | objective("wasserstein"),
        "16 px: dense, patches": SIXTEEN | {"arch.patch_size": 4},
        "16 px: resnet": SIXTEEN | {"arch.name": "resnet", "arch.channels": 8, "arch.growth": 2},
        "slow": {"train.seed": 14, "train.learning_rate": 5e-5},
        "classes, hinge": {"train.seed": 15, "model.conditional": True} | objective("hinge"),
    },
}
OTHER_SHAPES, OTHER_DIGITS = data("SHAPES") | {"train.seed": 21}, data("COLOUR") | {"train.seed": 22}
HELD_OUT = {
    "collapse": {
        "shapes: dense, no penalty, hinge": OTHER_SHAPES | objective("hinge") | LOOSE,
        "shapes: dcgan, lazy D, least squares": OTHER_SHAPES | DCGAN | objective("least-squares") | LAZY_D,
        "colour: dense, late": OTHER_DIGITS | objective("relativistic") | {"then": LAZY_D},
        "301 images: dense, lazy D, hinge": data("FEW") | {"train.seed": 23} | objective("hinge") | LAZY_D,
        "16 px: dcgan, lazy D, classes": {"data.image_size": 16, "train.seed": 24, "model.conditional": True} | DCGAN | LAZY_D,
    },
    "healthy": {
        "shapes: dense, hinge": OTHER_SHAPES | objective("hinge"),
        "shapes: dense, another seed": data("SHAPES") | {"train.seed": 25},
        "colour: dense, least squares": OTHER_DIGITS | objective("least-squares"),
        "301 images: dense": data("FEW") | {"train.seed": 23},
        "16 px: dcgan, classes": {"data.image_size": 16, "train.seed": 24, "model.conditional": True} | DCGAN,
    },
}
STEPS = 400


def folders(home: Path) -> dict[str, Path]:
    """2,000 digits in folders of their classes, 2,000 with a digit per colour, 301; 1,500 and 300 shapes: short epochs."""
    found = {name: home / name.lower() for name in ("GREY", "COLOUR", "FEW", "SHAPES", "FEW_SHAPES")}
    digits, coloured = (DATASETS.load(name)().load("train") for name in ("mnist", "stacked-mnist"))
    numbers = np.random.default_rng(0)
    for name, folder in found.items():
        images = coloured if name == "COLOUR" else digits
        for i in range({"FEW": 301, "SHAPES": 1500, "FEW_SHAPES": 300}.get(name, 2000)):
            if "SHAPES" in name:
                label, image = i % 4, shape(i % 4, numbers)
            else:
                label = int(images.labels[i]) % 10 if name == "GREY" and images.labels is not None else 0
                pixels = images.images[i].permute(1, 2, 0).numpy()
                image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
            path = folder / str(label) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    return found


def shape(kind: int, numbers: np.random.Generator) -> Image.Image:
    """A disc, square, triangle or ring of any colour, size and place on white, with a smaller one on it: like emoji."""
    image = Image.new("RGB", (32, 32), "white")
    pen = ImageDraw.Draw(image)
    for size in (numbers.integers(16, 28), numbers.integers(4, 10)):
        x, y = numbers.integers(0, 32 - size, 2)
        fill = tuple(int(value) for value in numbers.integers(0, 256, 3))
        box = (x, y, x + size, y + size)
        if kind == 0:
            pen.ellipse(box, fill)
        elif kind == 1:
            pen.rectangle(box, fill)
        elif kind == 2:
            pen.polygon([(x, y + size), (x + size, y + size), (x + size // 2, y)], fill)
        else:
            pen.ellipse(box, None, fill, 3)
    return image


def measure(settings: dict[str, object], home: Path, name: str) -> tuple[list[float], bool, float]:
    """Diversity whenever it was measured, whether the alarm was raised, and the coverage at the end."""
    found: list[float] = []
    alarms: list[str] = []

    def observe(event: object) -> None:
        if isinstance(event, EpochEnded):
            found.append(round(event.evaluation["diversity"], 4))
        if isinstance(event, Alarm):
            alarms.append(event.name)

    then = settings.pop("then", {})
    length, watch = STEPS * 32, {"observe": observe, "quiet": True}
    run = gancli.train(**settings, images=length // 2 if then else length, runs_dir=home / "runs", name=name, **watch)
    if then:
        run = gancli.resume(run, images=length, allow_changes=True, **then, **watch)
    image = run.model.image
    label = 0 if image.classes else None
    size = f"{image.height}x{image.width}"
    loaded = load_images(DataConfig(dataset=str(settings["data.dataset"]), image_size=size, channels=image.channels), "train")
    images, labels = loaded.images.images, loaded.images.labels
    real = normalise(some_of(images if label is None or labels is None else images[labels == label], 256))
    model = gancli.load(run.path, checkpoint="latest")
    fake = model.sample(256, labels=label)
    extractor = extractor_for(loaded.name, images)
    features = [read(extractor, part.split(64)).features for part in (fake, real)]
    model.grid(16).save(home / "runs" / f"{name}.png")
    return found, "collapse" in alarms, coverage(*features, radii(features[1])[:, -1])


def main(chosen: list[str]) -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    as_json = "--json" in chosen
    chosen = [name for name in chosen if name != "--json"]
    home = Path(tempfile.mkdtemp())
    print(f"images in {home / 'runs'}", file=sys.stderr)
    images = folders(home)
    for number, (title, kinds) in enumerate((("chosen", CHOSEN), ("second", SECOND), ("held out", HELD_OUT))):
        print(f"\n{title:46}{'diversity':>34}{'coverage':>9}  alarm")
        rows = [(kind, name, settings) for kind, group in kinds.items() for name, settings in group.items()]
        for place, (kind, name, settings) in enumerate(rows):
            if chosen and name not in chosen and title not in chosen:
                continue
            arch = {} if "arch.name" in settings else DENSE
            given = SMALL | {"data.dataset": "GREY"} | arch | settings
            given["data.dataset"] = str(images[given["data.dataset"]])
            found, alarm, covered = measure(given, home, f"{number}-{place:02}")
            right = "" if alarm == (kind == "collapse") else "  WRONG"
            series = json.dumps(found) if as_json else " ".join(f"{value:.3f}" for value in found)
            print(f"{kind + ': ' + name:46}{series:>34}{covered:9.3f}  {'yes' if alarm else 'no'}{right}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
