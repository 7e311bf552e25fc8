"""A training step of the article's networks, against its peers: `python tests/benchmarks/training.py [--help]`.

The recipe is `examples/article.toml`: G 100-256-512-1024-784, D 784-1024-512-256-1 with dropout, 128 real and 128 fake images
for D, fresh noise for G, Adam. Every program is a process of its own, kept alive, and told in turn to take a few steps; what it
needs to be ready is not counted, nor are the first two turns. Ratios are taken round by round. gancli is `gancli train` as it
is, with its rows of metrics; the peers are in `peers/`, each with what it keeps of its original.

Before anything is measured, all programs must have networks of the same size, and losses that agree after the same steps.

Processor time is shown as well. On a machine that does other work at the same time it is the figure to read, with --threads 1:
what waits for a core that another program has taken is not in it.

The Keras programs need an environment of their own, since TensorFlow and PyTorch do not share a process well:

    python3 -m venv .venv-tensorflow && .venv-tensorflow/bin/pip install tensorflow-cpu

Without it their rows are left out.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from interleave import Spread, in_turn, ratio, show
from report import Row, conclude
from worker import PEERS, Team, Worker, threads

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "examples" / "article.toml"
TENSORFLOW = "BENCHMARK_TENSORFLOW"
OURS = "gancli"
KERAS = {"the article's Keras program": ("keras_article.py", 6.0), "Keras 3 in one tf.function": ("keras_function.py", 2.1)}
EAGER = "idiomatic eager PyTorch"
LEAST = {name: target for name, (_, target) in KERAS.items()} | {EAGER: 2.6}
LEAST_SHARE = 0.70
ALIKE = 0.25
"""Share by which a loss, the mean of a turn, may differ from the median of all: weights, noise and dropout have other seeds."""


def read_arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=20, help="of each program in each round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="of the PyTorch programs: cpu or cuda")
    parser.add_argument(
        "--tensorflow",
        metavar="PYTHON",
        default=os.environ.get(TENSORFLOW, str(ROOT / ".venv-tensorflow" / "bin" / "python")),
        help=f"Python of an environment with TensorFlow; also ${TENSORFLOW}",
    )
    return parser.parse_args()


def digits(place: Path) -> Path:
    """MNIST's training images, uint8 (60000, 28, 28), for programs that know nothing of gancli."""
    from gancli.config.schema import DataConfig
    from gancli.data import load_images

    path = place / "digits.npy"
    np.save(path, load_images(DataConfig(dataset="mnist")).images.images.squeeze(1).numpy())
    return path


def assemble(team: Team, asked: argparse.Namespace, images: Path) -> dict[str, dict[str, Any]]:
    """Start every program; what each said about itself."""
    common = {"threads": asked.threads, "digits": str(images), "device": asked.device}
    environment = threads(asked.threads)

    def ours(precision: str) -> Worker:
        settings = [f"runtime.{key}={asked.__dict__[key]}" for key in ("threads", "device")]
        settings += [f"runtime.precision={precision}", f"log.every_steps={asked.steps}"]
        told = {"files": [str(RECIPE)], "settings": settings}
        return Worker(PEERS / "gancli_train.py", told, environment=environment)

    team[OURS] = ours("auto")
    said = {OURS: team[OURS].answer()}
    precisions = ["bf16", "fp32"] if said[OURS]["precision"] == "bf16" else ["fp32"]
    if "bf16" in precisions:
        team[f"{OURS}, fp32"] = ours("fp32")
    team[EAGER] = Worker(PEERS / "pytorch.py", common, environment=environment)
    if Path(asked.tensorflow).exists():
        quiet = environment | {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "tensorflow"}
        for name, (script, _) in KERAS.items():
            team[name] = Worker(PEERS / script, common, python=asked.tensorflow, environment=quiet)
    else:
        print(f"The Keras programs are left out: there is no '{asked.tensorflow}' (--help says how to make it).")
    for precision in precisions:
        told = {**common, "precision": precision, "batch": 128}
        team[f"products alone, {precision}"] = Worker(PEERS / "products.py", told, environment=environment)
    return said | {name: worker.answer() for name, worker in team.items() if name not in said}


def refuse_other_sizes(said: dict[str, dict[str, Any]]) -> None:
    """All networks have as many parameters as gancli's."""
    for name, facts in said.items():
        if facts.get("parameters", said[OURS]["parameters"]) != said[OURS]["parameters"]:
            raise SystemExit(f"{name} has {facts['parameters']} parameters, {OURS} {said[OURS]['parameters']}.")


def refuse_other_losses(losses: dict[str, tuple[float, float]]) -> None:
    """After as many steps, all programs play the game equally well."""
    for position, player in enumerate(("D", "G")):
        middle = Spread.of(pair[position] for pair in losses.values()).median
        for name, pair in losses.items():
            if not math.isclose(pair[position], middle, rel_tol=ALIKE):
                raise SystemExit(f"{name} ends with a loss of {player} of {pair[position]:.3f}, the others with {middle:.3f}.")


def main(asked: argparse.Namespace) -> list[Row]:
    """Round by round."""
    last: dict[str, dict[str, Any]] = {}
    processor: dict[str, list[float]] = {}
    with TemporaryDirectory() as place, Team() as team:
        said = assemble(team, asked, digits(Path(place)))
        refuse_other_sizes(said)

        def turn(name: str) -> float:
            last[name] = team[name].turn(steps=asked.steps)
            processor.setdefault(name, []).append(last[name]["processor_seconds"] / asked.steps)
            return last[name]["seconds"] / asked.steps

        works = {name: lambda name=name: turn(name) for name in team}
        in_turn(works, 2)  # compile, allocate, warm up
        refuse_other_losses({name: (facts["d_loss"], facts["g_loss"]) for name, facts in last.items() if "d_loss" in facts})
        processor.clear()
        times = in_turn(works, asked.rounds)
    for name, facts in said.items():
        shown = "".join(f", {key} {last[name][key]:.3f}" for key in ("d_loss", "g_loss") if key in last[name])
        print(f"{name}: {facts['software']}{shown}")
    print(f"\nWall time of a step, {asked.threads} thread(s)")
    show(times, OURS)
    print("\nProcessor time of a step")
    show({name: processor[name] for name in times}, OURS)
    return rows(times, said[OURS]["precision"])


def rows(times: dict[str, list[float]], precision: str) -> list[Row]:
    """For the table: how many times as fast as each peer, and how much of a step the products are."""
    step = Spread.of(1e3 * seconds for seconds in times[OURS])
    found = [Row.of(f"a step of the article's recipe, milliseconds ({precision})", step, ".1f")]
    for name, least in LEAST.items():
        if name in times:
            speed = ratio(times, name, OURS)
            found.append(Row.of(f"as many steps as {name}: times as fast", speed, ".2f", at_least=least))
    products = ratio(times, f"products alone, {precision}", OURS)
    found.append(Row.of(f"matrix products ({precision}) alone, against the step", products, ".0%", at_least=LEAST_SHARE))
    if precision != "fp32":
        single = ratio({**times, "step": times[f"{OURS}, fp32"]}, "products alone, fp32", "step")
        found += [
            Row.of("the same in fp32", single, ".0%"),
            Row.of(f"{EAGER} against gancli in fp32 as well: times as fast", ratio(times, EAGER, f"{OURS}, fp32"), ".2f"),
        ]
    return found


if __name__ == "__main__":
    conclude(main(read_arguments()))
