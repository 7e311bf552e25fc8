"""Unpaired translation where the truth is known: `python tests/benchmarks/translation.py SOURCE/ TARGET/ WORK/`.

The two folders hold images of the same names: the drawings of two vendors of the same emoji, say, which the npm registry has.
Unpacked they are in `package/img/google/64` and `package/img/twitter/64`:

    npm pack emoji-datasource-google emoji-datasource-twitter

500 names are held back; of the rest, every other one is a source image and the others are target images, so that no training
image has its counterpart in the training. CUT is trained with its defaults, and what it makes of the images held back is
compared with their true counterparts, beside the unchanged images: mean square and L1 in [-1, 1]. So that a blur cannot pass
for a style, the mean difference of neighbouring pixels stands beside them, over that of the truth; and the smudges, the mean
difference from white of what is white in the image, around it and in the truth. Sheets (image, translation, truth) and runs are
left in the third folder; a run that is there already is judged only, or resumed if it was interrupted.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image

import gancli
from gancli.data import load_images
from gancli.images import grid, to_bytes
from gancli.runs import RunDirectory
from gancli.training.run import resume, stored_config
from gancli.training.run import train as start

if TYPE_CHECKING:
    from collections.abc import Sequence

HELD_BACK, SHOWN, COLUMNS, SHEET_PIXELS, WHITE = 500, 24, 12, 96, 0.97


def read_arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="images to translate")
    parser.add_argument("target", type=Path, help="images of the same names to translate into")
    parser.add_argument("work", type=Path, help="where the data set, the runs and the sheets go")
    parser.add_argument("--size", type=int, default=32, help="pixels per side")
    parser.add_argument("--images", type=int, default=24_000, help="length of each training")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="further settings")
    return parser.parse_args()


def make_data(source: Path, target: Path, folder: Path) -> None:
    """The data set, as folders trainA, trainB, testA and testB."""
    names = sorted({path.name for path in source.glob("*.png")} & {path.name for path in target.glob("*.png")})
    random.Random(0).shuffle(names)
    held_back, rest = names[:HELD_BACK], names[HELD_BACK:]
    parts = {
        "testA": (source, held_back),
        "testB": (target, held_back),
        "trainA": (source, rest[::2]),
        "trainB": (target, rest[1::2]),
    }
    for part, (images, chosen) in parts.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        for name in chosen:
            shutil.copyfile(images / name, folder / part / name)


def train(work: Path, name: str, settings: Sequence[str]) -> None:
    """Train, or resume what was interrupted."""
    if not (work / "runs" / name).exists():
        config = gancli.resolve(assignments=settings, environment={}).config
        start(config, runs_dir=work / "runs", name=name)
    elif RunDirectory(work / "runs" / name).info().get("status") != "done":
        resume(RunDirectory(work / "runs" / name))


def judge(work: Path, name: str) -> str:
    """A row of the table, and the sheet of a run."""
    model = gancli.load(work / "runs" / name)
    data = stored_config(RunDirectory(work / "runs" / name)).data
    loaded = load_images(data.model_copy(update={"paired": True}), "test").images
    assert loaded.sources is not None
    source, truth = (images.float() / 127.5 - 1 for images in (loaded.sources, loaded.images))
    pixels = to_bytes(model.translate(source))
    made = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1

    def ratio(power: int) -> float:
        return float((made - truth).abs().pow(power).mean() / (source - truth).abs().pow(power).mean())

    def edges(images: torch.Tensor) -> float:
        return float(images.diff(dim=3).abs().mean() + images.diff(dim=2).abs().mean())

    near = torch.nn.functional.max_pool2d(-source.amin(1, keepdim=True), 3, 1, 1)
    white = (near < -WHITE) & (truth.amin(1, keepdim=True) > WHITE)
    smudges = float((1 - made).abs().mean(1, keepdim=True)[white].mean())
    chosen = torch.randperm(len(source), generator=torch.Generator().manual_seed(0))[:SHOWN]
    rows = [to_bytes(images[part]) for part in chosen.split(COLUMNS) for images in (source, made, truth)]
    sheet = Image.fromarray(grid(torch.cat([torch.from_numpy(row) for row in rows]).numpy(), COLUMNS))
    scale = max(1, SHEET_PIXELS // truth.shape[3])
    sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST).save(work / f"{name}.png")
    untouched = float((source - truth).square().mean())
    squares = f"{untouched * ratio(2):.3f} of {untouched:.3f} | {ratio(2):.3f}"
    sharp = f"{edges(made) / edges(truth):.2f} ({edges(source) / edges(truth):.2f})"
    return f"| {name} | {model.origin.step:,} | {squares} | {ratio(1):.3f} | {sharp} | {smudges:.3f} |"


def main() -> None:
    """Train, judge and print the table."""
    arguments = read_arguments()
    data = arguments.work / "data"
    if not data.exists():
        make_data(arguments.source, arguments.target, data)
    print("| run | steps | mean square | ratio | ratio of L1 | edges (unchanged) | smudges |\n|---|---|---|---|---|---|---|")
    for seed in arguments.seeds:
        name = f"{arguments.size}-seed{seed}"
        settings = [f"data.dataset={data}", f"data.to={data}", f"data.image_size={arguments.size}", f"train.seed={seed}"]
        begun = time.process_time()
        train(arguments.work, name, [*settings, f"train.images={arguments.images}", *arguments.set])
        print(judge(arguments.work, name), f"trained here for {(time.process_time() - begun) / 60:.1f} minutes of a core")


if __name__ == "__main__":
    main()
