"""What a checkpoint costs: `python tests/benchmarks/saving.py`. Target: under 3 % of the default run (one per epoch)."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gancli.checkpoint.snapshot import pack
from gancli.checkpoint.store import CheckpointStore
from gancli.settings import resolve
from gancli.training.setup import set_up

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, STEPS = 7, 40


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Steps and saves in turn."""
    game = set_up(resolve(environment={}).config)
    state, epoch = game.state, game.plan.steps_per_epoch
    steps, saves = [], []
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        store = CheckpointStore(Path(folder))

        def save() -> None:
            culprit = state.non_finite()
            assert culprit is None
            store.save(state.step, pack(state, game.facts()), images_seen=state.images_seen, facts=game.facts())
            store.prune(2)

        for _ in range(ROUNDS):
            steps += [seconds(lambda: game.trainer.step(0.1)) for _ in range(STEPS)]
            saves.append(seconds(save))
    step, saved = statistics.median(steps), statistics.median(saves)
    print(f"step  {step * 1e3:7.1f} ms  (median of {len(steps)})")
    print(f"save  {saved * 1e3:7.1f} ms  (median of {len(saves)}, {min(saves) * 1e3:.1f} to {max(saves) * 1e3:.1f})")
    print(f"share {saved / (saved + epoch * step):7.2%}     of an epoch of {epoch} steps")


if __name__ == "__main__":
    main()
