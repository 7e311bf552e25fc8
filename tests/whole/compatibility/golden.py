"""Write the golden run of this release: python tests/compatibility/golden.py

It is done once per release and never again: later versions have to load what this one wrote. A few steps of a conditional
model of no size, on pictures that are a formula; beside the run, a few of its pictures as numbers.
"""

import json
import shutil
import struct
import tempfile
from contextlib import chdir
from pathlib import Path

import gancli

HERE = Path(__file__).parent
SETTINGS = (
    "data.dataset=./pictures",
    "model.conditional=true",
    "model.latent_dim=3",
    "arch.generator_widths=[5]",
    "arch.discriminator_widths=[5]",
    "arch.class_dim=2",
    "arch.dropout=0.25",
    "train.batch_size=16",
    "train.images=96",
    "train.learning_rate=0.01",
    "log.every_steps=2",
    "log.previews=4",
    "runtime.device=cpu",
    "runtime.precision=fp32",
    "runtime.threads=1",
)


def write_pictures(folder):
    """Sixty-four pictures of 8x8 in three classes, as IDX files."""
    folder.mkdir()
    pixels = bytes(i * 7 % 256 for i in range(64 * 64))
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 64, 8, 8) + pixels)
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 64) + bytes(i % 3 for i in range(64)))


def draw(run):
    """Three pictures, one per class, as rounded numbers."""
    return [[round(x, 5) for x in picture.flatten().tolist()] for picture in gancli.load(run).sample(3, seed=7)]


def main():
    """Train, and keep what a later version needs to go on: half of the run."""
    with tempfile.TemporaryDirectory() as place, chdir(place):
        write_pictures(Path("pictures"))
        config = gancli.resolve(assignments=SETTINGS, environment={}).config
        steps = iter(range(1, 100))
        run = gancli.train(config, runs_dir=Path("runs"), name="golden", stop=lambda: 15 * (next(steps) == 4)).run
        target = HERE / gancli.__version__
        shutil.copytree(run, target, ignore=shutil.ignore_patterns("*.png", "*.lock", "log.txt"))
        (target / "pictures.json").write_text(json.dumps(draw(run)) + "\n")


if __name__ == "__main__":
    main()
