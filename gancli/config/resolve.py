"""From all the places where a value can be set to one validated configuration, and where each value came from.

    core default < data set < architecture < the images < objective < parent
    < GANCLI_* < -c file < -s key=value < command-line flag

Every layer is a flat mapping of dotted keys (``train.seed``). Plugins' layers hold what they prefer; whatever the user sets
wins, also over a preference that only fits another choice: an architecture's preferences for one objective are dropped
when another is chosen. Setting one of the three lengths (epochs, images, minutes) drops the others from the layers below.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
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
)
from gancli.config.schema import LENGTHS, DataConfig, RunConfig
from gancli.config.validate import ModelT, checked, shortened, shown
from gancli.errors import ConfigError, nearest
from gancli.plugins.registry import (
    ARCHITECTURES,
    DATASETS,
    LOGGERS,
    OBJECTIVES,
    OPTIMIZERS,
    Chosen,
    dataset_defaults,
    is_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    from gancli.config.schema import TrainConfig
    from gancli.plugin import ArchConfig, Architecture, Logger, Objective, Optimizer
    from gancli.plugins.distributions import Entry

FREE_KEYS = (*LENGTHS, "data.dataset", "data.to", "data.labels", "train.accumulate", "runtime.", "checkpoint.", "log.")
"""Keys, or beginnings of keys, that a resumed run may change."""

CHANGEABLE = ("train.batch_size", "train.learning_rate", "train.discriminator_learning_rate")
"""Keys that a resumed run may change if that is allowed, and that it then records as changed."""

DEFAULT_IMAGES = 1_000_000
"""Length of a run when neither the user nor a plugin says anything: in images, so that a small data set is not given up after
a few steps."""


IMAGES = "the images"
"""Origin of what was chosen because it suits them."""


@dataclass(frozen=True, slots=True)
class Open:
    """What the user has chosen, for whoever chooses the rest: see :mod:`gancli.data.choice`.

    Attributes:
        data: the images.
        conditional: whether labels are learnt.
        device: ``runtime.device``.
        arch: the architecture; None: it is to be chosen.
        options: names of options of the architecture that were set nevertheless.
        has_length: whether the length was set.
    """

    data: DataConfig
    conditional: bool
    device: str
    arch: str | None
    options: tuple[str, ...]
    has_length: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for the images: an architecture, settings, and a sentence that gives the reason."""

    arch: str
    settings: Flat
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """A configuration, the origin and meaning of each of its values, and the plugins that it chooses.

    Attributes:
        config: validated and complete: the plugins' options are all spelled out.
        origins: dotted key -> ``default``, ``data set mnist``, ``architecture dense``, ``GANCLI_TRAIN__SEED``, the name
            of a file, ``-s``, or ``--epochs``.
        arch: the architecture, found and loaded once.
        objective: the objective, likewise.
        reason: why this architecture was chosen, if nobody has asked for it.
    """

    config: RunConfig
    origins: Mapping[str, str]
    arch: Chosen[Architecture[ArchConfig]] = field(compare=False)
    objective: Chosen[Objective] = field(compare=False)
    reason: str = field(default="", compare=False)

    @property
    def meanings(self) -> dict[str, str]:
        """Dotted key -> what it means: the description of its field."""
        models: list[tuple[str, type[BaseModel]]] = [
            *((section, type(getattr(self.config, section))) for section in RunConfig.model_fields),
            ("arch", type(self.arch.options)),
            ("objective", type(self.objective.options)),
        ]
        return {
            f"{section}.{key}": info.description or "" for section, model in models for key, info in model.model_fields.items()
        }


def resolve(
    *,
    files: Sequence[Path] = (),
    assignments: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    preferences: bool = True,
    inherit: Callable[[str], Flat] | None = None,
    has_domains: Callable[[str], bool] | None = None,
    choose: Callable[[Open], Choice | None] | None = None,
) -> Resolved:
    """Merge and validate.

    Args:
        files: TOML or JSON files (``-c``), later ones winning.
        assignments: ``section.key=value`` (``-s``), the value parsed as JSON, else taken as text.
        flags: dotted keys that were given as flags of their own; the flag is named in messages, such as ``--batch-size``.
        environment: defaults to the process's; ``GANCLI_SECTION__KEY`` sets ``section.key``.
        preferences: whether what the plugins prefer today fills in. Not for a stored run: it was
            complete when it was written, and behaves as the plain default of a younger setting says.
        inherit: what a new run takes over from ``model.parent``, see :func:`gancli.models.parent.inherit`; what plugins
            prefer is below it.
        has_domains: whether the data set at a path has two domains, A and B; it is then to be translated,
            unless an architecture is chosen that does not translate.
        choose: what suits the images of a new run, see :func:`gancli.data.choice.choose`.

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
    selected = _select(user, inherit, has_domains, choose)
    merged = _merge([Layer.of(core_defaults(), "default"), *(selected.layers if preferences else []), *user])
    merged.values.update(selected.names)
    return _validated(merged, selected)


@dataclass(frozen=True, slots=True)
class _Selected:
    """The plugins that are chosen, the names that the configuration stores, and what all of them prefer, weakest first."""

    arch: tuple[Entry, type[Architecture[ArchConfig]]]
    objective: tuple[Entry, type[Objective]]
    names: Flat
    layers: list[Layer]
    reason: str


def _select(
    user: Sequence[Layer],
    inherit: Callable[[str], Flat] | None,
    has_domains: Callable[[str], bool] | None,
    choose: Callable[[Open], Choice | None] | None,
) -> _Selected:
    """Arguments as for :func:`resolve`. Preferences count as far as they fit what the user has chosen."""
    dataset = _data_name(_chosen(user, "data.dataset", RunConfig().data.dataset), "data.dataset")
    data = Layer.of(dict(dataset_defaults(dataset)), f"data set {dataset}")
    parent = _chosen(user, "model.parent", None)
    inherited = {} if parent is None or inherit is None else dict(inherit(_text(parent, "model.parent")))
    located = {"model.parent": inherited.pop("model.parent")} if inherited else {}
    base = Layer.of(inherited, f"parent {parent}")
    chosen = _chosen([data, base, *user], "arch.name", None)
    translates = chosen is None or ARCHITECTURES.load(_text(chosen, "arch.name")).translates
    if (to := _chosen(user, "data.to", None)) is not None:
        to = _data_name(to, "data.to")
    elif has_domains and translates and is_path(dataset) and has_domains(dataset):
        to, data = dataset, Layer.of({"data.to": dataset}, f"data set {dataset}")
    if chosen is None and to is not None:
        chosen = "pix2pix" if _chosen(user, "data.paired", None) is True else "cut"
    suited = None
    if choose is not None and to is None and parent is None:
        suited = choose(_open(user, dataset, None if chosen is None else _text(chosen, "arch.name")))
    if chosen is None:
        chosen = RunConfig().arch.name if suited is None else suited.arch
    entry = ARCHITECTURES.find(_text(chosen, "arch.name"))
    architecture, name = ARCHITECTURES.load_entry(entry), entry.spelled(_text(chosen, "arch.name"))
    layers = [
        _fitting(data, "arch", name),
        Layer.of(dict(architecture.defaults), f"architecture {name}"),
        Layer.of(_settings_of(suited), IMAGES),
        _fitting(base, "arch", name),
    ]
    objective, losses = _select_objective(layers, user)
    names = {"data.dataset": dataset, "data.to": to, "arch.name": name, "objective.name": losses} | located
    reason = "" if suited is None else suited.reason
    return _Selected((entry, architecture), (objective, OBJECTIVES.load_entry(objective)), names, layers, reason)


def _select_objective(layers: list[Layer], user: Sequence[Layer]) -> tuple[Entry, str]:
    """The objective and its name as it is stored; ``layers`` then fit it, and hold what it prefers."""
    wanted = _text(_chosen([*layers, *user], "objective.name", RunConfig().objective.name), "objective.name")
    entry = OBJECTIVES.find(wanted)
    name = entry.spelled(wanted)
    layers[:] = [_fitting(layer, "objective", name) for layer in layers]
    layers.insert(-1, Layer.of(dict(OBJECTIVES.load_entry(entry).defaults), f"objective {name}"))
    return entry, name


def _data_name(value: object, key: str) -> str:
    """A path, or the name of a data set as its plugin writes it."""
    typed = _text(value, key)
    return typed if is_path(typed) else DATASETS.spelled(typed)


def _validated(merged: Layer, selected: _Selected) -> Resolved:
    """The merged values, checked by the schema and by the plugins' own models."""
    (arch, architecture), (entry, objective) = selected.arch, selected.objective
    _refuse_unknown_keys(merged, [*_keys_of("arch", architecture.Config), *_keys_of("objective", objective)])
    nested: dict[str, dict[str, object]] = {}
    for key, value in merged.values.items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = value
    options = _own_options("arch", architecture.Config, nested, merged)
    losses = _own_options("objective", objective, nested, merged)
    _spell_optimizers(nested, merged)
    config = checked("", RunConfig, nested, merged.origins)
    load_loggers(config)
    return Resolved(
        config,
        {key: merged.origins.get(key, "default") for key in flatten(config)},
        Chosen(arch, architecture(), options),
        Chosen(entry, losses, losses),
        selected.reason,
    )


def _settings_of(suited: Choice | None) -> Flat:
    if suited is None:
        return {}
    return {**suited.settings, **({"arch.name": suited.arch} if suited.reason else {})}


def _open(user: Sequence[Layer], dataset: str, arch: str | None) -> Open:
    """What the user's layers choose, and leave open."""
    keys = {key: layer.values[key] for layer in user for key in layer.values}
    data = {key.removeprefix("data."): value for key, value in keys.items() if key.startswith("data.")}
    known = {key: value for key, value in {**data, "dataset": dataset}.items() if key in DataConfig.model_fields}
    return Open(
        checked("data", DataConfig, known, {}),
        conditional=keys.get("model.conditional") is True,
        device=str(keys.get("runtime.device", "auto")),
        arch=arch,
        options=tuple(key.removeprefix("arch.") for key in keys if key.startswith("arch.") and key != "arch.name"),
        has_length=any(keys.get(key) is not None for key in LENGTHS),
    )


def _spell_optimizers(nested: dict[str, dict[str, object]], merged: Layer) -> None:
    """Names of optimisers become names and complete options."""
    for key in ("optimizer", "discriminator_optimizer"):
        choice = nested["train"][key]
        choice = {"name": choice} if isinstance(choice, str) else choice
        if isinstance(choice, dict) and isinstance(choice.get("name"), str):
            name = OPTIMIZERS.spelled(choice["name"])
            given = {option: value for option, value in choice.items() if option != "name"}
            complete = checked(f"train.{key}", OPTIMIZERS.load(name), given, merged.origins)
            nested["train"][key] = {"name": name, **complete.model_dump(mode="json")}


def _own_options(section: str, model: type[ModelT], nested: dict[str, dict[str, object]], merged: Layer) -> ModelT:
    """A plugin's options, validated; in ``nested`` they are then spelled out."""
    name = nested[section].pop("name")
    options = checked(section, model, nested[section], merged.origins)
    nested[section] = {"name": name, **options.model_dump(mode="json")}
    return options


def choose_arch(config: RunConfig) -> Chosen[Architecture[ArchConfig]]:
    """The architecture of a configuration, with its validated options."""
    entry = ARCHITECTURES.find(config.arch.name)
    plugin = ARCHITECTURES.load_entry(entry)()
    return Chosen(entry, plugin, validate_options("arch", plugin.Config, config.arch.options))


def load_arch(config: RunConfig) -> tuple[Architecture[ArchConfig], ArchConfig]:
    """The architecture of a configuration (an instance) and its validated options."""
    chosen = choose_arch(config)
    return chosen.plugin, chosen.options


def load_objective(config: RunConfig) -> Objective:
    """The objective of a configuration, with its options."""
    return validate_options("objective", OBJECTIVES.load(config.objective.name), config.objective.options)


def load_loggers(config: RunConfig) -> dict[str, Logger]:
    """The loggers that ``log.to`` names, each new.

    Raises:
        PluginError: there is no such logger, or a package that it needs is missing.
    """
    return {name: LOGGERS.load(name)() for name in config.log.to}


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
                f"That would be a different training ({key}: stored {shown(stored[key])}, requested {shown(asked)}).",
                "Leave it as it is, or start a new run.",
            )


def refuse_changes(old: Mapping[str, object], new: Mapping[str, object], *, allowed: bool) -> list[str]:
    """Compare two flat configurations of one run, which may differ in :data:`FREE_KEYS` only.

    Args:
        old: what the run, or its checkpoint, was made with. A setting that is not in it is younger than the run, which
            behaved as its default says.
        new: what is asked for.
        allowed: whether :data:`CHANGEABLE` keys may differ too.

    Returns:
        the keys of :data:`CHANGEABLE` that differ.

    Raises:
        ConfigError: something else differs, or these without permission; all differences are listed.
    """
    then = {**core_defaults(), **old}
    changed = [key for key in new if key in then and new[key] != then[key] and not key.startswith(FREE_KEYS)]
    refused = [key for key in changed if not (allowed and key in CHANGEABLE)]
    if refused:
        listed = "; ".join(f"{key}: stored {shown(then[key])}, requested {shown(new[key])}" for key in refused)
        permit = "accept a changed run with --allow-changes" if set(refused) <= set(CHANGEABLE) else ""
        raise ConfigError(
            f"That would be a different training ({listed}).",
            f"Leave these as they are, {permit or 'or start a new run'}"
            f"{', or start a new run' if permit else ''} with -c and the run's config.json.",
        )
    return changed


def refuse_other_kind(config: RunConfig, arch: Architecture[ArchConfig], *, translating: bool) -> None:
    """Refuse an architecture that does something else with the data than they are for.

    Args:
        config: the whole configuration.
        arch: the architecture that it names.
        translating: whether there are source images and target images.

    Raises:
        ConfigError: it does.
    """
    name, data = config.arch.name, config.data
    if translating and not arch.translates:
        raise ConfigError(
            f"The architecture '{name}' does not translate images, and --to names some to translate into.",
            "Choose one that does, such as --arch cut or, of pairs, --arch pix2pix; or leave --to out.",
        )
    if arch.translates and not translating:
        raise ConfigError(
            f"The architecture '{name}' translates images, and there are none to translate into.",
            "Name the images to translate by --dataset, and the images that they are to be like by --to.",
        )
    if data.paired and not translating:
        raise ConfigError("--paired says which images belong together, and there is only one set.", "Name the other by --to.")
    if config.model.conditional and translating:
        raise ConfigError("--conditional learns labels, which a translation does not use.", "Leave it out.")


def sides(image_size: str) -> tuple[int, int]:
    """Height and width that ``N`` or ``HxW`` asks for."""
    height, _, width = image_size.partition("x")
    return int(height), int(width or height)


def flatten(config: RunConfig) -> Flat:
    """``{"train.seed": 0, ...}`` in JSON types, in the order of the sections."""
    return dotted(config.model_dump(mode="json"))


def known_keys(arch: str = "dense", objective: str = "non-saturating") -> list[str]:
    """Every dotted key that may be set, sorted, with the options of these two plugins."""
    own = _keys_of("arch", ARCHITECTURES.load(arch).Config)
    return sorted({*core_defaults(), *own, *_keys_of("objective", OBJECTIVES.load(objective))})


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
                f"'{shortened(key)}' is not an option of a plugin.", "Write -s arch.key=value or objective.key=value."
            )
    return {key.partition(".")[2]: value for key, value in values.items()}


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
        arrays = " Arrays are read from a file that numpy.save wrote." if key == "data.dataset" else ""
        raise ConfigError(f"{key} = {shown(value)} is not a name.", f"Give a name as text.{arrays}")
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


def _keys_of(section: str, model: type[BaseModel]) -> list[str]:
    return [f"{section}.{key}" for key in model.model_fields]


def _refuse_unknown_keys(merged: Layer, own: Sequence[str]) -> None:
    known = {*core_defaults(), *own}
    for key in merged.values:
        if key not in known:
            meant = nearest(key, known)
            arch = merged.values["arch.name"]
            hint = f"Did you mean '{meant}'?" if meant else f"See `gancli config show --arch {arch}` for the keys."
            raise ConfigError(f"Unknown key '{shortened(key)}' (from {merged.origins[key]}).", hint)
