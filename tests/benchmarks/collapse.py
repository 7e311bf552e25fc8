"""Does the collapse alarm see mode collapse, and keep quiet otherwise?

    nice -n 10 python tests/benchmarks/collapse.py [NAME...]

Short trainings, half of them made to collapse: a discriminator that hardly learns lets the generator find one image that
fools it, and so does one without a penalty at large learning rates. Each row: diversity in features (the alarm's
measure) at the end of 300 steps, the part of 256 real images that 256 generated ones cover, diversity in pixels (which the
alarm measured before), and whether the alarm was raised.

Two CPU cores shared with other work. The threshold was chosen on these trainings: the alarm column is its rule applied
to the series of this table. (Coverage and pixels of conditional models: class 0.)

                                      diversity at three epochs  coverage  pixels  alarm
    collapse: lazy D, 301 images              0.050 0.047 0.045     0.000    0.89  yes
    collapse: lazy D, classes                 0.150 0.148 0.148     0.000    0.74  yes
    collapse: lazy D, colour                  0.044 0.043 0.043     0.000    0.92  yes
    collapse: lazy D, colour, hinge           0.023 0.023 0.023     0.000    0.05  yes
    collapse: lazy D, hinge                   0.006 0.007 0.006     0.000    0.06  yes
    collapse: lazy D, least squares           0.032 0.028 0.027     0.000    0.74  yes
    collapse: lazy D, non-saturating          0.044 0.041 0.040     0.000    0.88  yes
    collapse: lazy D, wasserstein             0.006 0.006 0.007     0.000    0.09  yes
    collapse: no penalty, fast G              0.008 0.008 0.008     0.000    0.20  yes
    collapse: no penalty, fast G, hinge       0.008 0.008 0.009     0.000    0.28  yes
    healthy: 301 images                       0.017 0.073 0.144     0.383    0.74  no
    healthy: classes                          0.077 0.081 0.085     0.000    0.48  no
    healthy: colour                           0.027 0.038 0.049     0.105    0.47  no
    healthy: colour, relativistic             0.032 0.093 0.132     0.711    0.67  no
    healthy: hinge                            0.015 0.055 0.079     0.242    0.65  no
    healthy: least squares                    0.019 0.024 0.030     0.102    0.57  no
    healthy: non-saturating                   0.020 0.103 0.170     0.285    0.73  no
    healthy: relativistic                     0.041 0.199 0.326     0.387    0.82  no
    healthy: wasserstein                      0.122 0.320 0.442     0.492    0.88  no
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import torch
from gancli.data.watch import unwatched
from PIL import Image

from gancli.config.resolve import resolve
from gancli.data.batches import normalise
from gancli.events import Alarm, EpochEnded
from gancli.metrics.choice import extractor_for
from gancli.metrics.extractor import read, some_of
from gancli.metrics.manifolds import coverage, radii
from gancli.models.loading import load
from gancli.plugins.registry import DATASETS
from gancli.training.alarms import COLLAPSED
from gancli.training.run import train
from gancli.training.setup import load_suited

SMALL = (
    "arch.generator_widths=[64,64]",
    "arch.discriminator_widths=[64,64]",
    "train.batch_size=32",
    "runtime.threads=1",
    "runtime.device=cpu",
    "train.learning_rate_decay=0",
    "augment.mode=off",
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
    "lazy D, colour": ("data.dataset=COLOUR", *LAZY_D),
    "lazy D, colour, hinge": ("data.dataset=COLOUR", "objective.name=hinge", *LAZY_D),
    "lazy D, classes": ("model.conditional=true", *LAZY_D),
    "lazy D, 301 images": ("data.dataset=FEW", *LAZY_D),
}
HEALTHY = {
    "non-saturating": (),
    "hinge": ("objective.name=hinge",),
    "least squares": ("objective.name=least-squares",),
    "wasserstein": ("objective.name=wasserstein",),
    "relativistic": ("objective.name=relativistic",),
    "colour": ("data.dataset=COLOUR",),
    "colour, relativistic": ("data.dataset=COLOUR", "objective.name=relativistic"),
    "classes": ("model.conditional=true",),
    "301 images": ("data.dataset=FEW",),
}
STEPS = 300


def folders(home: Path) -> dict[str, Path]:
    """2,000 digits in folders of their classes, 2,000 with a digit per colour, and 301: short epochs, measured often."""
    digits, coloured = (DATASETS.load(name)().load("train") for name in ("mnist", "stacked-mnist"))
    found = {"GREY": home / "grey", "COLOUR": home / "colour", "FEW": home / "few"}
    for name, folder in found.items():
        data = coloured if name == "COLOUR" else digits
        for i in range(301 if name == "FEW" else 2000):
            label = int(data.labels[i]) % 10 if name == "GREY" and data.labels is not None else 0
            path = folder / str(label) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = data.images[i].permute(1, 2, 0).numpy()
            Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(path)
    return found


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
    print(f"{'':34}{'diversity':>24}{'coverage':>9}{'pixels':>7}  alarm (below {COLLAPSED})")
    with tempfile.TemporaryDirectory() as scratch:
        images = folders(Path(scratch))
        campaigns = [(kind, *row) for kind, rows in (("collapse", COLLAPSES), ("healthy", HEALTHY)) for row in rows.items()]
        for kind, name, assignments in campaigns:
            if not chosen or name in chosen:
                given = ("data.dataset=GREY", *assignments)
                for word, folder in images.items():
                    given = tuple(each.replace(word, str(folder)) for each in given)
                found, alarm, covered, pixels = measure(given, Path(scratch))
                right = "" if alarm == (kind == "collapse") else "  WRONG"
                series = " ".join(f"{value:.3f}" for value in found[-4:])
                row = f"{series:>24}{covered:9.3f}{pixels:7.2f}  {'yes' if alarm else 'no'}{right}"
                print(f"{kind + ': ' + name:34}{row}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
