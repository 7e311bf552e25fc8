"""From all the places where a value can be set to one validated configuration, and where each value came from."""

from gancli.settings.resolving import (
    DEFAULT_IMAGES,
    Resolved,
    flatten,
    known_keys,
    load_arch,
    load_objective,
    plugin_options,
    refuse_other_choice,
    resolve,
    schema,
    validate_options,
)

__all__ = [
    "DEFAULT_IMAGES",
    "Resolved",
    "flatten",
    "known_keys",
    "load_arch",
    "load_objective",
    "plugin_options",
    "refuse_other_choice",
    "resolve",
    "schema",
    "validate_options",
]
