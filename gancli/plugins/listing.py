"""Installed plugins of every kind: what they are, whether they work, and what their options are."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from gancli.errors import GancliError, UsageError
from gancli.plugin import ImageSpec
from gancli.plugins.distributions import OWN, installed, read
from gancli.plugins.registry import ARCHITECTURES, COMMANDS, DATASETS, EXPORTERS, EXTRACTORS, LOGGERS, OBJECTIVES, OPTIMIZERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gancli.plugins.registry import Registry


KINDS: tuple[Registry[Any], ...] = (ARCHITECTURES, OBJECTIVES, OPTIMIZERS, DATASETS, LOGGERS, EXPORTERS, EXTRACTORS, COMMANDS)


def listing(registry: Registry[Any]) -> list[dict[str, Any]]:
    """Name, distribution, version and summary of each plugin; third parties' code is not imported."""
    rows = []
    for entry in registry.entries():
        summary = registry.load_entry(entry).summary if entry.distribution == OWN else entry.summary
        rows.append({"name": entry.name, "distribution": entry.distribution, "version": entry.version, "summary": summary})
    return rows


def architecture(name: str) -> dict[str, Any]:
    """All about one architecture: origin, summary, training defaults, and the JSON Schema of its options."""
    entry = ARCHITECTURES.find(name)
    plugin = ARCHITECTURES.load_entry(entry)
    return {
        **{key: getattr(entry, key) for key in ("name", "distribution", "version", "target")},
        "summary": plugin.summary,
        "defaults": dict(plugin.defaults),
        "schema": plugin.Config.model_json_schema(),
    }


def overview(*, verify: bool = False) -> list[dict[str, Any]]:
    """Every plugin of every kind, and every distribution whose metadata cannot be read.

    With ``verify`` third parties' plugins are imported too, to know their ``api`` and whether they work. The ``status`` is
    ``ok``, ``installed``, ``broken``, ``ambiguous``, ``off`` or ``damaged``, the ``problem`` None or a sentence.
    """
    keys = ("kind", "name", "distribution", "version", "api", "status", "problem")
    rows: list[tuple[Any, ...]] = []
    for registry in KINDS:
        usable = registry.entries()
        for entry in installed(registry.group):
            status, api, problem = "installed", None, None
            if entry not in usable:
                status, problem = "off", "Switched off by GANCLI_PLUGINS."
            elif verify or entry.distribution == OWN:
                try:
                    status, api = "ok", getattr(registry.load_entry(entry), "api", None)
                except GancliError as error:
                    status, problem = "broken", str(error)
            if status in {"ok", "installed"} and Counter(each.name for each in usable)[entry.name] > 1:
                status, problem = "ambiguous", f"Others have this name too: write {entry.qualified}."
            rows.append((registry.kind, entry.name, entry.distribution, entry.version, api, status, problem))
    damaged = read()[1].items()
    unreadable = [(None, None, p, None, None, "damaged", f"Its metadata cannot be read: {why}.") for p, why in damaged]
    return [dict(zip(keys, row, strict=True)) for row in (*rows, *unreadable)]


def parse_image(text: str) -> ImageSpec:
    """``CHANNELSxHEIGHTxWIDTH``.

    >>> parse_image("1x28x28")
    ImageSpec(channels=1, height=28, width=28, classes=0, source=None, paired=False)
    """
    match = re.fullmatch(r"([1-4])x([1-9]\d{0,3})x([1-9]\d{0,3})", text)
    if match is None:
        raise UsageError(f"'{text}' is not the shape of an image.", "Write CHANNELSxHEIGHTxWIDTH, for instance 1x28x28.")
    channels, height, width = map(int, match.groups())
    return ImageSpec(channels, height, width)


_BOUNDS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
}
_TYPES = {"null": "none", "string": "text", "boolean": "true | false"}


def options(schema: Mapping[str, Any], section: str) -> list[tuple[str, str, str, str, str]]:
    """Key, type, default, range and meaning of each property of a JSON Schema, the keys with ``section.`` in front.

    >>> slope = {"type": "number", "minimum": 0, "default": 0.2, "description": "of LeakyReLU"}
    >>> options({"properties": {"slope": slope}}, "arch")
    [('arch.slope', 'number', '0.2', '>= 0', 'of LeakyReLU')]
    """
    return [
        (f"{section}.{key}", _type(x), json.dumps(x["default"]) if "default" in x else "", _range(x), x.get("description", ""))
        for key, x in schema.get("properties", {}).items()
    ]


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items') or (schema.get('prefixItems') or [{}])[0])}"
    name = str(schema.get("type", "any"))
    return _TYPES.get(name, name)


def _range(schema: Mapping[str, Any]) -> str:
    own = [text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema]
    inner = schema.get("anyOf", [])
    each = _range(schema["items"]) if isinstance(schema.get("items"), dict) else ""
    return ", ".join([*own, *filter(None, map(_range, inner)), *([f"each {each}"] if each else [])])
