"""A folder that a model hub expects: weights, what they are, and a card for people. Nothing is uploaded.

===========================  ================================================================================
generator.safetensors        the weights, which gancli loads
generator.pt2                the same generator, which plain PyTorch loads, if gancli-onnx is installed and can trace it
index.html                   the same as a page, if gancli-page is installed: the folder is a static site as it is
config.json                  what the model is, and the settings of its training
samples.png                  images of the seeds 0 to 63
README.md                    the card: data, recipe, metrics if there are any, how to sample
===========================  ================================================================================
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from gancli.checkpoint.provenance import SHARED
from gancli.errors import ExportError, PluginError, StorageError, UsageError
from gancli.exporting.card import card
from gancli.exporting.formats import Exported, choose, put_in_place, trained_generator
from gancli.images import grid, to_bytes, to_png
from gancli.plugins.registry import EXPORTERS
from gancli.storage.disk import explained, refuse_missing_parent

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.models.model import Model

_CARD, _CONFIG, _SAMPLES, _PT2, _PAGE = "README.md", "config.json", "samples.png", "generator.pt2", "index.html"
_OURS = frozenset((_CARD, _CONFIG, _SAMPLES, SHARED, _PT2, _PAGE))
# the settings that made the model; the others name this machine's files and devices
_SHARED_SETTINGS = ("arch.", "model.", "objective.", "train.")
_IMAGES = 64
_MAX_BYTES = 1 << 20


def write_folder(model: Model, target: Path, arch_file: str | None = None, *, force: bool = False) -> Exported:
    """Write the whole folder, or nothing; with ``force`` in the place of one that holds nothing but what this writes.

    Raises:
        StorageError: it is there, or cannot be written.
        ExportError: the weights are not those of the generator when they are loaded again.
    """
    if model.image.source:
        raise UsageError(
            f"'{target}' would be a folder with samples of seeds, and this model translates images.",
            "Give a file: -o FILE.html, .safetensors, .onnx or .pt2.",
        )
    refuse_missing_parent(target)
    with explained(target):
        if target.exists() or target.is_symlink():
            if not force:
                raise StorageError(f"'{target}' is already there.", "Choose another name, or replace it with --force.")
            others = sorted({path.name for path in target.iterdir()} - _OURS) if target.is_dir() else [target.name]
            if others:
                raise StorageError(f"'{target}' holds other things, such as '{others[0]}'.", "Choose another name.")
    generator, notes = trained_generator(model, arch_file), []
    with put_in_place(target) as scratch:
        scratch.mkdir()
        differences, allowed = [], 0.0
        for name in (SHARED, _PT2, _PAGE):
            if name.rpartition(".")[2] not in EXPORTERS.names():
                continue
            try:
                form = choose(scratch / name)
                differences.append(form.write(generator, scratch / name))
                allowed = max(allowed, form.tolerance)
            except (ExportError, PluginError) as error:
                if name == SHARED:
                    raise
                (scratch / name).unlink(missing_ok=True)
                notes.append(f"There is no {name}: {error.problem}")
        metadata, settings = generator.metadata, model.origin.provenance.config
        training = {key: value for key, value in settings.items() if key.startswith(_SHARED_SETTINGS)}
        config = {"model_type": "gan-generator", "library_name": "gancli", **metadata, "range": [-1, 1], "training": training}
        (scratch / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (scratch / _SAMPLES).write_bytes(to_png(grid(to_bytes(model.sample(_IMAGES)))))
        describe = partial(card, metadata, training=training, others={path.name for path in scratch.iterdir()})
        try:
            text = describe(evaluation=_evaluation(model))
        except (AttributeError, TypeError, ValueError):  # metrics that `gancli evaluate` did not write
            text = describe(evaluation={})
        (scratch / _CARD).write_text(text, encoding="utf-8")
        sizes = {path.name: path.stat().st_size for path in scratch.iterdir()}
    return Exported(target, sum(sizes.values()), max(differences), allowed, tuple(notes), tuple(sorted(sizes)))


def _evaluation(model: Model) -> dict[str, Any]:
    """The ``evaluation.json`` of the run, if it is about the very weights."""
    path = model.origin.checkpoint.absolute().parent.parent / "evaluation.json"
    try:
        with path.open("rb") as file:
            stored = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    facts = stored.get("facts") if isinstance(stored, dict) else None
    return stored if isinstance(facts, dict) and facts.get("digest") == model.origin.digest else {}
