"""The model card: what a person has to know about a generator before using it. Markdown with YAML in front."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gancli.data.paths import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gancli.checkpoint.provenance import Provenance

__all__ = ["card"]


def card(facts: Provenance, *, training: Mapping[str, Any], evaluation: Mapping[str, Any], traced: bool) -> str:
    """The text of ``README.md``.

    Args:
        facts: of :func:`gancli.export.facts.facts_of`.
        training: the settings of the run, by key; may be empty.
        evaluation: the ``evaluation.json`` of the run; may be empty.
        traced: whether there is a ``generator.pt2``.
    """
    sections = [
        _front_matter(facts),
        f"# {_plain(facts.run)}\n\n{_what_it_is(facts)}\n\n![What it draws from the seeds 0 to 63](samples.png)",
        _how_to_draw(facts, traced=traced),
        _data(facts),
        _recipe(facts, training),
    ]
    if rows := _figures(evaluation):
        against = f"the {evaluation.get('against')} split of {evaluation.get('dataset')}"
        sections.append(
            f"## Metrics\n\nOf {evaluation.get('images'):,} pictures, against {_plain(against)}, by `gancli evaluate`."
        )
        sections[-1] += "\n\n" + _table(("metric", "value (95 % interval), N"), rows)
    return "\n\n".join(sections) + "\n"


def _front_matter(facts: Provenance) -> str:
    """YAML, each value of which is written as JSON, which YAML contains."""
    fields = {
        "library_name": "gancli",
        "pipeline_tag": "unconditional-image-generation",
        "license": "unknown",
        "datasets": [facts.dataset.name],
        "tags": ["gan", "image-generation", facts.arch.name],
    }
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in fields.items()), "---"])


def _what_it_is(facts: Provenance) -> str:
    image, classes = facts.image, facts.classes
    conditions = f" and a class ({', '.join(map(_plain, classes))})" if classes else ""
    kind = "averaged (EMA)" if facts.weights == "ema" else "trained (not averaged)"
    return (
        f"A generator of pictures of {image.height} x {image.width} pixels in {_channels(image.channels)}, from a "
        f"latent of {facts.latent_dim} dimensions drawn from N(0, I){conditions}. It was trained as a generative "
        f"adversarial network for {facts.step:,} steps by gancli; these are the {kind} weights, SHA-256 "
        f"`{facts.digest}`."
    )


def _channels(count: int) -> str:
    return {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}.get(count, f"{count} channels")


def _how_to_draw(facts: Provenance, *, traced: bool) -> str:
    classes = len(facts.classes)
    text = (
        "## How to draw\n\nWith gancli, on the command line; the same seed gives the same picture:\n\n"
        "    gancli sample --checkpoint generator.safetensors -n 64 -o grid.png\n\n"
        "With gancli, in Python:\n\n```python\nimport gancli\n\n"
        'model = gancli.load(checkpoint="generator.safetensors")\n'
        "images = model.sample(64, seed=0)  # (n, c, h, w) in [-1, 1]\n```"
    )
    if traced:
        labels = f", torch.arange(64) % {classes}" if classes else ""
        text += (
            "\n\nWith nothing but PyTorch:\n\n```python\nimport torch\n\n"
            'generator = torch.export.load("generator.pt2").module()\n'
            f"images = generator(torch.randn(64, {facts.latent_dim}){labels})  # (n, c, h, w) in [-1, 1]\n```"
        )
    return text


def _data(facts: Provenance) -> str:
    dataset = facts.dataset
    licence = _plain(dataset.licence or "not known to gancli; ask whoever collected the pictures")
    return (
        f"## Data\n\nTrained on {_plain(dataset.name)}. Licence of the data: {licence}.\n\n"
        "What licence the weights have is for the person who shares them to say: set `license` above."
    )


def _recipe(facts: Provenance, training: Mapping[str, Any]) -> str:
    arch = facts.arch
    made = f"{arch.name} of {arch.distribution} {arch.version}" if arch.distribution else f"the file {arch.name}"
    options = training or {f"arch.{key}": value for key, value in arch.options.items()}
    rows = [(key, json.dumps(value)) for key, value in sorted(options.items())]
    return f"## Recipe\n\nArchitecture: {_plain(made)}.\n\n" + _table(("setting", "value"), rows)


def _figures(evaluation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of each figure of an ``evaluation.json``."""
    rows = []
    for name, figure in evaluation.get("figures", {}).items():
        value, low, high = (figure.get(key) for key in ("value", "low", "high"))
        if value is not None:
            interval = "" if low is None or high is None else f" ({low:.4g} to {high:.4g})"
            rows.append((name, f"{value:.4g}{interval}, {figure.get('count'):,}"))
    return rows


def _table(titles: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [titles, ("---", "---"), *rows]
    return "\n".join(f"| {_plain(left)} | {_plain(right)} |" for left, right in lines)


def _plain(text: object) -> str:
    """Text of a run that stays text in Markdown: one line, no markup."""
    shown = visible(" ".join(str(text).split()))
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in shown)
