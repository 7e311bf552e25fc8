"""H3, real processes: train, `kill -9` at random times, resume, until the end; then compare with a run that never stopped.

    python tests/whole/faults/killer.py --kills 300        the soak; 20 kills are part of every full test run

One process imports torch and forks a child per training, so that a kill costs a fraction of a second instead of two. The
times are drawn from a seeded generator; where they fall in the program is left to the machine, which is the point.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

from gancli.checkpoint.store import CheckpointStore
from gancli.config.resolve import resolve
from gancli.runs import RunDirectory
from gancli.storage.disk import TEMPORARY
from gancli.storage.lock import run_lock

KILLS_PER_RUN = 5
ARCHITECTURES = {
    "dense": ["arch.name=dense", "arch.generator_widths=[64,64]", "arch.discriminator_widths=[64]", "arch.dropout=0.3"],
    "dcgan": ["arch.name=dcgan", "arch.channels=4", "arch.max_channels=16"],
    "resnet": ["arch.name=resnet", "arch.channels=2", "arch.max_channels=8", "arch.group_size=4"],
}


class Quick:
    """Stands in for the probe of the quality, which would take most of the time: any figure of the pictures will do."""

    column, count = "fd_quick", 8

    @classmethod
    def for_data(cls, name, images, device, extractor):  # noqa: ARG003  (the probe's signature)
        """One for any data."""
        return cls()

    def measure(self, batches):
        """How bright they are."""
        return {self.column: float(sum(batch.sum() for batch in batches))}


def write_pictures(folder: Path) -> None:
    """300 IDX pictures of 16x16."""
    generator = random.Random(0)
    pixels = bytes(generator.randrange(256) for _ in range(300 * 256))
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">4BIII", 0, 0, 8, 3, 300, 16, 16) + pixels)


def configuration(folder: Path, arch: str):
    """A run of 5 epochs of 9 steps that saves at every second step."""
    common = ["train.epochs=5", "train.batch_size=32", "checkpoint.every_steps=2", "log.every_steps=3", "log.previews=4"]
    best = ["log.quality_every_images=1", "checkpoint.keep=1"]  # measured at every epoch; the best one is kept besides
    place = [f"data.dataset={folder}", "runtime.device=cpu", "runtime.threads=1"]
    return resolve(assignments=[*ARCHITECTURES[arch], *common, *best, *place], environment={}).config


def in_child(work) -> int:
    """Fork; the child does ``work()`` and leaves. Returns the child's pid."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def wait(pid: int) -> int:
    """The exit code of a child, negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def go_on(config, run: RunDirectory):
    """What a child does: begin, or resume if there is something to resume."""
    from gancli.storage.disk import write_atomically
    from gancli.training import monitoring, session
    from gancli.training.run import resume, train

    monitoring.Probe = Quick
    session.plot_losses = lambda rows, path: write_atomically(path, str(rows).encode())  # as often, but at once

    if CheckpointStore(run.checkpoints).latest() is not None:
        return lambda: resume(run)
    if run.path.exists():  # killed before the first checkpoint: there is nothing to lose, so begin anew
        import shutil

        shutil.rmtree(run.path)
    return lambda: train(config, runs_dir=run.path.parent, name=run.name)


def killed_run(config, run: RunDirectory, clock: random.Random, longest: float, kills: int) -> int:
    """Kill the same run several times, then let it end. Returns the kills that hit."""
    hits = 0
    for _ in range(kills):
        pid = in_child(go_on(config, run))
        time.sleep(clock.uniform(0, longest))
        os.kill(pid, signal.SIGKILL)
        hits += wait(pid) == -signal.SIGKILL
        if run.path.exists():
            with run_lock(run.lock_path):
                pass  # the lock is free at once
    if wait(in_child(go_on(config, run))):
        raise AssertionError(f"{run.path}: the last resume failed")
    return hits


def compare(reference: RunDirectory, run: RunDirectory) -> list[str]:
    """What differs from the run that never stopped, and what lies around."""
    stores = [CheckpointStore(r.checkpoints).load() for r in (reference, run)]
    wrong = []
    if stores[0].state_digest != stores[1].state_digest:
        wrong.append("the state differs")
    kept = [(store.steps(), store.best()) for store in map(CheckpointStore, (reference.checkpoints, run.checkpoints))]
    if kept[0] != kept[1]:
        wrong.append(f"other checkpoints are kept: {kept[0]}, {kept[1]}")
    if reference.metrics_path.read_bytes() != run.metrics_path.read_bytes():
        wrong.append("the rows of metrics differ")
    litter = [path.name for path in run.path.rglob("*") if path.name.startswith((TEMPORARY, ".trash-"))]
    if litter:
        wrong.append(f"litter: {litter}")
    return wrong


def campaign(arch: str, kills: int, seed: int, folder: Path) -> dict[str, object]:
    """Kill until ``kills`` have hit. Returns the figures; ``wrong`` is empty if all promises were kept."""
    write_pictures(folder)
    config = configuration(folder, arch)
    reference = RunDirectory(folder / "runs" / "reference")
    start = time.monotonic()
    if wait(in_child(go_on(config, reference))):
        raise AssertionError("the reference run failed")
    longest = 0.8 * (time.monotonic() - start)
    clock, hits, runs, wrong = random.Random(seed), 0, 0, []
    while hits < kills:
        run = RunDirectory(folder / "runs" / f"killed-{runs}")
        hits += killed_run(config, run, clock, longest, min(KILLS_PER_RUN, kills - hits))
        wrong += [f"{run.name}: {text}" for text in compare(reference, run)]
        runs += 1
    return {"arch": arch, "kills": hits, "runs": runs, "seconds": round(time.monotonic() - start), "wrong": wrong}


def main() -> int:
    """Run a campaign per architecture and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300, help="kills per architecture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arch", choices=ARCHITECTURES, nargs="*", default=list(ARCHITECTURES))
    arguments = parser.parse_args()
    import torch._inductor.config  # noqa: F401  (the slow imports happen once, here)

    import gancli.training.run  # noqa: F401  (likewise)

    reports = []
    for arch in arguments.arch:
        with tempfile.TemporaryDirectory() as folder:
            reports.append(campaign(arch, arguments.kills, arguments.seed, Path(folder)))
            print(json.dumps(reports[-1]), flush=True)
    return int(any(report["wrong"] for report in reports))


if __name__ == "__main__":
    sys.exit(main())
