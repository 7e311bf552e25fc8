"""Installed plugins: architectures, objectives and data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gancli.describe.options import options
from gancli.errors import GancliError
from gancli.registry import ARCHITECTURES, DATASETS, OBJECTIVES, OWN

if TYPE_CHECKING:
    from gancli.registry import Entry, Registry

__all__ = ["architecture", "health", "listing", "option_rows", "provider"]

KINDS: tuple[Registry[Any], ...] = (ARCHITECTURES, OBJECTIVES, DATASETS)


def listing(registry: Registry[Any]) -> list[dict[str, Any]]:
    """Name, distribution, version and summary of each plugin.

    Third parties' code is not imported: their distribution's own summary stands for them.
    """
    return [_described(registry, entry) for entry in registry.entries()]


def _described(registry: Registry[Any], entry: Entry) -> dict[str, Any]:
    summary = registry.load_entry(entry).summary if entry.distribution == OWN else entry.summary
    return {"name": entry.name, "distribution": entry.distribution, "version": entry.version, "summary": summary}


def architecture(name: str) -> dict[str, Any]:
    """All about one architecture: origin, summary, training defaults, and the JSON Schema of its options.

    Raises:
        PluginError: it cannot be found or loaded.
    """
    entry = ARCHITECTURES.find(name)
    plugin = ARCHITECTURES.load_entry(entry)
    return {
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "target": entry.target,
        "summary": plugin.summary,
        "defaults": dict(plugin.defaults),
        "schema": plugin.Config.model_json_schema(),
    }


def provider(described: dict[str, Any]) -> str:
    """``gancli 0.1.0``, or the file."""
    return f"{described['distribution']} {described['version']}" if described["distribution"] else described["target"]


def option_rows(described: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """The options of :func:`architecture` as rows of key, type, default, range and meaning."""
    return [(o.key, o.type, o.default, o.range, o.meaning) for o in options(described["schema"], "arch")]


def health() -> list[dict[str, Any]]:
    """Every plugin of every kind, loaded to see whether it can be: ``error`` is None or says why not."""
    return [
        {
            "kind": registry.kind,
            "name": entry.name,
            "distribution": entry.distribution,
            "version": entry.version,
            "error": _error(registry, entry),
        }
        for registry in KINDS
        for entry in registry.entries()
    ]


def _error(registry: Registry[Any], entry: Entry) -> str | None:
    try:
        registry.load_entry(entry)
    except GancliError as error:
        return str(error)
    return None
