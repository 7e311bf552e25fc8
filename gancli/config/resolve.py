"""From all the places where a value can be set to one validated configuration, and where each value came from.

    core default < data set < architecture < objective < GANCLI_* < -c file < -s key=value < command-line flag

Every layer is a flat mapping of dotted keys (``train.seed``). Plugins' layers hold what they prefer; whatever the user sets
wins, also over a preference that only fits another choice: an architecture's wishes for one objective are dropped when
another is chosen. Setting one of the three lengths (epochs, images, minutes) drops the others from the layers below.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gancli.config.layers import (
    Flat,
    Layer,
    core_defaults,
    dotted,
    from_assignments,
    from_environment,
    from_file,
    from_flags,
    home_of,
)
from gancli.config.schema import LENGTHS, RunConfig
from gancli.config.validate import ModelT, checked, shortened, shown
from gancli.errors import ConfigError, did_you_mean
from gancli.plugins.registry import ARCHITECTURES, OBJECTIVES, OPTIMIZERS, dataset_defaults

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    from gancli.config.schema import TrainConfig
    from gancli.plugin import Optimizer

__all__ = [
    "Resolved",
    "flatten",
    "known_keys",
    "load_arch",
    "load_objective",
    "load_optimizer",
    "plugin_options",
    "refuse_other_choice",
    "resolve",
    "schema",
    "validate_options",
]

DEFAULT_IMAGES = 1_000_000
"""Length of a run when neither the user nor a plugin says anything: in images, so that a small data set is not given up after
a few steps."""


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
        from_environment(os.environ if environment is None else environment),
        *(from_file(path) for path in files),
        from_assignments(assignments),
        from_flags(flags or {}),
    ]
    preferences = _plugin_layers(user)
    merged = _merge([Layer.of(core_defaults(), "default"), *preferences, *user])
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


def load_optimizer(config: TrainConfig, network: str) -> Optimizer:
    """The optimiser of a network, by its name, with its options."""
    choice = config.optimizer
    if network.startswith("discriminator") and config.discriminator_optimizer is not None:
        choice = config.discriminator_optimizer
    name, options = ("adam", {}) if choice is None else (choice.name, choice.options)
    return validate_options("train.optimizer", OPTIMIZERS.load(name), options)


def refuse_other_choice(
    stored: Mapping[str, object], *, files: Sequence[Path], assignments: Sequence[str], flags: Mapping[str, object]
) -> None:
    """Refuse another architecture or objective for a stored run, whose options would make no sense with it.

    Raises:
        ConfigError: another one is asked for.
    """
    layers = [*(from_file(path) for path in files), from_assignments(assignments), from_flags(flags)]
    for key in ("arch.name", "objective.name"):
        asked = _chosen(layers, key, stored[key])
        if asked != stored[key]:
            raise ConfigError(
                f"That would be another training ({key}: stored {shown(stored[key])}, asked {shown(asked)}).",
                "Leave it as it is, or start a new run.",
            )


def flatten(config: RunConfig) -> Flat:
    """``{"train.seed": 0, ...}`` in JSON types, in the order of the sections."""
    return dotted(config.model_dump(mode="json"))


def known_keys(arch: str = "dense", objective: str = "non-saturating") -> list[str]:
    """Every dotted key that may be set, sorted, with the options of these two plugins."""
    own = [f"arch.{key}" for key in ARCHITECTURES.load(arch).Config.model_fields]
    own += [f"objective.{key}" for key in OBJECTIVES.load(objective).model_fields]
    return sorted({*core_defaults(), *own})


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
    return checked(section, model, options, {})


def plugin_options(assignments: Sequence[str]) -> dict[str, Any]:
    """A plugin's own options out of ``section.key=value``, by key.

    >>> plugin_options(["arch.width=8", "arch.norm=batch"])
    {'width': 8, 'norm': 'batch'}

    Raises:
        ConfigError: an assignment sets nothing, or something else than a plugin's option.
    """
    values = from_assignments(assignments).values
    for key in values:
        if not key.startswith(("arch.", "objective.")) or key in {"arch.name", "objective.name"}:
            raise ConfigError(
                f"'{shortened(key)}' is no option of a plugin.", "Write -s arch.key=value or objective.key=value."
            )
    return {key.partition(".")[2]: value for key, value in values.items()}


def _plugin_layers(user: Sequence[Layer]) -> list[Layer]:
    """What the data set, the architecture and the objective prefer, as far as it fits what the user has chosen."""
    dataset = _text(_chosen(user, "data.dataset", RunConfig().data.dataset), "data.dataset")
    data = Layer.of(dict(dataset_defaults(dataset)), f"data set {dataset}")
    arch_name = _text(_chosen([data, *user], "arch.name", RunConfig().arch.name), "arch.name")
    arch = Layer.of(dict(ARCHITECTURES.load(arch_name).defaults), f"architecture {arch_name}")
    layers = [_fitting(data, "arch", arch_name), arch]
    name = _text(_chosen([*layers, *user], "objective.name", RunConfig().objective.name), "objective.name")
    layers = [_fitting(layer, "objective", name) for layer in layers]
    return [*layers, Layer.of(dict(OBJECTIVES.load(name).defaults), f"objective {name}")]


def _fitting(layer: Layer, section: str, chosen: str) -> Layer:
    """The layer without its wishes for ``section`` when these were made for another choice than ``chosen``."""
    meant = layer.values.get(f"{section}.name", getattr(RunConfig(), section).name)
    if meant == chosen:
        return layer
    kept = {key: value for key, value in layer.values.items() if not key.startswith(f"{section}.")}
    return Layer(kept, {key: layer.origins[key] for key in kept})


def _chosen(layers: Sequence[Layer], key: str, default: object) -> object:
    return next((layer.values[key] for layer in reversed(layers) if key in layer.values), default)


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{key} = {value!r} is not a name.", "Give a name as text.")
    return value


def _merge(layers: Iterable[Layer]) -> Layer:
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
    return Layer(values, origins)


def _refuse_unknown_keys(merged: Layer) -> None:
    known = known_keys(merged.values["arch.name"], merged.values["objective.name"])
    for key in merged.values:
        if key not in known:
            near = did_you_mean(f"{home_of(key)}.{key}", known) if home_of(key) else did_you_mean(key, known)
            hint = near if near.startswith("Did") else f"See `gancli config schema --arch {merged.values['arch.name']}`."
            raise ConfigError(f"Unknown key '{shortened(key)}' (from {merged.origins[key]}).", hint)


def _validate(merged: Layer) -> RunConfig:
    nested: dict[str, dict[str, Any]] = {}
    for key, value in merged.values.items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = value
    for section, model in _choice_models(nested).items():
        name = nested[section].pop("name")
        options = checked(section, model, nested[section], merged.origins)
        nested[section] = {"name": name, **options.model_dump(mode="json")}
    for key in ("optimizer", "discriminator_optimizer"):
        choice = nested["train"][key]
        choice = {"name": choice} if isinstance(choice, str) else choice
        if isinstance(choice, dict) and isinstance(choice.get("name"), str):
            model = OPTIMIZERS.load(choice["name"])
            given = {option: value for option, value in choice.items() if option != "name"}
            complete = checked(f"train.{key}", model, given, merged.origins).model_dump(mode="json")
            nested["train"][key] = {"name": choice["name"], **complete}
    return checked("", RunConfig, nested, merged.origins)


def _choice_models(nested: Mapping[str, Mapping[str, Any]]) -> dict[str, type[BaseModel]]:
    return {
        "arch": ARCHITECTURES.load(nested["arch"]["name"]).Config,
        "objective": OBJECTIVES.load(nested["objective"]["name"]),
    }
