"""All checkpoints of a run, in one directory::

    checkpoints/
        step-000000500/         committed: complete and unchangeable
            manifest.json       lists every other file with its size and SHA-256
            ...
        .tmp-501-5f3a09c1/      unfinished; never read
        .trash-400-77b2c08e/    being removed; never read

Saving: everything is written into ``.tmp-N-...`` and each file synced, the manifest last; the directory is synced, renamed to
``step-N``, and the parent synced. **That last sync is the commit**: only when :meth:`CheckpointStore.save` has returned is the
checkpoint saved: from then on it, or a newer one, survives a kill and a power cut. Before, it is complete or invisible.

Removing: what stays is made durable first; then each victim is renamed to ``.trash-...``; the parent is synced, so that no
power cut can bring back a name whose files are gone already; then the files are removed.

Only the holder of the run's lock saves and removes. Anybody may read at any time.
"""

from __future__ import annotations

import re
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from gancli.checkpoint.manifest import MANIFEST, Checkpoint, Manifest, read_checkpoint, read_manifest
from gancli.errors import CheckpointError, GancliError, RunError, StorageError
from gancli.storage import disk
from gancli.storage.system import is_in_use
from gancli.text import shell

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path


_STEP = re.compile(r"step-([0-9]{9,19})")


class CheckpointStore:
    """The checkpoints in ``directory``, which is made by the first :meth:`save`."""

    def __init__(self, directory: Path, storage: disk.Storage = disk.DISK) -> None:
        self.directory = directory
        self.storage = storage

    def path(self, step: int) -> Path:
        """Where the checkpoint of ``step`` is or would be."""
        return self.directory / f"step-{step:09d}"

    def steps(self) -> list[int]:
        """The committed steps, ascending."""
        with disk.explained(self.directory):
            while True:
                names = self._names()
                steps = sorted(step for name in names if (step := self._committed(name)) is not None)
                if steps or names == self._names():
                    return steps
                # everything that was listed has been pruned before it was read: there are newer ones

    def latest(self) -> int | None:
        """The newest committed step: by its number, since clocks jump."""
        return max(self.steps(), default=None)

    def newest_intact(self) -> int | None:
        """The newest step of which every byte is as it was saved."""
        return next((step for step in reversed(self.steps()) if self._intact(step)), None)

    # -- saving --

    def prepare(self, needed_bytes: int = 0) -> None:
        """Remove what a killed process left, and raise a StorageError now for what would make the first save fail."""
        probe = self.directory / f"{disk.TEMPORARY}{token_hex(8)}"
        with disk.explained(self.directory):
            disk.make_directories(self.directory, self.storage)
            self.clean()
            try:
                disk.write_file(probe, b"?", self.storage, durable=True)
            finally:
                disk.remove(probe, self.storage)
            free = self.storage.free_bytes(self.directory)
        if free < needed_bytes:
            raise StorageError(
                f"A checkpoint needs {needed_bytes / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free in '{self.directory}'.",
                "Make room, or choose another place.",
            )

    def save(self, step: int, files: Mapping[str, bytes], *, images_seen: int, facts: Mapping[str, Any]) -> Checkpoint:
        """Commit a checkpoint; when this returns, it is durable.

        A step that was saved before is saved already if its state is equal (a resumed run comes past the same steps
        again), is replaced if it is corrupt, and is refused otherwise.

        Raises:
            StorageError: it could not be written; earlier checkpoints are untouched, and the space is given back.
            CheckpointError: the manifest cannot hold the facts, or the step was saved with another state.
        """
        manifest = Manifest.describe(step, files, images_seen=images_seen, facts=facts)
        contents = {**files, MANIFEST: manifest.encode()}
        path = self.path(step)
        with disk.explained(path):
            there = self._held(manifest)
            if there is None:
                self._place(step, contents)
            self.storage.fsync_dir(self.directory)
        return there or Checkpoint(path, manifest, {})

    def _held(self, manifest: Manifest) -> Checkpoint | None:
        """This very state, if it is saved already. A corrupt one is moved out of the way."""
        path = self.path(manifest.step)
        if self.storage.lstat(path) is None:
            return None
        try:
            there = self._verified(manifest.step, ())
        except RunError:
            self._remove_durably([path])
            return None
        if there.state_digest != manifest.state_digest:
            raise CheckpointError(
                f"'{path}' is already there and holds another state.",
                "Two trainings have met in one directory. Train in a new one, or remove the later steps first.",
            )
        return there

    def _place(self, step: int, contents: Mapping[str, bytes]) -> None:
        """Everything but the commit. On failure nothing is left behind, if the disk lets it be removed."""
        if not self.steps():
            disk.make_directories(self.directory, self.storage)
        scratch = self.directory / f"{disk.TEMPORARY}{step}-{token_hex(4)}"
        try:
            self.storage.mkdir(scratch)
            for name, content in contents.items():
                disk.write_file(scratch / name, content, self.storage, durable=True)
            self.storage.fsync_dir(scratch)
            self.storage.rename(scratch, self.path(step))
        except BaseException:
            with suppress(OSError):
                disk.remove(scratch, self.storage)
            raise

    # -- loading --

    def load(self, step: int | None = None, names: Collection[str] | None = None) -> Checkpoint:
        """Read and verify a checkpoint, by default the newest; the files of these ``names``, by default all, stay in memory.

        Raises:
            RunError: there is no such checkpoint.
            CheckpointError: it is corrupt, never a silent step back; the message names the newest one that is intact.
            StorageError: the disk refuses to say.
        """
        while True:
            steps = self.steps()
            if not steps:
                problem = f"There is no checkpoint in '{self.directory}'."
                raise RunError(problem, "The training did not get as far as its first save.")
            if step is not None and step not in steps:
                nearest = min(steps, key=lambda there: abs(there - step))
                problem = f"There is no checkpoint of step {step} in '{self.directory}'."
                raise RunError(problem, f"The nearest is step {nearest}.")
            chosen = steps[-1] if step is None else step
            try:
                return self._verified(chosen, names)
            except (RunError, StorageError) as error:
                if chosen not in self.steps():
                    continue  # it was pruned under our eyes, which happens to the newest only when there is a newer one
                if not isinstance(error, CheckpointError) or (names and self._intact(chosen)):
                    raise  # nothing is broken: it lacks a file that was asked for
                newest = self.newest_intact()
                remedy = f"No checkpoint in '{self.directory}' is intact: restore one from a backup, or train anew."
                if newest is not None:
                    way = shell(self.path(newest))
                    remedy = f"The newest intact one is step {newest}; take it with --checkpoint {way}"
                raise CheckpointError(error.problem, remedy) from error

    def load_best(self, names: Collection[str] | None = None) -> Checkpoint:
        """Read and verify the checkpoint that the newest one calls the best, else the newest; as :meth:`load` does."""
        while True:
            best = self.best()
            try:
                return self.load(best, names)
            except RunError:
                if best == self.best():
                    raise
                # A better one was saved, and this one removed.

    def best(self) -> int | None:
        """The step that the newest checkpoint calls the best (``facts["best"]["step"]``), if it is still there."""
        steps = self.steps()
        if not steps:
            return None
        try:
            facts = read_manifest(self.path(steps[-1]), self.storage).facts
        except GancliError:
            return None
        named = facts.get("best")
        step = named.get("step") if isinstance(named, dict) else None
        return step if step in steps else None

    def _verified(self, step: int, names: Collection[str] | None) -> Checkpoint:
        checkpoint = read_checkpoint(self.path(step), names, self.storage)
        if checkpoint.step != step:
            raise CheckpointError(f"'{checkpoint.path}' holds step {checkpoint.step}: it was renamed.")
        return checkpoint

    def _intact(self, step: int) -> bool:
        try:
            self._verified(step, ())
        except GancliError:
            return False
        return True

    # -- removing --

    def prune(self, keep: int, protect: Collection[int] = ()) -> list[int]:
        """Remove all but the newest ``keep`` committed steps and those in ``protect``. Returns the removed ones.

        One that somebody reads, where the system does not let it go meanwhile, is left to the next time.
        """
        if keep < 1:
            raise ValueError(f"keep={keep}: the newest checkpoint is never pruned.")
        victims = [step for step in self.steps()[:-keep] if step not in protect]
        try:
            self.discard(victims)
        except StorageError as error:
            if not is_in_use(error.__cause__):
                raise
            there = self.steps()
            return [step for step in victims if step not in there]
        return victims

    def discard(self, steps: Collection[int]) -> None:
        """Remove these steps; for instance the later ones, when a run is to go on from an earlier one."""
        if steps:
            with disk.explained(self.directory):
                self.storage.fsync_dir(self.directory)  # what stays may have been renamed by a process killed before its commit
                self._remove_durably([self.path(step) for step in steps])

    def clean(self) -> None:
        """Remove what a killed process left unfinished. For the holder of the run's lock only."""
        with disk.explained(self.directory):
            disk.remove_leftovers(self.directory, self.storage)

    def _remove_durably(self, paths: Collection[Path]) -> None:
        trash = {path: self.directory / f"{disk.TRASH}{path.name.removeprefix('step-')}-{token_hex(4)}" for path in paths}
        for path, grave in trash.items():
            self.storage.rename(path, grave)
        self.storage.fsync_dir(self.directory)
        for grave in trash.values():
            disk.remove(grave, self.storage)

    # -- looking --

    def _names(self) -> list[str]:
        try:
            return self.storage.listdir(self.directory)
        except FileNotFoundError:
            return []

    def _committed(self, name: str) -> int | None:
        """The step whose directory has this name, if it is a checkpoint's and has a manifest."""
        match = _STEP.fullmatch(name)
        if match is None or self.path(step := int(match[1])).name != name:
            return None
        try:
            return step if MANIFEST in self.storage.listdir(self.directory / name) else None
        except (FileNotFoundError, NotADirectoryError):
            return None
