"""The model card: what a person has to know about a generator before using it. Markdown with YAML in front."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gancli.text import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_COLOURS = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}


def card(
    metadata: Mapping[str, Any], *, training: Mapping[str, Any], evaluation: Mapping[str, Any], files: Collection[str]
) -> str:
    """The text of ``README.md``, from the metadata of a :class:`gancli.plugin.TrainedGenerator`.

    ``training`` are the settings of the run and ``evaluation`` is its ``evaluation.json``; both may be empty. ``files`` are
    the names of the other files in the folder.
    """
    arch, image, classes, dataset = (metadata[key] for key in ("arch", "image", "classes", "dataset"))
    channels, metrics = image["channels"], _metrics(evaluation)
    conditions = f" and a class ({', '.join(map(_plain, classes))})" if classes else ""
    sections = [
        _front_matter(metadata, evaluation, metrics),
        f"# {_plain(metadata['run'])}",
        (
            f"A generator of images of {image['height']} x {image['width']} pixels in "
            f"{_COLOURS.get(channels, f'{channels} channels')}, from a latent of {metadata['latent_dim']} dimensions "
            f"drawn from N(0, I){conditions}. It was trained as a generative adversarial network for "
            f"{metadata['step']:,} steps by gancli; these are the "
            f"{'EMA' if metadata['weights'] == 'ema' else 'raw (not EMA)'} weights, SHA-256 `{metadata['digest']}`."
        ),
        "![Samples of the seeds 0 to 63](samples.png)",
        _HOW_TO_SAMPLE,
    ]
    if "generator.pt2" in files:
        labels = f", torch.arange(64) % {len(classes)}" if classes else ""
        sections.append(
            "With nothing but PyTorch:\n\n```python\nimport torch\n\n"
            'generator = torch.export.load("generator.pt2").module()\n'
            f"images = generator(torch.randn(64, {metadata['latent_dim']}){labels})  # (n, c, h, w) in [-1, 1]\n```"
        )
    if "index.html" in files:
        sections.append("In a browser, without any installation: open `index.html`.")
    licence = _plain(dataset.get("licence") or "not known to gancli; ask whoever collected the images")
    origin = (
        f"{arch['name']} of {arch['distribution']} {arch['version']}" if arch["distribution"] else f"the file {arch['name']}"
    )
    options = training or {f"arch.{key}": value for key, value in arch["options"].items()}
    if parent := metadata.get("parent"):
        sections.append(
            f"## Fine-tuned\n\nThe training started from the weights ({', '.join(map(_plain, parent['networks']))}) of "
            f"{_plain(parent['run'])}, step {parent['step']:,}, SHA-256 `{parent['digest']}`, which had been trained on "
            f"{_plain(parent['dataset'])}."
        )
    sections += [
        f"## Data\n\nTrained on {_plain(dataset.get('name', ''))}. Licence of the data: {licence}.",
        "What licence the weights have is for the person who shares them to say: set `license` above.",
        f"## Recipe\n\nArchitecture: {_plain(origin)}.",
        _table(("setting", "value"), [(key, json.dumps(value)) for key, value in sorted(options.items())]),
    ]
    if metrics:
        against = _plain(f"the {evaluation.get('against')} split of {evaluation.get('dataset')}")
        rows = [(name, f"{value:.4g}{interval}, {count:,}") for name, value, interval, count in metrics]
        sections += [
            f"## Metrics\n\nOf {evaluation.get('images'):,} images, against {against}, by `gancli evaluate`.",
            _table(("metric", "value (95 % interval), N"), rows),
        ]
    return "\n\n".join(sections) + "\n"


_HOW_TO_SAMPLE = """## How to sample

With gancli, on the command line; the same seed gives the same image:

    gancli sample --checkpoint generator.safetensors -n 64 -o grid.png

With gancli, in Python:

```python
import gancli

model = gancli.load(checkpoint="generator.safetensors")
images = model.sample(64, seed=0)  # (n, c, h, w) in [-1, 1]
```"""


def _front_matter(
    metadata: Mapping[str, Any], evaluation: Mapping[str, Any], metrics: list[tuple[str, float, str, int]]
) -> str:
    """YAML, each value as JSON, which YAML contains; ``sdk: static`` makes a hub show the folder as a site."""
    task, dataset = "unconditional-image-generation", metadata["dataset"].get("name", "")
    fields: dict[str, Any] = {
        "library_name": "gancli",
        "pipeline_tag": task,
        "license": "unknown",
        "datasets": [dataset],
        "tags": ["gan", "image-generation", metadata["arch"]["name"]],
        "sdk": "static",
    }
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
