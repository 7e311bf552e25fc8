"""Does the collapse alarm see mode collapse, and keep quiet otherwise?

    nice -n 10 python tests/benchmarks/collapse.py [NAME...]

Short trainings, half of them made to collapse: a discriminator that hardly learns lets the generator find one image that
fools it, and so does one without a penalty at large learning rates. Each row: diversity in features (the alarm's
measure) at the end of 240 steps, the part of 256 real images that 256 generated ones cover, diversity in pixels (which the
alarm measured before), and whether the alarm was raised.

RESULTS
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import torch

from gancli.config.resolve import resolve
from gancli.data.batches import normalise
from gancli.data.watch import unwatched
from gancli.events import Alarm, EpochEnded
from gancli.metrics.choice import extractor_for
from gancli.metrics.extractor import read, some_of
from gancli.metrics.manifolds import coverage, radii
from gancli.models.loading import load
from gancli.plugins.registry import DATASETS
from gancli.training.alarms import COLLAPSED
from gancli.training.run import train
from gancli.training.sizing import load_suited

SMALL = (
    "arch.generator_widths=[96,96]",
    "arch.discriminator_widths=[96,96]",
    "train.batch_size=32",
    "runtime.threads=1",
    "runtime.device=cpu",
    "train.learning_rate_decay=0",
    "train.ema_halflife_images=500",
    "log.quality_every_images=0",
    "log.every_steps=100",
    "log.preview_every_epochs=1000",
    "checkpoint.every_steps=1000000",
)
LAZY_D = ("train.discriminator_learning_rate=1e-6", "train.learning_rate=2e-3")
LOOSE = ("objective.r1_gamma=0", "train.learning_rate=1e-2", "train.discriminator_learning_rate=2e-4")

COLLAPSES = {
    "lazy D, non-saturating": LAZY_D,
    "lazy D, hinge": ("objective.name=hinge", *LAZY_D),
    "lazy D, least squares": ("objective.name=least-squares", *LAZY_D),
    "lazy D, wasserstein": ("objective.name=wasserstein", *LAZY_D),
    "no penalty, fast G": LOOSE,
    "no penalty, fast G, hinge": ("objective.name=hinge", *LOOSE),
    "lazy D, colour": ("data.dataset=stacked-mnist", *LAZY_D),
    "lazy D, colour, hinge": ("data.dataset=stacked-mnist", "objective.name=hinge", *LAZY_D),
    "lazy D, classes": ("model.conditional=true", *LAZY_D),
    "lazy D, 301 images": ("data.dataset=FEW", *LAZY_D),
}
HEALTHY = {
    "non-saturating": (),
    "hinge": ("objective.name=hinge",),
    "least squares": ("objective.name=least-squares",),
    "wasserstein": ("objective.name=wasserstein",),
    "relativistic": ("objective.name=relativistic",),
    "colour": ("data.dataset=stacked-mnist",),
    "colour, relativistic": ("data.dataset=stacked-mnist", "objective.name=relativistic"),
    "classes": ("model.conditional=true",),
    "301 images": ("data.dataset=FEW",),
}
STEPS = 240


def few(folder: Path) -> Path:
    """A folder of 301 images, for which the extractor is the one of images of any kind."""
    from PIL import Image

    folder.mkdir(parents=True)
    images = DATASETS.load("mnist")().load("train").images
    for i, image in enumerate(images[:301]):
        Image.fromarray(image[0].numpy()).resize((20, 20)).save(folder / f"{i}.png")
    return folder


def measure(assignments: tuple[str, ...], folder: Path) -> tuple[list[float], bool, float, float]:
    """Diversity at each epoch's end of one training, whether it raised the alarm, and coverage and pixels at its end."""
    found: list[float] = []
    alarms: list[str] = []

    def observe(event: object) -> None:
        if isinstance(event, EpochEnded):
            found.append(event.evaluation["diversity"])
        if isinstance(event, Alarm):
            alarms.append(event.name)

    config = resolve(assignments=[*SMALL, f"train.images={STEPS * 32}", *assignments], environment={}).config
    ended = train(config, runs_dir=folder, name=f"run{time.monotonic_ns()}", observe=observe)
    data = load_suited(config, unwatched)[1]
    label = 0 if config.model.conditional else None
    images, labels = data.images.images, data.images.labels
    real = normalise(some_of(images if label is None or labels is None else images[labels == label], 256))
    fake = load(checkpoint=ended.checkpoint).sample(256, labels=label)
    extractor = extractor_for(data.name, images)
    features = [read(extractor, part.split(64)).features for part in (fake, real)]
    covered = coverage(*features, radii(features[1])[:, -1])
    pixels = float(torch.pdist(fake.flatten(1)).mean() / torch.pdist(real.flatten(1)).mean())
    return found, "collapse" in alarms, covered, pixels


def main(chosen: list[str]) -> None:
    """Print the table."""
    print(f"{'':36}{'diversity':>10}{'coverage':>9}{'pixels':>7}  alarm (below {COLLAPSED})")
    with tempfile.TemporaryDirectory() as scratch:
        images = few(Path(scratch) / "few")
        campaigns = [(kind, *row) for kind, rows in (("collapse", COLLAPSES), ("healthy", HEALTHY)) for row in rows.items()]
        for kind, name, assignments in campaigns:
            if not chosen or name in chosen:
                given = tuple(each.replace("FEW", str(images)) for each in assignments)
                found, alarm, covered, pixels = measure(given, Path(scratch))
                right = "" if alarm == (kind == "collapse") else "  WRONG"
                row = f"{found[-1]:10.3f}{covered:9.3f}{pixels:7.2f}  {'yes' if alarm else 'no'}{right}"
                print(f"{kind + ': ' + name:36}{row}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
