"""The options of a Pydantic model in words, read from its JSON Schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Option", "options"]

BOUNDS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
}

NAMES = {"null": "none", "string": "text", "boolean": "true | false"}


@dataclass(frozen=True, slots=True)
class Option:
    """One option: what it is called, what it may be, what it is by default, and what it means."""

    key: str
    type: str
    range: str
    default: str
    meaning: str


def options(schema: Mapping[str, Any], section: str = "") -> list[Option]:
    """One entry per property of a JSON Schema, the keys with ``section.`` in front.

    >>> slope = {"type": "number", "minimum": 0, "default": 0.2, "description": "of LeakyReLU"}
    >>> options({"properties": {"slope": slope}}, "arch")
    [Option(key='arch.slope', type='number', range='>= 0', default='0.2', meaning='of LeakyReLU')]
    """
    prefix = f"{section}." if section else ""
    return [_option(f"{prefix}{key}", value) for key, value in schema.get("properties", {}).items()]


def _option(key: str, schema: Mapping[str, Any]) -> Option:
    default = json.dumps(schema["default"]) if "default" in schema else ""
    return Option(key, _type(schema), _range(schema), default, str(schema.get("description", "")))


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        inner = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of {_type(inner)}"
    return {"null": "none", "string": "text", "boolean": "true | false"}.get(
        str(schema.get("type")), str(schema.get("type", "any"))
    )


def _range(schema: Mapping[str, Any]) -> str:
    own = [text.format(schema[key]) for key, text in BOUNDS.items() if key in schema]
    inner = schema.get("anyOf", [])
    each = _range(schema["items"]) if isinstance(schema.get("items"), dict) else ""
    return ", ".join([*own, *filter(None, map(_range, inner)), *([f"each {each}"] if each else [])])
