"""Installed plugins of every kind: what they are, whether they work, and which kind a name or file is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gancli.errors import GancliError, PluginError, UsageError, did_you_mean
from gancli.plugins.distributions import read
from gancli.plugins.options import options
from gancli.plugins.registry import (
    ARCHITECTURES,
    DATASETS,
    EXPORTERS,
    EXTRACTORS,
    LOGGERS,
    OBJECTIVES,
    OPTIMIZERS,
    OWN,
    imported,
    is_file,
)

if TYPE_CHECKING:
    from gancli.plugins.registry import Entry, Registry

__all__ = ["architecture", "health", "kind_of", "listing", "option_rows", "overview", "provider"]

KINDS: tuple[Registry[Any], ...] = (ARCHITECTURES, OBJECTIVES, OPTIMIZERS, DATASETS, LOGGERS, EXPORTERS, EXTRACTORS)


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


def overview(*, verify: bool = False) -> list[dict[str, Any]]:
    """Every plugin of every kind, and every distribution whose metadata cannot be read.

    Args:
        verify: import third parties' plugins too, to know their ``api`` and whether they work.

    Returns:
        ``kind``, ``name``, ``distribution``, ``version``, ``api`` (None as long as it is not known), ``status`` (``ok``,
        ``installed``, ``broken``, ``ambiguous``, ``off`` or ``damaged``) and ``problem`` (None, or a sentence).
    """
    found = [_reviewed(registry, entry, verify=verify) for registry in KINDS for entry in registry.installed()]
    unreadable = [
        dict.fromkeys(("kind", "name", "distribution", "version", "api"))
        | {"distribution": each.place, "status": "damaged", "problem": f"Its metadata cannot be read: {each.reason}."}
        for each in read()[1]
    ]
    return found + unreadable


def _reviewed(registry: Registry[Any], entry: Entry, *, verify: bool) -> dict[str, Any]:
    status, api, problem = "installed", None, None
    allowed = registry.entries()
    if entry not in allowed:
        status, problem = "off", "Switched off by GANCLI_PLUGINS."
    elif verify or entry.distribution == OWN:
        try:
            status, api = "ok", registry.load_entry(entry).api
        except GancliError as error:
            status, problem = "broken", str(error)
    if status in {"ok", "installed"} and Counter(each.name for each in allowed)[entry.name] > 1:
        status, problem = "ambiguous", f"Others have this name too: write {entry.qualified}."
    return {
        "kind": registry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "api": api,
        "status": status,
        "problem": problem,
    }


def kind_of(name: str, kind: str | None = None) -> Registry[Any]:
    """The kind of plugin that ``name`` is.

    Args:
        name: of an entry point, ``dist/name``, or ``FILE.py:CLASS``, whose base class says the kind.
        kind: as the user typed it; needed when plugins of several kinds have the name.

    Raises:
        PluginError: there is none, or the file cannot be imported.
        UsageError: there is no such kind, or the name is ambiguous.
    """
    kinds = {registry.kind.replace(" ", ""): registry for registry in KINDS}
    if kind is not None and kind not in kinds:
        raise UsageError(f"There is no kind of plugin '{kind}'.", did_you_mean(kind, kinds))
    if is_file(name):
        if kind is not None:
            return kinds[kind]
        plugin = imported(name)
        found = next((registry for registry in KINDS if registry.is_kind_of(plugin)), None)
        if found is None:
            bases = ", ".join(registry.base_name for registry in KINDS)
            raise PluginError(f"'{name}' is not a plugin.", f"Derive the class from one of gancli.plugin's: {bases}.")
        return found
    wanted = {text: registry for text, registry in kinds.items() if kind in {None, text}}
    having = {
        text: registry
        for text, registry in wanted.items()
        if any(name.lower() in {entry.name.lower(), entry.qualified.lower()} for entry in registry.entries())
    }
    if not having:
        known = {each for registry in wanted.values() for each in registry.names()}
        raise PluginError(
            f"There is no {f'{wanted[kind].kind} ' if kind else 'plugin '}'{name}'.",
            f"{did_you_mean(name, known)} See `gancli plugin list`; for a file write FILE.py:CLASS.",
        )
    if len(having) > 1:
        listed = " or ".join(f"--kind {text}" for text in having)
        raise UsageError(f"'{name}' is the name of plugins of {len(having)} kinds.", f"Add {listed}.")
    return next(iter(having.values()))


def _error(registry: Registry[Any], entry: Entry) -> str | None:
    try:
        registry.load_entry(entry)
    except GancliError as error:
        return str(error)
    return None
