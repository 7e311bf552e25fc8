"""The use case: train into a run directory, or resume one. Nothing is written before everything that can be checked was."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from packaging.utils import canonicalize_name

from gancli.checkpoint.provenance import Change, Provenance
from gancli.checkpoint.store import CheckpointStore
from gancli.config.resolve import choose_arch, flatten, migrated, refuse_changes, resolve
from gancli.config.schema import LENGTHS, RunConfig
from gancli.data.paths import count
from gancli.data.source import located
from gancli.errors import CheckpointError, ConfigError, DatasetError, MemoryExhaustedError, RunError, StorageError
from gancli.models.parent import start_from
from gancli.models.stored import absolute
from gancli.runs import RunDirectory, create_run, refuse_missing_architecture, refuse_name
from gancli.runtime.processes import ALONE, Processes
from gancli.storage.disk import write_atomically
from gancli.storage.lock import run_lock
from gancli.text import shell
from gancli.training.session import Session
from gancli.training.setup import Training, advice, announcement, prepare
from gancli.training.worker import broadcast_state, set_up_together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gancli.checkpoint.manifest import Checkpoint
    from gancli.events import Event, RunEnded
    from gancli.training.plan import Plan

_EXACT_MICRO_BATCHES = 2  # two micro-batches add up to the same bits whoever adds them; more than two, in another order, do not
_MOST_MICRO_BATCHES = 8  # of a step that does not fit into memory


def train(
    config: RunConfig,  # the whole configuration, see gancli.config.resolve.resolve
    *,
    runs_dir: Path = Path("runs"),  # where run directories live; made if it is missing
    name: str | None = None,  # of the new run directory; by default time, data set and architecture
    observe: Callable[[Event], None] = lambda _: None,  # is called with what happens, see gancli.events
    stop: Callable[[], int] = lambda: 0,  # asked after every step; when it returns a signal, the run is saved and ends
    argv: Sequence[str] = (),  # the command line, for the record
    processes: Processes = ALONE,  # all that take part; the others call gancli.training.worker.worker_loop
    reason: str = "",  # why this architecture was chosen, as the first note
) -> RunEnded:
    """Train a new run."""
    if name is not None:
        refuse_name(runs_dir, name)
    address, frozen = config.model.parent, config.train.freeze_discriminator
    if address is not None:
        address = absolute(address, runs_dir)
        config = config.model_copy(update={"model": config.model.model_copy(update={"parent": address})})
    elif frozen:
        raise ConfigError(f"train.freeze_discriminator is {frozen}, without a parent.", "Name a trained model with --from.")
    training, seconds, divided = _within_memory(config, processes, observe)
    notes = (*filter(None, [reason]), *divided, *advice(training), *announcement(training, seconds))
    if address is not None:
        parent, started = start_from(address, training.state, training.arch.name, training.image)
        if frozen and "discriminator" not in parent.networks:
            problem = f"train.freeze_discriminator is {frozen}, and '{parent.run}' holds no discriminator."
            raise ConfigError(problem, "Start from a run or a checkpoint, or leave it out.")
        training, notes = replace(training, parent=parent), (*notes, *started)
    prepare(training)
    run = create_run(runs_dir, name, training.data.name, training.arch.name.rpartition(":")[2])
    prepared = False
    try:
        with run_lock(run.lock_path):
            session = Session(training, run, observe, stop, notes=notes)
            session.prepare()
            write_atomically(run.config_path, config_document(training.config))
            prepared = True
            broadcast_state(training, run)
            return session.train(argv)
    except StorageError:
        if not prepared:
            shutil.rmtree(run.path, ignore_errors=True)  # nothing has happened in it yet
        raise


def resume(
    run: RunDirectory,
    *,
    changes: Mapping[str, object] | None = None,
    from_step: int | None = None,
    allow_changes: bool = False,
    observe: Callable[[Event], None] = lambda _: None,
    stop: Callable[[], int] = lambda: 0,
    argv: Sequence[str] = (),
    processes: Processes = ALONE,
) -> RunEnded:
    """Resume a run from its newest checkpoint, as if it had never stopped; see :func:`train`.

    The ``changes`` give dotted keys new values: the length, ``runtime``, ``checkpoint`` and ``log``; with ``allow_changes``
    also the learning rates and the batch size, which ``run.json`` and the checkpoints record. ``from_step`` resumes from that
    checkpoint instead, and discards the later ones.

    Raises:
        ConfigError: a change would make it another model, or the batches were divided among another number of processes.
        RunError: there is no checkpoint to resume from.
        CheckpointError: the newest one is corrupt, or belongs to another model or data set.
    """
    settings, changes = flatten(stored_config(run)), changes or {}
    new_length = any(key in LENGTHS for key in changes)
    kept = {key: value for key, value in settings.items() if not (new_length and key in LENGTHS)}
    config = located(resolve(flags={**kept, **changes}, environment={}, preferences=False).config)
    refuse_changes(settings, flatten(config), allowed=allow_changes)
    with run_lock(run.lock_path):
        store = CheckpointStore(run.checkpoints)
        checkpoint, facts = _load(store, run, from_step)
        changed = _changes(run, facts, config, checkpoint, allowed=allow_changes)
        divided_anew = _divisions(facts, config, processes, checkpoint.step)
        try:
            training = set_up_together(config, processes, observe)
        except DatasetError as error:
            remedy = f"{error.remedy} If the images were moved, name their new place with --dataset."
            raise DatasetError(error.problem, remedy) from error
        plan = _continued(training.plan, facts, config, changed, checkpoint.step)
        training = replace(training, plan=plan, divided_anew=divided_anew, changes=changed, parent=facts.parent)
        stored, data = facts.dataset.fingerprint or "", training.data
        if stored != data.fingerprint:
            raise ConfigError(
                f"The data set '{data.name}' is not the one that this run was trained on "
                f"(fingerprint {data.fingerprint[:12]}, not {stored[:12]}).",
                "Restore the images as they were, or start a new run.",
            )
        if differing := facts.frozen.items() ^ training.frozen_digests().items():
            made_by = training.arch.distribution or training.arch.name
            problem = f"The frozen network '{min(differing)[0]}' has other weights than those that this run was trained with."
            raise ConfigError(problem, f"Install the version of {made_by} that made the run, or start a new run.")
        training.state.load(checkpoint.files, f"the checkpoint '{checkpoint.path}'")
        training.state.elapsed_seconds = facts.elapsed_seconds
        store.discard([step for step in store.steps() if step > checkpoint.step])
        write_atomically(run.config_path, config_document(config))
        session = Session(training, run, observe, stop, notes=_drift(facts, training))
        session.prepare()
        broadcast_state(training, run)
        return session.train(argv)


def _within_memory(
    config: RunConfig, processes: Processes, observe: Callable[[Event], None]
) -> tuple[Training, float | None, tuple[str, ...]]:
    """The training, how long it will take, and a note where a step fits into memory in micro-batches only."""
    accumulate, batch_size = config.train.accumulate, config.train.batch_size
    notes: tuple[str, ...] = ()
    while True:
        training = set_up_together(config, processes, observe)
        try:
            return training, training.expected_seconds(), notes
        except MemoryExhaustedError:
            accumulate *= 2
            if accumulate > _MOST_MICRO_BATCHES or batch_size % accumulate:
                raise
        del training  # before the next one is built
        rules = config.train.model_copy(update={"accumulate": accumulate})
        config = config.model_copy(update={"train": rules})
        divided = f"it is taken in {accumulate} micro-batches (train.accumulate={accumulate}), with the same gradient."
        notes = (f"A step of {batch_size} images does not fit into memory: {divided}",)


def stored_config(run: RunDirectory) -> RunConfig:
    """The configuration of a run, validated again; a GancliError if it has none, or it is not valid here."""
    if not run.config_path.is_file():
        raise RunError(f"'{run.path}' has no config.json.", "Choose another run; see `gancli runs list`.")
    version = refuse_missing_architecture(run)
    return resolve(files=[run.config_path], environment={}, preferences=False, made_by=version).config


def config_document(config: RunConfig) -> bytes:
    """The content of ``config.json``."""
    return (json.dumps(config.model_dump(mode="json"), indent=2) + "\n").encode()


def _load(store: CheckpointStore, run: RunDirectory, step: int | None) -> tuple[Checkpoint, Provenance]:
    """The checkpoint to resume from, and all that it has to say for that; if it is corrupt, the error names an intact one."""
    try:
        checkpoint = store.load(step)
    except CheckpointError as error:
        intact = store.newest_intact()
        if intact is None:
            remedy = "No checkpoint of this run is intact: start a new one with -c and its config.json."
            raise CheckpointError(error.problem, remedy) from error
        command = shell("gancli", "train", "--resume", run.path, "--from-step", intact)
        raise CheckpointError(error.problem, f"Step {intact} is intact; resume from it with: {command}") from error
    facts = Provenance.parse(checkpoint.manifest.facts, checkpoint.path)
    missing = [name for name in ("config", "environment", "plan") if not getattr(facts, name)]
    if missing or not facts.dataset.fingerprint:
        raise CheckpointError(
            f"The checkpoint '{checkpoint.path}' does not say its {' and '.join(missing or ['data set'])}.",
            "It was written by another version of gancli or by something else: it can be sampled but not resumed.",
        )
    return checkpoint, facts


def _changes(
    run: RunDirectory, facts: Provenance, config: RunConfig, checkpoint: Checkpoint, *, allowed: bool
) -> tuple[Change, ...]:
    """What was changed in the middle of the run so far: one record per setting, with the step from which it holds."""
    old, new = migrated(facts.config, choose_arch(config).plugin, facts.arch.version), flatten(config)
    step, seen = checkpoint.step, checkpoint.manifest.images_seen
    announced = run.info().get("changes") if run.info_path.is_file() else None
    if isinstance(announced, list):  # a resume that was killed before its first checkpoint had trained with them
        allowed = allowed or any(change.get("step") == step for change in announced)
    keys = refuse_changes(old, new, allowed=allowed)
    now = [Change(step=step, images_seen=seen, key=key, before=old.get(key), now=new[key]) for key in keys]
    return (*facts.changes, *now)


def _divisions(facts: Provenance, config: RunConfig, processes: Processes, step: int) -> tuple[str, ...]:
    """Where the batches were divided anew so far, this time included; the same bits, as far as there are two micro-batches."""
    before = cast("int", facts.environment.get("processes", 1)), cast("int", facts.config.get("train.accumulate", 1))
    now = processes.world, config.train.accumulate
    if before == now or before[0] * before[1] == now[0] * now[1] == _EXACT_MICRO_BATCHES:
        return facts.divided_anew
    then, today = (f"{count(world, 'process', 'processes')} x train.accumulate={parts}" for world, parts in (before, now))
    if not config.runtime.allow_other_processes:
        exact = before[0] * before[1] == _EXACT_MICRO_BATCHES >= processes.world
        alike = f", give -s train.accumulate={_EXACT_MICRO_BATCHES // processes.world} for the same bits" if exact else ""
        raise ConfigError(
            f"The batches of this run are divided among {then}, not {today}: the result would differ in its last bits, "
            "and with batch normalisation in more.",
            f"Start as many as before{alike}, or accept that with -s runtime.allow_other_processes=true.",
        )
    return (*facts.divided_anew, f"from step {step} on {today}, not {then}")


def _continued(plan: Plan, facts: Provenance, config: RunConfig, changed: Sequence[Change], step: int) -> Plan:
    """The plan of a resumed run: made longer (or shorter) now, or when it was, or never."""
    stored = facts.plan
    batch_sizes = [change for change in changed if change.key == "train.batch_size"]
    if batch_sizes and plan.total_steps is not None:
        since, size = batch_sizes[-1], config.train.batch_size
        images = config.train.images or (config.train.epochs or 0) * plan.steps_per_epoch * size
        rest = math.ceil(max(0, images - since.images_seen) / size)
        plan = replace(plan, total_steps=since.step + rest)
    now = len(batch_sizes) > len([change for change in facts.changes if change.key == "train.batch_size"])
    if stored is None or (stored.total_steps != plan.total_steps and not now):
        return replace(plan, extended_at=step)
    return replace(plan, extended_at=stored.extended_at)


def _drift(facts: Provenance, training: Training) -> tuple[str, ...]:
    """Sentences about what is not as it was, and so may change the last bits."""
    then, today = {"compiled": False, "captured": False, **facts.environment}, training.facts()
    now = {key: value for key, value in today.environment.items() if key != "processes"}
    changed = [f"{key} was {then.get(key)!r}, is {now[key]!r}" for key in now if then.get(key) != now[key]]
    changed += training.divided_anew[len(facts.divided_anew) :]
    if facts.arch.version != today.arch.version:
        changed.append(f"{canonicalize_name(facts.arch.distribution)} was {facts.arch.version}, is {today.arch.version}")
    notes = tuple(
        f"From step {change.step:,} on {change.key} is {change.now}, not {change.before}; the run records it."
        for change in training.changes[len(facts.changes) :]
    )
    return (*notes, f"The result may differ in its last bits: {'; '.join(changed)}.") if changed else notes
