"""Hand-made mistakes in the save path, each of which the fault tests must notice: ``python tests/faults/mutants.py``.

Each mutant is a replacement of text in a copy of the package, never in the repository. The fast fault tests run against
the copy; a mutant that they let pass has survived, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).resolve().parents[3]
TESTS = [
    "tests/test_storage.py",
    "tests/checkpoint/test_store.py",
    "tests/checkpoint/test_lock.py",
    "tests/faults/test_concurrent_readers.py",
    "tests/faults/test_every_operation_fails.py",
    "tests/faults/test_power_cut.py",
    "tests/faults/test_damaged_checkpoints.py",
    "tests/faults/test_real_disks.py",
]
STORE, STORAGE, LOADING, MANIFEST, LOCK = (
    f"gancli/{name}.py"
    for name in ("checkpoint/store", "storage", "checkpoint/loading", "checkpoint/manifest", "checkpoint/lock")
)


@dataclass(frozen=True)
class Mutant:
    """What goes wrong, and the text that makes it so."""

    mistake: str
    file: str
    right: str
    wrong: str


MUTANTS = [
    Mutant(
        "members are not synced",
        STORE,
        "content, self.storage, durable=True)",
        "content, self.storage, durable=False)",
    ),
    Mutant(
        "the directory is not synced before the rename",
        STORE,
        "self.storage.fsync_dir(scratch)",
        "pass",
    ),
    Mutant(
        "success is reported before the parent is synced",
        STORE,
        "                self._place(step, contents)\n            self.storage.fsync_dir(self.directory)\n",
        "                self._place(step, contents)\n",
    ),
    Mutant(
        "the manifest is written first",
        STORE,
        "{**files, MANIFEST: manifest.encode()}",
        "{MANIFEST: manifest.encode(), **files}",
    ),
    Mutant(
        "files are written where they can be seen",
        STORE,
        'f"{TEMPORARY}{step}-{token_hex(4)}"',
        "self.path(step).name",
    ),
    Mutant(
        "a failed save leaves its files",
        STORE,
        "                remove(scratch, self.storage)\n",
        "                pass\n",
    ),
    Mutant(
        "a failing clean-up hides why saving failed",
        STORE,
        "            with suppress(OSError):\n                remove(scratch",
        "            if True:\n                remove(scratch",
    ),
    Mutant(
        "a failing hint fails the save",
        STORE,
        "            return error\n",
        "            raise\n",
    ),
    Mutant(
        "a step with another state counts as saved",
        STORE,
        "if there.state_digest != manifest.state_digest:",
        "if False:",
    ),
    Mutant(
        "a corrupt step counts as saved",
        STORE,
        "            self._remove_durably([path])\n            return False\n",
        "            return True\n",
    ),
    Mutant(
        "a file is removed before its new name is durable",
        STORE,
        "            self.storage.rename(path, grave)\n        self.storage.fsync_dir(self.directory)\n",
        "            self.storage.rename(path, grave)\n",
    ),
    Mutant(
        "steps are removed before the newest is durable",
        STORE,
        "self.storage.fsync_dir(self.directory)  #",
        "pass  #",
    ),
    Mutant(
        "steps are removed without being renamed first",
        STORE,
        "            self.storage.rename(path, grave)\n",
        "            remove(path, self.storage)\n",
    ),
    Mutant(
        "pruning counts what is not committed",
        STORE,
        "return step if MANIFEST in self.storage.listdir(self.directory / name) else None",
        "return step",
    ),
    Mutant(
        "pruning removes what is protected",
        STORE,
        " if step not in protect]",
        "]",
    ),
    Mutant(
        "the newest is found by name",
        STORE,
        "steps = sorted(step for",
        "steps = list(step for",
    ),
    Mutant(
        "a corrupt newest step is passed over in silence",
        STORE,
        "return steps[-1] if step is None else step",
        "return (self.newest_intact() or 0) if step is None else step",
    ),
    Mutant(
        "a reader gives up when the newest is pruned",
        STORE,
        "                if chosen in self.steps():\n                    raise\n",
        "                raise\n",
    ),
    Mutant(
        "an old listing is believed",
        STORE,
        "if steps or names == self._names():",
        "if True:",
    ),
    Mutant(
        "hashes are not compared",
        LOADING,
        "if sha256.hexdigest() != member.sha256:",
        "if False:",
    ),
    Mutant(
        "only what was asked for is hashed",
        LOADING,
        "            sha256.update(piece)\n            if keep:\n",
        "            if not keep:\n                return b''\n            sha256.update(piece)\n            if keep:\n",
    ),
    Mutant(
        "files that are not listed are accepted",
        LOADING,
        "if extra := sorted(set(present) - set(listed)):",
        "if extra := []:",
    ),
    Mutant(
        "anything is opened as a file",
        LOADING,
        "if not stat.S_ISREG(status.st_mode):",
        "if False:",
    ),
    Mutant(
        "the manifest has no seal",
        MANIFEST,
        "if seal(fields) != data:",
        "if False:",
    ),
    Mutant(
        "links are followed",
        STORAGE,
        "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
        "os.O_RDONLY | os.O_NONBLOCK",
    ),
    Mutant(
        "FIFOs are waited for",
        STORAGE,
        "os.O_NOFOLLOW | os.O_NONBLOCK |",
        "os.O_NOFOLLOW |",
    ),
    Mutant(
        "an existing file is written over",
        STORAGE,
        "os.O_CREAT | os.O_EXCL",
        "os.O_CREAT",
    ),
    Mutant(
        "a short write is taken for a whole one",
        STORAGE,
        "        while rest:\n            rest = rest[os.write(descriptor, rest) :]\n",
        "        os.write(descriptor, rest)\n",
    ),
    Mutant(
        "a failed sync is tried again",
        STORAGE,
        "            storage.fsync(descriptor)\n",
        (
            "            try:\n"
            "                storage.fsync(descriptor)\n"
            "            except OSError:\n"
            "                storage.fsync(descriptor)\n"
        ),
    ),
    Mutant(
        "a descriptor is lost when writing fails",
        STORAGE,
        "            storage.fsync(descriptor)\n    finally:\n        storage.close(descriptor)\n",
        "            storage.fsync(descriptor)\n    except KeyError:\n        pass\n    storage.close(descriptor)\n",
    ),
    Mutant(
        "an atomic write is none",
        STORAGE,
        'scratch = path.with_name(f"{TEMPORARY}{token_hex(8)}")',
        "scratch = path; path.unlink(missing_ok=True)",
    ),
    Mutant(
        "an atomic write leaves its temporary file",
        STORAGE,
        "                storage.unlink(scratch)\n",
        "                pass\n",
    ),
    Mutant(
        "new directories are not synced",
        STORAGE,
        "        storage.mkdir(path)\n        storage.fsync_dir(path.parent)\n",
        "        storage.mkdir(path)\n",
    ),
    Mutant(
        "removing follows links",
        STORAGE,
        "    if not stat.S_ISDIR(status.st_mode):",
        "    if not path.is_dir():",
    ),
    Mutant(
        "a forked child keeps the lock",
        LOCK,
        "os.register_at_fork(after_in_child=_release_in_child)",
        "",
    ),
    Mutant(
        "a forked child takes its parent's lock away",
        LOCK,
        "            os.close(self._descriptor)\n",
        "            fcntl.flock(self._descriptor, fcntl.LOCK_UN)\n            os.close(self._descriptor)\n",
    ),
]


def copy_repository(target: Path) -> None:
    """What the tests need of it."""
    ignored = shutil.ignore_patterns("__pycache__", "*.xz")
    for name in ("gancli", "tests"):
        shutil.copytree(REPOSITORY / name, target / name, ignore=ignored)
    shutil.copy(REPOSITORY / "pyproject.toml", target)


def run_tests(directory: Path) -> bool:
    """Whether all of them pass."""
    environment = {**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
    try:
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def survives(mutant: Mutant) -> bool:
    """Whether the tests pass in spite of it."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        copy_repository(directory)
        file = directory / mutant.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutant.right) != 1:
            sys.exit(f"{mutant.mistake}: its text occurs {text.count(mutant.right)} times in {mutant.file}, not once.")
        text = text.replace(mutant.right, mutant.wrong)
        compile(text, mutant.file, "exec")  # a mutant is wrong, not broken
        file.write_text(text, encoding="utf-8")
        return run_tests(directory)


def main() -> int:
    """Print a line for each mutant; 1 if one survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only the mutants whose mistake has all of these words")
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.mistake for word in parser.parse_args().words)]
    with TemporaryDirectory() as name:
        copy_repository(Path(name))
        if not run_tests(Path(name)):
            sys.exit("The tests fail without any mutant.")
    survivors = 0
    for mutant in chosen:
        survived = survives(mutant)
        survivors += survived
        print(f"{'SURVIVED' if survived else 'killed':8}  {mutant.mistake}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
