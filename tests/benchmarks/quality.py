"""Minutes of training to a stated FD-mnist: `python tests/benchmarks/quality.py [--help]`.

gancli's default against the article's recipe and against a script that is widely copied (`peers/copied.py`), on the same cores,
in turns of a few seconds. The clock of each runs while it trains, gancli's also while it saves and measures itself; it stands
while FD-mnist is measured here, which is what `gancli evaluate` calls so: 10,000 images against the test split, at times that
grow by a factor of 1.2, at the next save in the case of gancli. A level counts as reached at the first measurement that is not
above it, so that every time is at most a fifth too long.

gancli's default ends by itself after 18 epochs; the others go on for as long as they are given.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path

from report import Row, circumstances, conclude
from worker import PEERS, Team, Worker, threads

RECIPE = Path(__file__).parents[2] / "examples" / "article.toml"
LEVELS = (100, 50, 25, 15)
OURS, ARTICLE, COPIED = "gancli's default", "the article's recipe", "a widely copied script"

Curve = list[tuple[float, float]]
"""Seconds on the clock, and FD-mnist."""


def read_arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=45, help="of training, for each, at most")
    parser.add_argument("--seeds", type=int, default=1, help="how many times, each with a seed of its own")
    parser.add_argument("--images", type=int, default=10_000, help="of each measurement")
    parser.add_argument("--turn", type=float, default=10, help="seconds that each trains at a time")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="where to write all measurements")
    return parser.parse_args()


def start(seed: int, asked: argparse.Namespace) -> Team:
    """A process for each."""
    environment = threads(asked.threads)
    common = [f"train.seed={seed}", f"runtime.threads={asked.threads}"]
    default = {"files": [], "settings": [*common, "checkpoint.every_steps=117"]}
    article = {"files": [str(RECIPE)], "settings": [*common, "checkpoint.every_steps=468", "log.quality_every_images=0"]}
    ours, theirs = PEERS / "gancli_train.py", PEERS / "copied.py"
    images = {"images": asked.images}
    team = Team()
    team[OURS] = Worker(ours, default | images, environment=environment)
    team[ARTICLE] = Worker(ours, article | images, environment=environment)
    team[COPIED] = Worker(theirs, {"threads": asked.threads, "seed": seed, **images}, environment=environment)
    return team


def race(team: Team, asked: argparse.Namespace) -> dict[str, Curve]:
    """Train in turn until each has had its minutes or is done."""
    spent = dict.fromkeys(team, 0.0)
    curves: dict[str, Curve] = {name: [] for name in team}
    for worker in team.values():
        worker.answer()
    while waiting := [name for name, seconds in spent.items() if seconds < 60 * asked.minutes]:
        for name in waiting:
            answer = team[name].turn(seconds=min(asked.turn, 60 * asked.minutes - spent[name]))
            spent[name] = 60 * asked.minutes if "done" in answer else spent[name] + answer["seconds"]
            for seconds, distance in answer["measured"][len(curves[name]) :]:
                curves[name].append((seconds, distance))
                print(f"{name:24} {seconds / 60:7.2f} min  FD-mnist {distance:8.1f}", flush=True)
    return curves


def minutes_to(level: float, curve: Curve) -> float | None:
    """When the curve is first at or below the level; None if it never is."""
    return next((seconds / 60 for seconds, distance in curve if distance <= level), None)


def told(times: list[float | None]) -> str:
    """Median and range over the seeds."""
    reached = [minutes for minutes in times if minutes is not None]
    if len(reached) <= len(times) // 2:
        return "not reached"
    spread = f" ({min(reached):.1f} to {max(reached):.1f})" if len(reached) > 1 else ""
    return f"{statistics.median(reached):.1f}{spread}"


def rows(results: list[dict[str, Curve]], asked: argparse.Namespace) -> list[Row]:
    """A row for each level."""
    found = []
    for level in LEVELS:
        times = {name: told([minutes_to(level, curves[name]) for curves in results]) for name in results[0]}
        figure = "; ".join(f"{name} {minutes}" for name, minutes in times.items())
        found.append(Row(f"minutes to FD-mnist {level}, of at most {asked.minutes:g}", figure))
    ends = {name: [min(distance for _, distance in curves[name]) for curves in results if curves[name]] for name in results[0]}
    best = "; ".join(f"{name} {min(values):.1f} to {max(values):.1f}" for name, values in ends.items() if values)
    return [*found, Row(f"best FD-mnist in at most {asked.minutes:g} minutes, {len(results)} seed(s)", best)]


def main(asked: argparse.Namespace) -> list[Row]:
    """One race per seed."""
    results: list[dict[str, Curve]] = []
    arguments = {name: str(value) for name, value in vars(asked).items()}
    for seed in range(asked.seeds):
        with start(seed, asked) as team:
            results.append(race(team, asked))
        if asked.output:
            document = {"circumstances": circumstances(), "arguments": arguments, "seconds and FD-mnist": results}
            asked.output.write_text(json.dumps(document, indent=1) + "\n")
    return rows(results, asked)


if __name__ == "__main__":
    conclude(main(read_arguments()))
