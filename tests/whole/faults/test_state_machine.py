"""Any order of saving, crashing, power cuts, damage, resuming and pruning that hypothesis thinks of."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gancli.checkpoint.store import CheckpointStore
from gancli.errors import CheckpointError

CHECKPOINTS = Path("/runs/x/checkpoints")


class Training(RuleBasedStateMachine):
    """One run.

    ``safe`` are the steps that the user was told are saved, unless they were pruned or damaged since; ``damaged`` are
    those that may be.
    """

    def __init__(self, simulated, files_of):
        super().__init__()
        self.killed = simulated.Killed
        self.files_of = files_of
        self.disk = simulated.SimulatedDisk()
        self.safe = set()
        self.damaged = set()

    @property
    def store(self):
        return CheckpointStore(CHECKPOINTS, self.disk)

    def save(self, step):
        self.store.save(step, self.files_of(step), images_seen=step, facts={"step": step})
        self.safe.add(step)
        self.damaged.discard(step)

    @rule(steps=st.integers(1, 3))
    def train_and_save(self, steps):
        self.save((self.store.latest() or 0) + steps)

    @rule(back=st.integers(0, 2))
    def come_past_a_step_again(self, back):
        steps = self.store.steps()
        if steps:
            self.save(steps[max(0, len(steps) - 1 - back)])

    @rule(operations=st.integers(0, 60), again=st.booleans())
    def be_killed_while_saving_and_pruning(self, operations, again):
        newest = self.store.latest() or 0
        self.disk.operations_left = operations
        with suppress(self.killed):
            self.save(max(1, newest if again else newest + 1))
            self.store.prune(1, protect=self.safe)
        self.disk.restart()
        self.store.clean()

    @rule(seed=st.integers(0, 10**6))
    def lose_power(self, seed):
        cuts = list(self.disk.power_cuts(len(self.disk.log), random_cuts=5))
        self.disk = Random(seed).choice(cuts)
        self.store.clean()

    @rule(keep=st.integers(1, 3))
    def prune(self, keep):
        before = self.store.steps()
        newest = max(self.safe, default=None)
        pruned = self.store.prune(keep, protect=[newest])
        assert set(before) - set(pruned) == set(before[-keep:]) | {newest} & set(before)
        self.safe -= set(pruned)

    @rule(position=st.integers(0, 10**6), name=st.sampled_from(["state.json", "manifest.json"]))
    def rot(self, position, name):
        step = self.store.latest()
        if step and step not in self.damaged:
            self.disk.flip_bit(self.store.path(step) / name, position)
            self.safe.discard(step)
            self.damaged.add(step)
            with pytest.raises(CheckpointError, match="newest intact one is step" if self.safe else "intact"):
                self.store.load()

    @invariant()
    def what_is_safe_is_there(self):
        assert self.safe <= set(self.store.steps())

    @invariant()
    def every_step_is_right_unless_it_was_damaged(self):
        for step in self.store.steps():
            try:
                assert self.store.load(step).files == self.files_of(step)
            except CheckpointError:
                assert step in self.damaged


def test_F02_F04_any_history_of_a_run(simulated, files_of):
    run_state_machine_as_test(
        partial(Training, simulated, files_of),
        settings=settings(
            max_examples=100,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            phases=[Phase.generate],  # shrinking would take minutes
        ),
    )
