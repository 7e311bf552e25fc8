"""From all the places where a value can be set to one validated configuration, and where each value came from.

    core default < data set < architecture < objective < GANCLI_* < -c file < -s key=value < command-line flag

Every layer is a flat mapping of dotted keys (``train.seed``). Plugins' layers hold what they prefer; whatever the user sets
wins, also over a preference that only fits another choice: an architecture's wishes for one objective are dropped when
another is chosen. Setting one of the three lengths (epochs, images, minutes) drops the others from the layers below.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from gancli.config import LENGTHS, RunConfig
from gancli.errors import ConfigError, did_you_mean
from gancli.registry import ARCHITECTURES, OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = [
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

_ENVIRONMENT_PREFIX = "GANCLI_"
_MAX_CONFIG_BYTES = 1 << 20

DEFAULT_IMAGES = 1_000_000
"""Length of a run when neither the user nor a plugin says anything: in images, so that a small data set is not given up after
a few steps."""

_FLAGS = {"arch.name": "arch"}
"""Flags that are not named like the last part of their key."""

Flat = dict[str, Any]
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A configuration and the origin of each of its values.

    Attributes:
        config: validated and complete: the plugins' options are all spelled out.
        origins: dotted key -> ``default``, ``data set mnist``, ``architecture dense``, ``GANCLI_TRAIN__SEED``, the name of a
            file, ``-s``, or ``--epochs``.
    """

    config: RunConfig
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Layer:
    """Values by dotted key, and for each the name of its origin."""

    values: Flat
    origins: dict[str, str]

    @classmethod
    def of(cls, values: Flat, origin: str) -> _Layer:
        return cls(values, dict.fromkeys(values, origin))


def resolve(
    *,
    files: Sequence[Path] = (),
    assignments: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Resolved:
    """Merge and validate.

    Args:
        files: TOML or JSON files (``-c``), later ones winning.
        assignments: ``section.key=value`` (``-s``), the value parsed as JSON, else taken as text.
        flags: dotted keys that were given as flags of their own; the flag is named in messages, such as ``--batch-size``.
        environment: defaults to the process's; ``GANCLI_SECTION__KEY`` sets ``section.key``.

    Raises:
        ConfigError: a key is unknown or a value is not allowed.
        PluginError: the architecture, objective or data set cannot be found or loaded.
    """
    user = [
        _from_environment(os.environ if environment is None else environment),
        *(_from_file(path) for path in files),
        _from_assignments(assignments),
        _from_flags(flags or {}),
    ]
    preferences = _plugin_layers(user)
    merged = _merge([_Layer.of(_core_defaults(), "default"), *preferences, *user])
    _refuse_unknown_keys(merged)
    config = _validate(merged)
    return Resolved(config, {key: merged.origins.get(key, "default") for key in flatten(config)})


def load_arch(config: RunConfig) -> tuple[Any, Any]:
    """The chosen architecture (an instance) and its validated options."""
    plugin = ARCHITECTURES.load(config.arch.name)
    return plugin(), validate_options("arch", plugin.Config, config.arch.options)


def load_objective(config: RunConfig) -> Any:  # noqa: ANN401  (an Objective; its class is the plugin's)
    """The chosen objective, with its options."""
    return validate_options("objective", OBJECTIVES.load(config.objective.name), config.objective.options)


def refuse_other_choice(
    stored: Mapping[str, object], *, files: Sequence[Path], assignments: Sequence[str], flags: Mapping[str, object]
) -> None:
    """Refuse another architecture or objective for a stored run, whose options would make no sense with it.

    Raises:
        ConfigError: another one is asked for.
    """
    layers = [*(_from_file(path) for path in files), _from_assignments(assignments), _from_flags(flags)]
    for key in ("arch.name", "objective.name"):
        asked = _chosen(layers, key, stored[key])
        if asked != stored[key]:
            raise ConfigError(
                f"That would be another training ({key}: stored {_shown(stored[key])}, asked {_shown(asked)}).",
                "Leave it as it is, or start a new run.",
            )


def flatten(config: RunConfig) -> Flat:
    """``{"train.seed": 0, ...}`` in JSON types, in the order of the sections."""
    return _dotted(config.model_dump(mode="json"))


def known_keys(arch: str = "dense", objective: str = "non-saturating") -> list[str]:
    """Every dotted key that may be set, sorted, with the options of these two plugins."""
    own = [f"arch.{key}" for key in ARCHITECTURES.load(arch).Config.model_fields]
    own += [f"objective.{key}" for key in OBJECTIVES.load(objective).model_fields]
    return sorted({*_core_defaults(), *own})


def schema(arch: str = "dense", objective: str = "non-saturating") -> dict[str, Any]:
    """JSON Schema of a configuration file, with the options of these two plugins, for editors and validators."""
    document = RunConfig.model_json_schema()
    definitions = document["$defs"]
    for section, plugin in (("ArchChoice", ARCHITECTURES.load(arch).Config), ("ObjectiveChoice", OBJECTIVES.load(objective))):
        own = plugin.model_json_schema()
        definitions.update(own.get("$defs", {}))
        definitions[section]["properties"].update(own["properties"])
        definitions[section]["additionalProperties"] = False
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["title"] = f"gancli configuration ({arch}, {objective})"
    return document


def validate_options(section: str, model: type[ModelT], options: Mapping[str, Any]) -> ModelT:
    """A plugin's options, checked by its own model.

    Raises:
        ConfigError: a key is unknown or a value is not allowed.
    """
    return _checked(section, model, options, {})


def plugin_options(assignments: Sequence[str]) -> dict[str, Any]:
    """A plugin's own options out of ``section.key=value``, by key.

    >>> plugin_options(["arch.width=8", "arch.norm=batch"])
    {'width': 8, 'norm': 'batch'}

    Raises:
        ConfigError: an assignment sets nothing, or something else than a plugin's option.
    """
    values = _from_assignments(assignments).values
    for key in values:
        if not key.startswith(("arch.", "objective.")) or key in {"arch.name", "objective.name"}:
            raise ConfigError(
                f"'{_shortened(key)}' is no option of a plugin.", "Write -s arch.key=value or objective.key=value."
            )
    return {key.partition(".")[2]: value for key, value in values.items()}


def _core_defaults() -> Flat:
    return _dotted(RunConfig().model_dump(mode="json"))


def _dotted(nested: Mapping[str, Any]) -> Flat:
    return {f"{section}.{key}": value for section, values in nested.items() for key, value in values.items()}


def _from_environment(environment: Mapping[str, str]) -> _Layer:
    values, origins = {}, {}
    for name, text in sorted(environment.items()):
        section, separator, key = name.removeprefix(_ENVIRONMENT_PREFIX).lower().partition("__")
        if name.startswith(_ENVIRONMENT_PREFIX) and separator:
            values[f"{section}.{key}"] = _parse_value(text)
            origins[f"{section}.{key}"] = name
    return _Layer(values, origins)


def _from_file(path: Path) -> _Layer:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"The configuration '{path}' cannot be read: {error.strerror}.", "Give a .toml or .json file."
        ) from error
    if len(content) > _MAX_CONFIG_BYTES:
        raise ConfigError(f"The configuration '{path}' is larger than 1 MiB.", "Give a .toml or .json file.")
    try:
        text = content.decode()
        nested = json.loads(text, object_pairs_hook=_unique) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise ConfigError(f"'{path}' is not valid {kind}: {error}.", "Correct it there, or give another file.") from error
    return _Layer.of(_flatten_file(nested, path), path.name)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which, as in TOML, no key may be given twice."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise ValueError(f"the key {_shown(twice)} is there twice")
    return dict(pairs)


def _flatten_file(nested: object, path: Path) -> Flat:
    if not isinstance(nested, dict):
        raise ConfigError(f"'{path}' holds {_shown(nested)}, not sections.", "Write sections such as [train].")
    for section, values in nested.items():
        if section in RunConfig.model_fields and not isinstance(values, dict):
            raise ConfigError(f"'{section}' in '{path}' is {_shown(values)}, not a section.", f"Write keys under [{section}].")
        if not isinstance(values, dict):
            home = _home(section) or "section"
            raise ConfigError(f"{_shown(section)} in '{path}' stands outside of a section.", f"Write it under [{home}].")
        if section not in RunConfig.model_fields and not values:
            hint = did_you_mean(section, RunConfig.model_fields)
            raise ConfigError(f"Unknown section {_shown(section)} in '{path}'.", hint)
    return _dotted(nested)


def _home(key: str) -> str | None:
    """The section that has such a key."""
    return next((known.partition(".")[0] for known in _core_defaults() if known.endswith(f".{key}")), None)


def _from_assignments(assignments: Iterable[str]) -> _Layer:
    values = {}
    for text in assignments:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"'-s {text}' sets nothing.", "Write -s section.key=value, for instance -s train.batch_size=64.")
        values[key.strip()] = _parse_value(value.strip())
    return _Layer.of(values, "-s")


def _from_flags(flags: Mapping[str, object]) -> _Layer:
    return _Layer(dict(flags), {key: f"--{_FLAGS.get(key, key.rpartition('.')[2]).replace('_', '-')}" for key in flags})


def _parse_value(text: str) -> object:
    """JSON, else the text itself; never evaluated."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _plugin_layers(user: Sequence[_Layer]) -> list[_Layer]:
    """What the data set, the architecture and the objective prefer, as far as it fits what the user has chosen."""
    from gancli.data import dataset_defaults

    dataset = _text(_chosen(user, "data.dataset", RunConfig().data.dataset), "data.dataset")
    data = _Layer.of(dict(dataset_defaults(dataset)), f"data set {dataset}")
    arch_name = _text(_chosen([data, *user], "arch.name", RunConfig().arch.name), "arch.name")
    arch = _Layer.of(dict(ARCHITECTURES.load(arch_name).defaults), f"architecture {arch_name}")
    layers = [_fitting(data, "arch", arch_name), arch]
    name = _text(_chosen([*layers, *user], "objective.name", RunConfig().objective.name), "objective.name")
    layers = [_fitting(layer, "objective", name) for layer in layers]
    return [*layers, _Layer.of(dict(OBJECTIVES.load(name).defaults), f"objective {name}")]


def _fitting(layer: _Layer, section: str, chosen: str) -> _Layer:
    """The layer without its wishes for ``section`` when these were made for another choice than ``chosen``."""
    meant = layer.values.get(f"{section}.name", getattr(RunConfig(), section).name)
    if meant == chosen:
        return layer
    kept = {key: value for key, value in layer.values.items() if not key.startswith(f"{section}.")}
    return _Layer(kept, {key: layer.origins[key] for key in kept})


def _chosen(layers: Sequence[_Layer], key: str, default: object) -> object:
    return next((layer.values[key] for layer in reversed(layers) if key in layer.values), default)


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{key} = {value!r} is not a name.", "Give a name as text.")
    return value


def _merge(layers: Iterable[_Layer]) -> _Layer:
    values: Flat = {}
    origins: dict[str, str] = {}
    for layer in layers:
        lengths = [key for key in LENGTHS if layer.values.get(key) is not None]
        if len(lengths) > 1:
            named = " and ".join(f"{key} ({layer.origins[key]})" for key in lengths)
            raise ConfigError(f"{named} exclude each other.", "Say how long in one way: epochs, images or minutes.")
        if lengths:
            values.update(dict.fromkeys(LENGTHS))
            origins.update(dict.fromkeys(LENGTHS, layer.origins[lengths[0]]))
        values.update(layer.values)
        origins.update(layer.origins)
    if all(values.get(key) is None for key in LENGTHS):
        values["train.images"] = DEFAULT_IMAGES
        origins["train.images"] = "default"
    return _Layer(values, origins)


def _refuse_unknown_keys(merged: _Layer) -> None:
    known = known_keys(merged.values["arch.name"], merged.values["objective.name"])
    for key in merged.values:
        if key not in known:
            near = did_you_mean(f"{_home(key)}.{key}", known) if _home(key) else did_you_mean(key, known)
            hint = near if near.startswith("Did") else f"See `gancli config schema --arch {merged.values['arch.name']}`."
            raise ConfigError(f"Unknown key '{_shortened(key)}' (from {merged.origins[key]}).", hint)


def _validate(merged: _Layer) -> RunConfig:
    nested: dict[str, dict[str, Any]] = {}
    for key, value in merged.values.items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = value
    for section, model in _choice_models(nested).items():
        name = nested[section].pop("name")
        options = _checked(section, model, nested[section], merged.origins)
        nested[section] = {"name": name, **options.model_dump(mode="json")}
    return _checked("", RunConfig, nested, merged.origins)


def _choice_models(nested: Mapping[str, Mapping[str, Any]]) -> dict[str, type[BaseModel]]:
    return {
        "arch": ARCHITECTURES.load(nested["arch"]["name"]).Config,
        "objective": OBJECTIVES.load(nested["objective"]["name"]),
    }


def _checked(section: str, model: type[ModelT], values: object, origins: Mapping[str, str]) -> ModelT:
    """Validate strictly, as JSON: a true is no 1, a "3" no 3, a list may be a tuple."""
    try:
        return model.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise _explain(section, model, error, origins) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"A value in the configuration cannot be stored: {error}.", "Use numbers, text, lists.") from error


def _explain(section: str, model: type[BaseModel], error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    first, *others = error.errors(include_url=False)
    location = [str(part) for part in first["loc"]]
    path = ".".join([section, *location] if section else location)
    key = ".".join(path.split(".")[:2])
    origin = f" (from {origins[key]})" if origins.get(key, "default") != "default" else ""
    more = f" {len(others)} more are not allowed." if others else ""
    if first["type"] == "json_invalid":  # what json.dumps wrote is JSON, except for half a character
        return ConfigError(
            "A text in the configuration is no Unicode, and cannot be stored.", "Rename the file, or correct the text."
        )
    if first["type"] == "extra_forbidden":
        return ConfigError(f"Unknown key '{path}'{origin}.", did_you_mean(path, (f"{section}.{k}" for k in model.model_fields)))
    problem = f"{path} = {_shown(first['input'])}{origin} is not allowed: {_reason(first['msg'])}."
    return ConfigError(problem, f"{_meaning(key, model)}{more}")


def _reason(message: str) -> str:
    """Pydantic's message as the end of a sentence: ``it should be less than 1``.

    >>> _reason("Input should be less than 1"), _reason("String should have at most 5 characters")
    ('it should be less than 1', 'it should have at most 5 characters')
    """
    message = message.removeprefix("Value error, ")
    _, should, rest = message.partition(" should ")
    return f"it should {rest}" if should else message


def _shown(value: object) -> str:
    return _shortened(json.dumps(value, default=str))


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004  (enough to recognise it)


def _meaning(key: str, model: type[BaseModel]) -> str:
    """The description of a key: ``train.epochs: length of the run in passes over the data.``"""
    section, _, name = key.partition(".")
    if model is RunConfig and section in RunConfig.model_fields:
        model = type(getattr(RunConfig(), section))
    field = model.model_fields.get(name)
    return f"{name}: {field.description}." if field and field.description else ""
