"""A folder that a model hub expects: weights, what they are, and a card for people. Nothing is uploaded.

===========================  ================================================================================
generator.safetensors        the weights, which gancli loads
generator.pt2                the same generator, which plain PyTorch loads, if it can be traced
config.json                  what the model is, and the settings of its training
samples.png                  what it draws from the seeds 0 to 63
README.md                    the card: data, recipe, metrics if there are any, how to draw
===========================  ================================================================================
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from gancli.checkpoint.provenance import SHARED
from gancli.errors import ExportError, StorageError
from gancli.export.card import card
from gancli.export.facts import facts_of
from gancli.export.formats import FORMATS, Options, verified
from gancli.images import grid, save_png, to_bytes
from gancli.storage.disk import DISK, TEMPORARY, TRASH, explained, refuse_missing_parent, remove, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.models.model import Model

__all__ = ["CARD", "CONFIG", "SAMPLES", "Folder", "write_folder"]

CARD, CONFIG, SAMPLES = "README.md", "config.json", "samples.png"
_SAFETENSORS, _PT2 = SHARED, "generator.pt2"
_OURS = frozenset((CARD, CONFIG, SAMPLES, _SAFETENSORS, _PT2))
_SHARED = ("arch.", "model.", "objective.", "train.")
"""The settings that made the model; the others name this machine's files and devices."""
_PICTURES = 64
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Folder:
    """What was written.

    Attributes:
        path: the folder.
        files: the names in it.
        differences: largest difference to the generator, in [-1, 1], of each file that draws.
        notes: sentences that the user should read.
    """

    path: Path
    files: tuple[str, ...]
    differences: dict[str, float]
    notes: tuple[str, ...]


def write_folder(model: Model, target: Path, arch: str | None = None, *, force: bool = False) -> Folder:
    """Write the whole folder, or nothing.

    Args:
        model: what is shared, on the CPU.
        target: the folder, which is not there yet.
        arch: ``FILE.py:CLASS``, where the architecture was a file.
        force: replace a folder that holds nothing but what this function writes.

    Raises:
        StorageError: it is there, or cannot be written.
        ExportError: the weights are not those of the generator when they are loaded again.
    """
    refuse_missing_parent(target)
    _refuse_other_contents(target, force=force)
    contents, differences, notes = _weights(model, arch)
    contents |= _description(model, traced=_PT2 in contents)
    _write_whole(target, contents)
    return Folder(target, tuple(sorted(contents)), differences, notes)


def _weights(model: Model, arch: str | None) -> tuple[dict[str, bytes], dict[str, float], tuple[str, ...]]:
    options = Options(arch=arch)
    checked = {_SAFETENSORS: verified(model, FORMATS[".safetensors"], options)}
    notes: tuple[str, ...] = ()
    try:
        checked[_PT2] = verified(model, FORMATS[".pt2"], options)
    except ExportError as error:
        notes = (f"There is no {_PT2}: {error.problem}",)
    return (
        {name: file.data for name, file in checked.items()},
        {name: file.difference for name, file in checked.items()},
        notes,
    )


def _description(model: Model, *, traced: bool) -> dict[str, bytes]:
    picture = BytesIO()
    save_png(grid(to_bytes(model.sample(_PICTURES))), picture)
    facts = facts_of(model)
    training = {key: value for key, value in model.origin.provenance.config.items() if key.startswith(_SHARED)}
    kind = {"model_type": "gan-generator", "library_name": "gancli"}
    config = {**kind, **facts.document(), "range": [-1, 1], "training": training}
    try:
        text = card(facts, training=training, evaluation=_evaluation(model), traced=traced)
    except (AttributeError, TypeError, ValueError):  # figures that `gancli evaluate` did not write
        text = card(facts, training=training, evaluation={}, traced=traced)
    return {CONFIG: (json.dumps(config, indent=2) + "\n").encode(), SAMPLES: picture.getvalue(), CARD: text.encode()}


def _evaluation(model: Model) -> dict[str, Any]:
    """What `gancli evaluate` found out about the very weights, if it was asked."""
    path = model.origin.checkpoint.absolute().parent.parent / "evaluation.json"
    try:
        with path.open("rb") as file:
            stored = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    facts = stored.get("facts") if isinstance(stored, dict) else None
    return stored if isinstance(facts, dict) and facts.get("digest") == model.origin.digest else {}


def _refuse_other_contents(target: Path, *, force: bool) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if not force:
        raise StorageError(f"'{target}' is already there.", "Choose another name, or replace it with --force.")
    with explained(target):
        others = sorted({path.name for path in target.iterdir()} - _OURS) if target.is_dir() else [target.name]
    if others:
        raise StorageError(f"'{target}' holds other things, such as '{others[0]}'.", "Choose another name for the folder.")


def _write_whole(target: Path, contents: dict[str, bytes]) -> None:
    """Beside the target, then in its place."""
    scratch = target.with_name(f"{TEMPORARY}{token_hex(8)}")
    with explained(target):
        try:
            DISK.mkdir(scratch)
            for name, data in contents.items():
                write_file(scratch / name, data, durable=True)
            DISK.fsync_dir(scratch)
            _put_in_place(scratch, target)
        finally:
            remove(scratch)  # what is left of it: nothing, what failed, or the old folder
        DISK.fsync_dir(target.parent)


def _put_in_place(scratch: Path, target: Path) -> None:
    """At every moment there is the old folder or the new one; where the system cannot swap them, at all moments but one."""
    if not target.exists():
        DISK.rename(scratch, target)
    elif not DISK.exchange(scratch, target):
        old = target.with_name(f"{TRASH}{token_hex(8)}")
        DISK.rename(target, old)
        try:
            DISK.rename(scratch, target)
        except BaseException:
            DISK.rename(old, target)
            raise
        remove(old)
