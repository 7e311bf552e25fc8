"""A folder of a few images, at equal processor time: `python tests/benchmarks/few_shot.py IMAGES FOLDER [--help]`.

Every row is what a user gets: `gancli train`, with the defaults of the architecture, in a process of its own with one
thread, and the images of `gancli sample` from the checkpoint that gancli chose. How many images a training may see is found
beforehand: two short trainings tell what an image and what the start cost in CPU seconds. What a training really took is in
the table. The judge is a network that none of them trains with (`judge.py`).

    npm pack emoji-datasource-facebook && tar xzf emoji-datasource-facebook-*.tgz
    rm package/img/facebook/64/*1f3f[b-f]*     # the same emoji in five colours of skin
    python tests/benchmarks/few_shot.py package/img/facebook/64 few-shot/ --old ../gancli-before

`--old` is a checkout of another commit with an environment in `.venv`, whose architectures are compared with these;
`--lightweight` the Python of an environment with lightweight-gan (`peers/lightweight.py`).
FOLDER/results.jsonl has a line per training; a benchmark that was killed goes on behind the last one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from judge import features, measure, network
from PIL import Image, ImageDraw

from gancli.config.schema import DataConfig
from gancli.data import load_images
from gancli.images import grid, to_bytes, to_picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

ROOT = Path(__file__).parents[2]
GENERATED, SHOWN, COLUMNS = 1000, 48, 8
PEER, LIGHTWEIGHT = "peer", "lightweight"
STEPS = (8, 32)
"""Lengths of the two rehearsals, in updates of 64 images."""


def cpu_seconds(command: list[str], folder: Path) -> float:
    """Run it with one thread, and wait; its CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GANCLI_RUNTIME__THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def load(folder: Path, side: int) -> Tensor:
    """All images of a folder, float32 in [-1, 1], as gancli reads them."""
    config = DataConfig(dataset=str(folder), image_size=side, channels=3)
    return load_images(config).images.images.float() / 127.5 - 1


def subset(images: Path, count: int, folder: Path) -> Path:
    """A folder of links to so many of the images, always the same ones; all of them for 0."""
    if not count:
        return images
    few = folder / f"{images.name}-{count}"
    if not few.exists():
        few.mkdir(parents=True)
        for path in random.Random(0).sample(sorted(images.iterdir()), count):
            (few / path.name).symlink_to(path.resolve())
    return few


def train(label: str, python: Path, arch: str, dataset: Path, side: int, asked: argparse.Namespace) -> dict[str, Any]:
    """One training of so many CPU seconds, sampled and judged."""
    if label == PEER:
        return lightweight(python, dataset, side, asked)
    name = f"{label}-{arch}-{dataset.name}-{side}-{asked.seed}".replace(" ", "-")
    gancli = [str(python), "-m", "gancli"]
    command = [
        *gancli,
        "train",
        "--dataset",
        str(dataset),
        "--image-size",
        str(side),
        "--arch",
        arch,
        "--seed",
        str(asked.seed),
    ]
    command += ["-s", "runtime.threads=1", "-s", f"runtime.precision={asked.precision}", "-q"]
    short, long = (
        cpu_seconds([*command, "--images", str(64 * steps), "--name", f"{name}-{steps}"], asked.folder) for steps in STEPS
    )
    each = max(long - short, 0.1) / (64 * (STEPS[1] - STEPS[0]))
    images = max(64 * STEPS[1], round((asked.seconds - max(0.0, short - 64 * STEPS[0] * each)) / each))
    spent = cpu_seconds([*command, "--images", str(images), "--name", name], asked.folder)
    output = asked.folder / "images" / name
    shutil.rmtree(output, ignore_errors=True)  # of a benchmark that was killed: earlier versions have no --force
    cpu_seconds([*gancli, "sample", "--run", name, "-n", str(GENERATED), "-o", f"{output.resolve()}/"], asked.folder)
    generated = load(output, side)
    sheet(generated).save(asked.folder / f"{name}.png")
    row = {"label": label, "arch": arch, "dataset": dataset.name, "side": side, "seed": asked.seed, "images": images}
    return row | {"cpu_seconds": spent} | measure(features(generated), features(load(dataset, side)))


def lightweight(python: Path, dataset: Path, side: int, asked: argparse.Namespace) -> dict[str, Any]:
    """lightweight-gan on the same images, for as many CPU seconds, judged."""
    name = f"{PEER}-{LIGHTWEIGHT}-{dataset.name}-{side}-{asked.seed}"
    real, output = load(dataset, side), asked.folder / "images" / name
    given = output / "given"
    given.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(to_bytes(real)):
        to_picture(image).save(given / f"{number:05}.png")
    script = str(Path(__file__).parent / "peers" / "lightweight.py")
    numbers = map(str, (side, asked.seconds, GENERATED, asked.seed))
    spent = cpu_seconds([str(python), script, str(given.resolve()), str(output.resolve()), *numbers], asked.folder)
    generated = load(output / "images", side)
    sheet(generated).save(asked.folder / f"{name}.png")
    images = int((output / "seen").read_text())
    row = {"label": PEER, "arch": LIGHTWEIGHT, "dataset": dataset.name, "side": side, "seed": asked.seed, "images": images}
    return row | {"cpu_seconds": spent} | measure(features(generated), features(real))


def sheet(images: Tensor, width: int = 640) -> Image.Image:
    """The first images in a grid, enlarged without blur."""
    image = to_picture(grid(to_bytes(images[:SHOWN]), COLUMNS))
    factor = max(1, width // image.width)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def side_by_side(sheets: list[tuple[str, Image.Image]], path: Path) -> None:
    """One image of all sheets, each with its name above."""
    width, height, gap = max(s.width for _, s in sheets), max(s.height for _, s in sheets), 24
    whole = Image.new("RGB", (len(sheets) * (width + gap), height + gap), "white")
    for place, (name, one) in enumerate(sheets):
        ImageDraw.Draw(whole).text((place * (width + gap) + 4, 6), name, fill="black")
        whole.paste(one, (place * (width + gap), gap))
    whole.save(path)


def candidates(asked: argparse.Namespace) -> Iterator[tuple[str, Path, str]]:
    """Label, Python and architecture of every training."""
    if asked.old:
        yield from (("before", asked.old.resolve() / ".venv" / "bin" / "python", arch) for arch in asked.old_archs)
    yield from (("now", Path(sys.executable), arch) for arch in asked.archs)
    if asked.lightweight:
        yield PEER, asked.lightweight.absolute(), LIGHTWEIGHT


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder of images")
    parser.add_argument("folder", type=Path, help="where runs, images and results go")
    parser.add_argument("--old", type=Path, metavar="CHECKOUT", help="another commit's checkout, with its .venv")
    parser.add_argument("--old-archs", nargs="*", default=["dcgan", "resnet"])
    parser.add_argument("--archs", nargs="*", default=["aided", "dcgan", "resnet", "projected"])
    parser.add_argument("--lightweight", type=Path, metavar="PYTHON", help="of an environment with lightweight-gan 1.2.1")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 300], help="how many of the images; 0: all")
    parser.add_argument("--seconds", type=float, default=1440, help="CPU seconds of each training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="fp32", choices=["auto", "fp32", "bf16"])
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    network()  # what it needs is missed now, not after the first training
    results = asked.folder / "results.jsonl"
    known = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    keys = ("label", "arch", "dataset", "side", "seed")
    columns = ("images", "cpu_seconds", "fd", "kid", "precision", "recall", "coverage")
    print("|", " | ".join((*keys, *columns)), "|\n|", "---|" * (len(keys) + len(columns)))
    for count in asked.counts:
        for side in asked.sizes:
            dataset = subset(asked.images.resolve(), count, asked.folder.resolve())
            real = load(dataset, side)
            order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))
            sheets = [("real", sheet(real[order]))]
            for label, python, arch in candidates(asked):
                wanted = (label, arch, dataset.name, side, asked.seed)
                row = next((one for one in known if tuple(one[key] for key in keys) == wanted), None)
                if row is None:
                    row = train(label, python, arch, dataset, side, asked)
                    with results.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                print("|", " | ".join(str(row[key]) for key in keys), "|", end=" ")
                print(" | ".join(f"{row[key]:.3g}" if key != "images" else f"{row[key]:,}" for key in columns), "|", flush=True)
                name = f"{label}-{arch}-{dataset.name}-{side}-{asked.seed}.png"
                sheets.append((f"{label} {arch}: FD {row['fd']:.0f}", Image.open(asked.folder / name)))
            side_by_side(sheets, asked.folder / f"sheets-{dataset.name}-{side}-{asked.seed}.png")


if __name__ == "__main__":
    main()
