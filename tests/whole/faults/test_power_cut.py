"""H2: the power fails at every moment, and the disk keeps of what was not synced whatever is worst.

Each scenario is played on a simulated disk, most of them with a process killed at every operation and a second one that
goes on. Then every prefix of the disk's log is cut off in many ways and looked at with the real code:

- P1: what was acknowledged is there, in this or a newer step;
- P2: every step that is visible is complete and right;
- the next process can clean up and save.

Without any one of the syncs in the code some case fails: no sync is missing, and none is for nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gancli.checkpoint.store import CheckpointStore
from gancli.errors import GancliError
from gancli.storage.disk import write_atomically

CHECKPOINTS = Path("/runs/x/checkpoints")
FILE = Path("/file")


class Stage:
    """Where scenarios are played. The syncs at the place ``ignored`` of the code do nothing."""

    def __init__(self, simulated, save, ignored=None):
        self.simulated = simulated
        self.save_step = save
        self.ignored = ignored

    def disk(self):
        return self.simulated.SimulatedDisk(self.ignored)

    def save(self, disk, *steps):
        for step in steps:
            self.save_step(store(disk), step)
            disk.acknowledge(step)

    def killed_everywhere(self, before, first, second):
        """Disks on which a first process was killed at its n-th operation, and a second went on; and when that began."""
        for operations in range(1, 1000):
            disk = self.disk()
            before(disk)
            disk.operations_left, start = operations, len(disk.log)
            try:
                first(disk)
            except self.simulated.Killed:
                disk.restart()
                store(disk).clean()
                second(disk)
                yield disk, start
            else:
                return


def store(disk):
    return CheckpointStore(CHECKPOINTS, disk)


def training(stage):
    disk = stage.disk()
    for step in (1, 2, 3, 4):
        stage.save(disk, step)
        store(disk).prune(2)
    yield disk, 0


def killed_in_the_first_save(stage):
    yield from stage.killed_everywhere(lambda _: None, lambda disk: stage.save(disk, 1), lambda disk: stage.save(disk, 1))


def killed_in_a_save_and_coming_past_the_step_again(stage):
    yield from stage.killed_everywhere(
        lambda disk: stage.save(disk, 1), lambda disk: stage.save(disk, 2), lambda disk: stage.save(disk, 2, 3)
    )


def killed_in_a_save_and_pruned_before_the_next(stage):
    yield from stage.killed_everywhere(
        lambda disk: stage.save(disk, 1), lambda disk: stage.save(disk, 2), lambda disk: store(disk).prune(1)
    )


def replacing_a_rotten_step(stage):
    disk = stage.disk()
    stage.save(disk, 1)
    stage.save_step(store(disk), 2)
    disk.flip_bit(store(disk).path(2) / "state.json", 3)
    start = len(disk.log)
    stage.save(disk, 2)
    yield disk, start


SCENARIOS = [
    training,
    killed_in_the_first_save,
    killed_in_a_save_and_coming_past_the_step_again,
    killed_in_a_save_and_pruned_before_the_next,
    replacing_a_rotten_step,
]


@pytest.fixture
def stage(simulated, save):
    """``ignored sync -> stage``."""
    return lambda ignored=None: Stage(simulated, save, ignored)


@pytest.fixture
def complaint(files_of, save):
    """``(disk, acknowledged steps, rotten steps) -> what is wrong``, or None."""

    def complaint(disk, acknowledged, rotten):
        found = store(disk)
        try:
            steps = found.steps()
            if acknowledged and max(steps, default=0) < max(acknowledged):
                return f"step {max(acknowledged)} was acknowledged, and there is {steps}"
            for step in steps:
                if step not in rotten and found.load(step).files != files_of(step):
                    return f"step {step} is not what was saved"
            found.clean()
            save(found, 9)
        except GancliError as error:
            return str(error)
        return None

    return complaint


@pytest.fixture
def complaints(complaint):
    """Everything that is wrong after some power cut of a scenario, one after the other."""

    def complaints(scenario, stage):
        seen = set()
        for disk, start in scenario(stage):
            for moment in range(start, len(disk.log) + 1):
                acknowledged = disk.acknowledged(moment)
                rotten = {2} if scenario is replacing_a_rotten_step and 2 not in acknowledged else ()
                for found in disk.power_cuts(moment, random_cuts=2):
                    case = found.tree(), *acknowledged
                    problem = case not in seen and complaint(found, acknowledged, rotten)
                    seen.add(case)
                    if problem:
                        yield f"after {disk.log[moment - 1]}: {problem}"

    return complaints


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_F04_what_was_acknowledged_survives_every_power_cut(scenario, stage, complaints):
    assert list(complaints(scenario, stage())) == []


def test_F04_every_sync_is_needed(stage, complaints, subtests):
    places = {place for scenario in SCENARIOS for disk, _ in scenario(stage()) for place in disk.sync_places}
    assert len(places) > 8
    for place in sorted(places):
        with subtests.test(place):
            assert any(next(complaints(scenario, stage(place)), None) for scenario in SCENARIOS)


def wrong_contents(disk, contents):
    """What a file, written durably again and again, holds after a power cut and must not."""
    for moment in range(len(disk.log) + 1):
        acknowledged = len(disk.acknowledged(moment))
        for found in disk.power_cuts(moment):
            there = found.nodes[found._at(FILE)] if found.lstat(FILE) else None
            if there not in contents[acknowledged : acknowledged + 2]:
                yield f"{there} after {disk.log[:moment]}"


def test_F04_a_durable_write_survives_every_power_cut_and_needs_its_syncs(stage, subtests):
    contents = [None, b"first", b"second"]

    def play(ignored=None):
        disk = stage(ignored).disk()
        for content in contents[1:]:
            write_atomically(FILE, content, disk, durable=True)
            disk.acknowledge(content)
        return disk

    assert list(wrong_contents(play(), contents)) == []
    for place in sorted(play().sync_places):
        with subtests.test(place):
            assert any(wrong_contents(play(place), contents))
