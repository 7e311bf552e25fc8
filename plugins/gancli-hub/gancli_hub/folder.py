"""A folder that a model hub expects: weights, what they are, and a card for people. Nothing is uploaded.

===========================  ================================================================================
generator.safetensors        the weights, which gancli loads
generator.pt2                the same generator, which plain PyTorch loads, if gancli-onnx is installed and can trace it
index.html                   the same as a page, if gancli-page is installed: the folder is a static site as it is
config.json                  what the model is, and the settings of its training
samples.png                  images of the seeds 0 to 63
README.md                    the card: data, recipe, metrics if there are any, how to sample
===========================  ================================================================================

The card's words are in ``files/card.md``, in parts: what stands after ``== NAME`` is written only where there is such a thing.
"""

from __future__ import annotations

import json
import re
from functools import partial
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from gancli.checkpoint.provenance import SHARED
from gancli.errors import ExportError, PluginError, StorageError, UsageError
from gancli.exporting.formats import Exported, choose, trained_generator
from gancli.images import grid, to_bytes, to_png
from gancli.plugins.registry import EXPORTERS
from gancli.storage.disk import explained, refuse_missing_parent, replacing
from gancli.text import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from gancli.models.model import Model

_CARD, _CONFIG, _SAMPLES, _PT2, _PAGE = "README.md", "config.json", "samples.png", "generator.pt2", "index.html"
_OURS = frozenset((_CARD, _CONFIG, _SAMPLES, SHARED, _PT2, _PAGE))
# the settings that made the model; the others name this machine's files and devices
_SHARED_SETTINGS = ("arch.", "model.", "objective.", "train.")
_IMAGES = 64
_MAX_BYTES = 1 << 20
_COLOURS = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}


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
    with replacing(target) as scratch:
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
        training = {k: v for k, v in settings.items() if k.startswith(_SHARED_SETTINGS) and k != "model.parent"}
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


# -- the card: what a person has to know about a generator before using it. Markdown with YAML in front --


def card(
    metadata: Mapping[str, Any], *, training: Mapping[str, Any], evaluation: Mapping[str, Any], others: Collection[str]
) -> str:
    """The text of ``README.md``, from the metadata of a :class:`gancli.plugin.TrainedGenerator`.

    ``training`` are the settings of the run and ``evaluation`` is its ``evaluation.json``; both may be empty. ``others`` are
    the names of the other files in the folder.
    """
    arch, image, classes, dataset = (metadata[key] for key in ("arch", "image", "classes", "dataset"))
    parent = metadata.get("parent") or {}
    options = training or {f"arch.{key}": value for key, value in arch["options"].items()}
    metrics = {name: each for name, each in evaluation.get("figures", {}).items() if each.get("value") is not None}
    rows = []
    for name, metric in metrics.items():
        value, low, high = (metric.get(key) for key in ("value", "low", "high"))
        interval = "" if low is None or high is None else f" ({low:.4g} to {high:.4g})"
        rows.append((name, f"{value:.4g}{interval}, {int(metric['count']):,}"))
    maker = f"the file {arch['name']}"
    if arch["distribution"]:
        maker = f"{arch['name']} of {arch['distribution']} {arch['version']}"
    words = {
        **{key: image[key] for key in ("height", "width")},
        **{key: metadata[key] for key in ("latent_dim", "digest")},
        "run": _plain(metadata["run"]),
        "colours": _COLOURS[image["channels"]],
        "conditions": f" and a class ({', '.join(map(_plain, classes))})" if classes else "",
        "step": f"{metadata['step']:,}",
        "weights": "EMA" if metadata["weights"] == "ema" else "raw (not EMA)",
        "labels": f", torch.arange(64) % {len(classes)}" if classes else "",
        "dataset": _plain(dataset.get("name", "")),
        "licence": _plain(dataset.get("licence") or "not known to gancli; ask whoever collected the images"),
        "origin": _plain(maker),
        "settings": _table(("setting", "value"), [(key, json.dumps(value)) for key, value in sorted(options.items())]),
        "images": f"{evaluation.get('images', 0):,}",
        "against": _plain(f"the {evaluation.get('against')} split of {evaluation.get('dataset')}"),
        "metrics": _table(("metric", "value (95 % interval), N"), rows),
        **{f"parent_{key}": _plain(value) for key, value in parent.items()},
    }
    if parent:
        words |= {"parent_networks": ", ".join(map(_plain, parent["networks"])), "parent_step": f"{parent['step']:,}"}
    there = {"", *others, *(["parent"] if parent else []), *(["metrics"] if metrics else [])}
    template = (files("gancli_hub") / "files" / "card.md").read_text("utf-8")
    parts = re.split(r"^== *(.*)\n", f"==\n{template}", flags=re.MULTILINE)
    body = "".join(text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name in there)
    return f"{_front_matter(metadata, evaluation, metrics)}\n\n{Template(body).safe_substitute(words)}"


def _front_matter(metadata: Mapping[str, Any], evaluation: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """YAML, each value as JSON, which YAML contains; ``sdk: static`` makes a hub show the folder as a site."""
    task, dataset = "unconditional-image-generation", metadata["dataset"].get("name", "")
    fields: dict[str, Any] = {"library_name": "gancli", "pipeline_tag": task, "license": "unknown", "datasets": [dataset]}
    fields |= {"tags": ["gan", "image-generation", metadata["arch"]["name"]], "sdk": "static"}
    if metrics:
        measured, split = str(evaluation.get("dataset")), str(evaluation.get("against"))
        result = {
            "task": {"type": task},
            "dataset": {"name": measured, "type": measured, "split": split},
            "metrics": [{"type": name, "name": name, "value": float(each["value"])} for name, each in metrics.items()],
        }
        fields["model-index"] = [{"name": metadata["run"], "results": [result]}]
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in fields.items()), "---"])


def _table(titles: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [titles, ("---", "---"), *rows]
    return "\n".join(f"| {_plain(left)} | {_plain(right)} |" for left, right in lines)


def _plain(text: object) -> str:
    """Text of a run that stays text in Markdown: one line, no markup."""
    shown = visible(" ".join(str(text).split()))
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in shown)
