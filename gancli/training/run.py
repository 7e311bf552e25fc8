"""The use case: train into a run directory, or go on with one.

Nothing is written before everything that can be checked was checked.
"""

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
from gancli.config.resolve import flatten, refuse_changes, resolve
from gancli.config.schema import LENGTHS, RunConfig
from gancli.data.paths import count
from gancli.data.source import located
from gancli.errors import CheckpointError, ConfigError, DatasetError, RunError, StorageError
from gancli.events import Preparing
from gancli.models.parent import start_from
from gancli.models.stored import absolute
from gancli.runs import RunDirectory, create_run, refuse_missing_architecture, refuse_name
from gancli.runtime.processes import ALONE
from gancli.storage.disk import write_atomically
from gancli.storage.lock import RunLock
from gancli.text import shell
from gancli.training.session import Session
from gancli.training.setup import advice, announcement
from gancli.training.snapshot import unpack
from gancli.training.worker import hand_out, set_up_together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gancli.checkpoint.loading import Checkpoint
    from gancli.data import Watch
    from gancli.events import Event, RunEnded
    from gancli.runtime.processes import Processes
    from gancli.training.plan import Plan
    from gancli.training.setup import Game

__all__ = ["resume", "stored_config", "train"]

_EXACT_SHARES = 2
"""Two shares add up to the same bits whoever adds them; more than two, in another order, do not."""


def _ignore(event: Event) -> None:
    """Observe nothing."""


def _never() -> int:
    """No signal came."""
    return 0


def train(
    config: RunConfig,
    *,
    runs_dir: Path = Path("runs"),
    name: str | None = None,
    observe: Callable[[Event], None] = _ignore,
    stop: Callable[[], int] = _never,
    argv: Sequence[str] = (),
    processes: Processes = ALONE,
) -> RunEnded:
    """Train a new run.

    Args:
        config: the whole configuration, see :func:`gancli.config.resolve.resolve`.
        runs_dir: where run directories live; made if it is missing.
        name: name of the new run directory; by default time, data set and architecture.
        observe: is told what happens, see :mod:`gancli.events`.
        stop: asked after every step; when it returns a signal's number, the run is saved and ends.
        argv: the command line, for the record.
        processes: all that take part; the others call :func:`gancli.training.worker.follow`.

    Returns:
        how it ended: ``status`` is ``done`` or ``stopped``.

    Raises:
        GancliError: with the exit code that fits; what was announced as saved stays saved.
    """
    if name is not None:
        refuse_name(runs_dir, name)
    frozen = config.train.freeze_discriminator
    if config.model.parent is not None:
        model = config.model.model_copy(update={"parent": absolute(config.model.parent, runs_dir)})
        config = config.model_copy(update={"model": model})
    elif frozen:
        raise ConfigError(f"train.freeze_discriminator is {frozen}, without a parent.", "Name a trained model with --from.")
    game = set_up_together(config, processes, _told(observe))
    notes = (*advice(game), *announcement(game, game.expected_seconds()))
    if config.model.parent is not None:
        parent, started = start_from(config.model.parent, game.state, game.arch.name, game.image.classes)
        if frozen and "discriminator" not in parent.networks:
            raise ConfigError(
                f"train.freeze_discriminator is {frozen}, and '{parent.run}' holds no discriminator.",
                "Start from a run or a checkpoint, or leave it out.",
            )
        game, notes = replace(game, parent=parent), (*started, *notes)
    run = create_run(runs_dir, name, game.data.name, game.arch.name.rpartition(":")[2])
    prepared = False
    try:
        with RunLock(run.lock_path):
            session = Session(game, run, observe, stop, notes=notes)
            session.prepare()
            write_atomically(run.config_path, _document(game.config))
            prepared = True
            hand_out(game, run)
            return session.play(argv)
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
    observe: Callable[[Event], None] = _ignore,
    stop: Callable[[], int] = _never,
    argv: Sequence[str] = (),
    processes: Processes = ALONE,
) -> RunEnded:
    """Resume a run from its newest checkpoint, as if it had never stopped.

    Args:
        run: its directory.
        changes: dotted keys with new values. The length, ``runtime``, ``checkpoint`` and ``log`` may change; what would
            make it another model may not.
        from_step: resume from this checkpoint instead, and discard the later ones.
        allow_changes: the learning rates and the batch size may change too; ``run.json`` and the checkpoints record it.
        observe: see :func:`train`.
        stop: see :func:`train`.
        argv: the command line, for the record.
        processes: see :func:`train`.

    Raises:
        ConfigError: a change would make it another model; all differences are listed. Or the batches were divided among
            another number of processes.
        RunError: there is no checkpoint to go on from.
        CheckpointError: the newest one is corrupt, or belongs to another model or data set.
    """
    config = _changed(stored_config(run), changes or {}, allowed=allow_changes)
    with RunLock(run.lock_path):
        store = CheckpointStore(run.checkpoints)
        checkpoint = _load_or_explain(store, run, from_step)
        facts = _complete_facts(checkpoint)
        allowed = allow_changes or _announced(run, checkpoint.step)
        changed = _changes(facts, config, checkpoint, allowed=allowed)
        divided_anew = _divisions(facts, config, processes, checkpoint.step)
        try:
            game = set_up_together(config, processes, _told(observe))
        except DatasetError as error:
            remedy = f"{error.remedy} If the images were moved, name their new place with --dataset."
            raise DatasetError(error.problem, remedy) from error
        plan = _continued(game.plan, facts, config, changed, checkpoint.step)
        game = replace(game, plan=plan, divided_anew=divided_anew, changes=changed, parent=facts.parent)
        _refuse_other_data(facts, game)
        _refuse_other_frozen(facts, game)
        unpack(checkpoint, game.state)
        store.discard([step for step in store.steps() if step > checkpoint.step])
        write_atomically(run.config_path, _document(config))
        session = Session(game, run, observe, stop, notes=_drift(facts, game))
        session.prepare()
        hand_out(game, run)
        return session.play(argv)


def stored_config(run: RunDirectory) -> RunConfig:
    """The configuration of a run, validated again.

    Raises:
        RunError: it has none.
        ConfigError: it is not valid here, for instance because it was edited.
        PluginError: its architecture is not installed.
    """
    if not run.config_path.is_file():
        raise RunError(f"'{run.path}' has no config.json.", "Choose another run; see `gancli runs list`.")
    refuse_missing_architecture(run)
    return resolve(files=[run.config_path], environment={}, preferences=False).config


def _told(observe: Callable[[Event], None]) -> Watch:
    """Work on the pictures, as events."""
    return lambda what, done, total: observe(Preparing(what, done, total))


def _document(config: RunConfig) -> bytes:
    return (json.dumps(config.model_dump(mode="json"), indent=2) + "\n").encode()


def _load_or_explain(store: CheckpointStore, run: RunDirectory, step: int | None) -> Checkpoint:
    """The checkpoint to go on from; if it is corrupt, the error says how to go on from the newest intact one."""
    try:
        return store.load(step)
    except CheckpointError as error:
        intact = store.newest_intact()
        if intact is None:
            remedy = "No checkpoint of this run is intact: start a new one with -c and its config.json."
            raise CheckpointError(error.problem, remedy) from error
        command = shell("gancli", "train", "--resume", run.path, "--from-step", intact)
        raise CheckpointError(error.problem, f"Step {intact} is intact; go on from it with: {command}") from error


def _changed(stored: RunConfig, changes: Mapping[str, object], *, allowed: bool) -> RunConfig:
    """The stored configuration with the changes, if they leave it the same model."""
    old = flatten(stored)
    flags = {**_set_keys(old, changes), **changes}
    asked = located(resolve(flags=flags, environment={}, preferences=False).config)
    refuse_changes(old, flatten(asked), allowed=allowed)
    return asked


def _complete_facts(checkpoint: Checkpoint) -> Provenance:
    """What the checkpoint says about its training, if it says all that resuming needs."""
    facts = Provenance.parse(checkpoint.manifest.facts, checkpoint.path)
    missing = [name for name in ("config", "environment", "plan") if not getattr(facts, name)]
    if missing or not facts.dataset.fingerprint:
        raise CheckpointError(
            f"The checkpoint '{checkpoint.path}' does not say its {' and '.join(missing or ['data set'])}.",
            "It was written by another version of gancli or by something else: it can be sampled but not resumed.",
        )
    return facts


def _changes(facts: Provenance, config: RunConfig, checkpoint: Checkpoint, *, allowed: bool) -> tuple[Change, ...]:
    """What was changed in the middle of the run so far: one record per setting, with the step from which it holds."""
    old, new = facts.config, flatten(config)
    keys = refuse_changes(old, new, allowed=allowed)
    step, seen = checkpoint.step, checkpoint.manifest.images_seen
    now = [Change(step=step, images_seen=seen, key=key, before=old.get(key), now=new[key]) for key in keys]
    return (*facts.changes, *now)


def _divisions(facts: Provenance, config: RunConfig, processes: Processes, step: int) -> tuple[str, ...]:
    """Where the batches were divided anew so far, this time included; the same bits, as far as there are two shares."""
    before = cast("int", facts.environment.get("processes", 1)), cast("int", facts.config.get("train.accumulate", 1))
    now = processes.world, config.train.accumulate
    earlier = facts.divided_anew
    if before == now or before[0] * before[1] == now[0] * now[1] == _EXACT_SHARES:
        return earlier
    then, today = (
        f"{count(world, 'process', 'processes')} x train.accumulate={accumulate}" for world, accumulate in (before, now)
    )
    if not config.runtime.allow_other_processes:
        exact = before[0] * before[1] == _EXACT_SHARES >= processes.world
        alike = f", give -s train.accumulate={_EXACT_SHARES // processes.world} for the same bits" if exact else ""
        raise ConfigError(
            f"The batches of this run are divided among {then}, not {today}: the result would differ in its last bits, "
            "and with batch normalisation in more.",
            f"Start as many as before{alike}, or accept that with -s runtime.allow_other_processes=true.",
        )
    return (*earlier, f"from step {step} on {today}, not {then}")


def _announced(run: RunDirectory, step: int) -> bool:
    """Whether a resume that was killed before its first checkpoint had begun to train with changed settings."""
    changes = run.info().get("changes") if run.info_path.is_file() else None
    return isinstance(changes, list) and any(change.get("step") == step for change in changes)


def _continued(
    plan: Plan,
    facts: Provenance,
    config: RunConfig,
    changed: Sequence[Change],
    step: int,
) -> Plan:
    """The plan of a resumed run: made longer (or shorter) now, or when it was, or never.

    With another batch size since step s, the steps after s are as many as the rest of the images needs.
    """
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


def _set_keys(old: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """The stored values, without the stored length where a new one is asked for."""
    new_length = any(key in LENGTHS for key in changes)
    return {key: value for key, value in old.items() if not (new_length and key in LENGTHS)}


def _refuse_other_data(facts: Provenance, game: Game) -> None:
    stored = facts.dataset.fingerprint or ""
    if stored != game.data.fingerprint:
        raise ConfigError(
            f"The data set '{game.data.name}' is not the one that this run was trained on "
            f"(fingerprint {game.data.fingerprint[:12]}, not {stored[:12]}).",
            "Restore the pictures as they were, or start a new run.",
        )


def _refuse_other_frozen(facts: Provenance, game: Game) -> None:
    stored, now = facts.frozen, game.frozen_digests()
    if stored != now:
        name = next(iter(stored.items() ^ now.items()))[0]
        raise ConfigError(
            f"The frozen network '{name}' has other weights than those that this run was trained with.",
            f"Install the version of {game.arch.distribution or game.arch.name} that made the run, or start a new run.",
        )


def _drift(facts: Provenance, game: Game) -> tuple[str, ...]:
    """Sentences about what is not as it was, and so may change the last bits."""
    then = {"compiled": False, **facts.environment}
    now = {key: value for key, value in game.environment().items() if key != "processes"}
    changed = [f"{key} was {then.get(key)!r}, is {now[key]!r}" for key in now if then.get(key) != now[key]]
    changed += game.divided_anew[len(facts.divided_anew) :]
    arch = facts.arch
    if arch.version != game.arch.version:
        changed.append(f"{canonicalize_name(arch.distribution)} was {arch.version}, is {game.arch.version}")
    notes = tuple(
        f"From step {change.step:,} on {change.key} is {change.now}, not {change.before}; the run records it."
        for change in game.changes[len(facts.changes) :]
    )
    return (*notes, f"The result may differ in its last bits: {'; '.join(changed)}.") if changed else notes
