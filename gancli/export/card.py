"""The model card: what a person has to know about a generator before using it. Markdown with YAML in front."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["card"]


def card(facts: Mapping[str, Any], *, training: Mapping[str, Any], evaluation: Mapping[str, Any], traced: bool) -> str:
    """The text of ``README.md``.

    Args:
        facts: of :func:`gancli.export.facts.facts_of`.
        training: the settings of the run, by key; may be empty.
        evaluation: what was measured; may be empty.
        traced: whether there is a ``generator.pt2``.
    """
    sections = [
        _front_matter(facts),
        f"# {_plain(facts['run'])}\n\n{_what_it_is(facts)}\n\n![What it draws from the seeds 0 to 63](samples.png)",
        _how_to_draw(facts, traced=traced),
        _data(facts),
        _recipe(facts, training),
    ]
    if metrics := [(name, value) for name, value in _numbers(evaluation)]:
        sections.append("## Metrics\n\n" + _table(("metric", "value"), metrics))
    return "\n\n".join(sections) + "\n"


def _front_matter(facts: Mapping[str, Any]) -> str:
    """YAML, each value of which is written as JSON, which YAML contains."""
    fields = {
        "library_name": "gancli",
        "pipeline_tag": "unconditional-image-generation",
        "license": "unknown",
        "datasets": [facts["dataset"].get("name", "")],
        "tags": ["gan", "image-generation", facts["arch"]["name"]],
    }
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in fields.items()), "---"])


def _what_it_is(facts: Mapping[str, Any]) -> str:
    image, classes = facts["image"], facts["classes"]
    conditions = f" and a class ({', '.join(map(_plain, classes))})" if classes else ""
    kind = "averaged (EMA)" if facts["weights"] == "ema" else "trained (not averaged)"
    return (
        f"A generator of pictures of {image['height']} x {image['width']} pixels in {_channels(image['channels'])}, from a "
        f"latent of {facts['latent_dim']} dimensions drawn from N(0, I){conditions}. It was trained as a generative "
        f"adversarial network for {facts['step']:,} steps by gancli; these are the {kind} weights, SHA-256 "
        f"`{facts['digest']}`."
    )


def _channels(count: int) -> str:
    return {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}.get(count, f"{count} channels")


def _how_to_draw(facts: Mapping[str, Any], *, traced: bool) -> str:
    classes = len(facts["classes"])
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
            f"images = generator(torch.randn(64, {facts['latent_dim']}){labels})  # (n, c, h, w) in [-1, 1]\n```"
        )
    return text


def _data(facts: Mapping[str, Any]) -> str:
    dataset = facts["dataset"]
    licence = _plain(dataset.get("licence") or "not known to gancli; ask whoever collected the pictures")
    return (
        f"## Data\n\nTrained on {_plain(dataset.get('name', ''))}. Licence of the data: {licence}.\n\n"
        "What licence the weights have is for the person who shares them to say: set `license` above."
    )


def _recipe(facts: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    arch = facts["arch"]
    made = f"{arch['name']} of {arch['distribution']} {arch['version']}" if arch["distribution"] else f"the file {arch['name']}"
    options = training or {f"arch.{key}": value for key, value in arch["options"].items()}
    rows = [(key, json.dumps(value)) for key, value in sorted(options.items())]
    return f"## Recipe\n\nArchitecture: {_plain(made)}.\n\n" + _table(("setting", "value"), rows)


def _numbers(measured: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every number of a document by its path."""
    for key, value in measured.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", f"{value:.4g}" if isinstance(value, float) else f"{value:,}"


def _table(titles: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [titles, ("---", "---"), *rows]
    return "\n".join(f"| {_plain(left)} | {_plain(right)} |" for left, right in lines)


def _plain(text: object) -> str:
    """Text of a run that stays text in Markdown: one line, no markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in " ".join(str(text).split()))
