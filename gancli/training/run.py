"""The use case: train into a run directory, or go on with one.

Nothing is written before everything that can be checked was checked.
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.checkpoint.store import CheckpointStore
from gancli.config.resolve import flatten, resolve
from gancli.config.schema import LENGTHS, RunConfig
from gancli.data.paths import count
from gancli.errors import CheckpointError, ConfigError, RunError, StorageError
from gancli.plugins.distributions import canonical
from gancli.runs import RunDirectory, create_run, refuse_missing_architecture, refuse_name
from gancli.runtime.processes import ALONE
from gancli.storage.disk import write_atomically
from gancli.storage.lock import RunLock
from gancli.training.events import Preparing
from gancli.training.session import Session
from gancli.training.setup import advice
from gancli.training.snapshot import unpack
from gancli.training.worker import hand_out, set_up_together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gancli.checkpoint.loading import Checkpoint
    from gancli.data.watch import Watch
    from gancli.runtime.processes import Processes
    from gancli.training.events import Event, RunEnded
    from gancli.training.plan import Plan
    from gancli.training.setup import Game

__all__ = ["resume", "stored_config", "train"]

_FREE_KEYS = (*LENGTHS, "train.accumulate", "runtime.", "checkpoint.", "log.")
"""Keys, or beginnings of keys, that a resumed run may change; into how many shares a batch is divided is looked at apart."""

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
        observe: is told what happens, see :mod:`gancli.training.events`.
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
    game = set_up_together(config, processes, _told(observe))
    run = create_run(runs_dir, name, game.data.name, game.arch.name.rpartition(":")[2])
    with RunLock(run.lock_path):
        session = Session(game, run, observe, stop, notes=advice(game))
        try:
            session.prepare()
            write_atomically(run.config_path, _document(game.config))
        except StorageError:
            shutil.rmtree(run.path, ignore_errors=True)  # nothing has happened in it yet
            raise
        hand_out(game, run)
        return session.play(argv)


def resume(
    run: RunDirectory,
    *,
    changes: Mapping[str, object] | None = None,
    from_step: int | None = None,
    observe: Callable[[Event], None] = _ignore,
    stop: Callable[[], int] = _never,
    argv: Sequence[str] = (),
    processes: Processes = ALONE,
) -> RunEnded:
    """Go on with a run from its newest checkpoint, as if it had never stopped.

    Args:
        run: its directory.
        changes: dotted keys with new values. The length, ``runtime``, ``checkpoint`` and ``log`` may change; what would
            make it another model may not.
        from_step: go on from this checkpoint instead, and discard the later ones.
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
    config = _changed(stored_config(run), changes or {})
    with RunLock(run.lock_path):
        store = CheckpointStore(run.checkpoints)
        checkpoint = _load_or_explain(store, run, from_step)
        facts = _complete_facts(checkpoint)
        _refuse_other_training(facts["config"], flatten(config))
        divided_anew = _divisions(facts, config, processes, checkpoint.step)
        game = set_up_together(config, processes, _told(observe))
        game = replace(game, plan=_continued(game.plan, facts["plan"], checkpoint.step), divided_anew=divided_anew)
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
    return resolve(files=[run.config_path], environment={}).config


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
        command = f"gancli train --resume {shlex.quote(str(run.path))} --from-step {intact}"
        raise CheckpointError(error.problem, f"Step {intact} is intact; go on from it with: {command}") from error


def _changed(stored: RunConfig, changes: Mapping[str, object]) -> RunConfig:
    """The stored configuration with the changes, if they leave it the same model."""
    old = flatten(stored)
    asked = resolve(flags={**_set_keys(old, changes), **changes}, environment={}).config
    _refuse_other_training(old, flatten(asked))
    return asked


def _complete_facts(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """What the checkpoint says about its training, if it says all that resuming needs."""
    facts = checkpoint.manifest.facts
    missing = [name for name in ("arch", "config", "dataset", "environment", "plan") if not isinstance(facts.get(name), dict)]
    if missing:
        raise CheckpointError(
            f"The checkpoint '{checkpoint.path}' does not say its {' and '.join(missing)}.",
            "It was written by another version of gancli or by something else: it can be sampled, but not gone on from.",
        )
    return facts


def _refuse_other_training(old: Mapping[str, object], new: Mapping[str, object]) -> None:
    """Compare all that a resumed run may not change; ``old`` is what the run, or its checkpoint, was made with.

    A setting that is not in ``old`` is younger than the run, which behaved as its default says.
    """
    then = {**flatten(RunConfig()), **old}
    refused = [key for key in new if key in then and new[key] != then[key] and not key.startswith(_FREE_KEYS)]
    if refused:
        listed = "; ".join(f"{key}: stored {json.dumps(then.get(key))}, asked {json.dumps(new[key])}" for key in refused)
        raise ConfigError(
            f"That would be another training ({listed}).",
            "Leave these as they are, or start a new run with -c and the run's config.json.",
        )


def _divisions(facts: Mapping[str, Any], config: RunConfig, processes: Processes, step: int) -> tuple[str, ...]:
    """Where the batches were divided anew so far, this time included; the same bits, as far as there are two shares."""
    before = facts["environment"].get("processes", 1), facts["config"].get("train.accumulate", 1)
    now = processes.world, config.train.accumulate
    earlier = tuple(facts.get("divided_anew", ()))
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


def _continued(plan: Plan, stored: Mapping[str, Any], step: int) -> Plan:
    """The plan of a resumed run: made longer (or shorter) now, or when it was, or never."""
    longer = stored["total_steps"] != plan.total_steps
    return replace(plan, extended_at=step if longer else int(stored["extended_at"]))


def _set_keys(old: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """The stored values, without the stored length where a new one is asked for."""
    new_length = any(key in LENGTHS for key in changes)
    return {key: value for key, value in old.items() if not (new_length and key in LENGTHS)}


def _refuse_other_data(facts: Mapping[str, Any], game: Game) -> None:
    stored = facts["dataset"]["fingerprint"]
    if stored != game.data.fingerprint:
        raise ConfigError(
            f"The data set '{game.data.name}' is not the one that this run was trained on "
            f"(fingerprint {game.data.fingerprint[:12]}, not {stored[:12]}).",
            "Restore the pictures as they were, or start a new run.",
        )


def _refuse_other_frozen(facts: Mapping[str, Any], game: Game) -> None:
    stored, now = facts.get("frozen", {}), game.frozen_digests()
    if stored != now:
        name = next(iter(stored.items() ^ now.items()))[0]
        raise ConfigError(
            f"The frozen network '{name}' has other weights than those that this run was trained with.",
            f"Install the version of {game.arch.distribution or game.arch.name} that made the run, or start a new run.",
        )


def _drift(facts: Mapping[str, Any], game: Game) -> tuple[str, ...]:
    """Sentences about what is not as it was, and so may change the last bits."""
    then = {"compiled": False, **facts["environment"]}
    now = {key: value for key, value in game.environment().items() if key != "processes"}
    changed = [f"{key} was {then.get(key)!r}, is {now[key]!r}" for key in now if then.get(key) != now[key]]
    changed += game.divided_anew[len(facts.get("divided_anew", ())) :]
    arch = facts["arch"]
    if arch["version"] != game.arch.version:
        changed.append(f"{canonical(arch['distribution'])} was {arch['version']}, is {game.arch.version}")
    return (f"The result may differ in its last bits: {'; '.join(changed)}.",) if changed else ()
