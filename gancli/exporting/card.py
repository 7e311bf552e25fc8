"""The model card: what a person has to know about a generator before using it. Markdown with YAML in front.

Its words are in ``files/card.md``, in parts: what stands after ``== NAME`` is written only where there is such a thing.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from gancli.text import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_COLOURS = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}


def card(
    metadata: Mapping[str, Any], *, training: Mapping[str, Any], evaluation: Mapping[str, Any], others: Collection[str]
) -> str:
    """The text of ``README.md``, from the metadata of a :class:`gancli.plugin.TrainedGenerator`.

    ``training`` are the settings of the run and ``evaluation`` is its ``evaluation.json``; both may be empty. ``others`` are
    the names of the other files in the folder.
    """
    arch, image, classes, dataset = (metadata[key] for key in ("arch", "image", "classes", "dataset"))
    parent, metrics = metadata.get("parent") or {}, _metrics(evaluation)
    options = training or {f"arch.{key}": value for key, value in arch["options"].items()}
    rows = [(name, f"{value:.4g}{interval}, {count:,}") for name, value, interval, count in metrics]
    maker = (
        f"{arch['name']} of {arch['distribution']} {arch['version']}" if arch["distribution"] else f"the file {arch['name']}"
    )
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
    template = (files("gancli.exporting") / "files" / "card.md").read_text("utf-8")
    parts = re.split(r"^== *(.*)\n", f"==\n{template}", flags=re.MULTILINE)
    body = "".join(text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name in there)
    return f"{_front_matter(metadata, evaluation, metrics)}\n\n{Template(body).safe_substitute(words)}"


def _front_matter(
    metadata: Mapping[str, Any], evaluation: Mapping[str, Any], metrics: list[tuple[str, float, str, int]]
) -> str:
    """YAML, each value as JSON, which YAML contains; ``sdk: static`` makes a hub show the folder as a site."""
    task, dataset = "unconditional-image-generation", metadata["dataset"].get("name", "")
    fields: dict[str, Any] = {"library_name": "gancli", "pipeline_tag": task, "license": "unknown", "datasets": [dataset]}
    fields |= {"tags": ["gan", "image-generation", metadata["arch"]["name"]], "sdk": "static"}
    if metrics:
        measured = {"name": str(evaluation.get("dataset")), "type": str(evaluation.get("dataset"))}
        result = {
            "task": {"type": task},
            "dataset": measured | {"split": str(evaluation.get("against"))},
            "metrics": [{"type": name, "name": name, "value": value} for name, value, *_ in metrics],
        }
        fields["model-index"] = [{"name": metadata["run"], "results": [result]}]
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in fields.items()), "---"])


def _metrics(evaluation: Mapping[str, Any]) -> list[tuple[str, float, str, int]]:
    """Name, value, interval in words and number of images of each metric of an ``evaluation.json``."""
    rows = []
    for name, metric in evaluation.get("figures", {}).items():
        value, low, high = (metric.get(key) for key in ("value", "low", "high"))
        if value is not None:
            interval = "" if low is None or high is None else f" ({low:.4g} to {high:.4g})"
            rows.append((name, float(value), interval, int(metric["count"])))
    return rows


def _table(titles: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [titles, ("---", "---"), *rows]
    return "\n".join(f"| {_plain(left)} | {_plain(right)} |" for left, right in lines)


def _plain(text: object) -> str:
    """Text of a run that stays text in Markdown: one line, no markup."""
    shown = visible(" ".join(str(text).split()))
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in shown)
