"""From all the places where a value can be set to one validated configuration, and where each value came from.

    core default < data set < architecture < the images < objective < parent
    < GANCLI_* < -c file < -s key=value < command-line flag

Plugins prefer, and the user decides: an architecture's preferences for one objective are dropped when another is chosen.
Setting one of the three lengths (epochs, images, minutes) drops the others from the layers below. What is not allowed is a
``ConfigError``, a plugin that is missing or broken a ``PluginError``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    layer_of,
)
from gancli.config.schema import LENGTHS, DataConfig, ModelT, RunConfig, TrainConfig, checked, shortened, shown
from gancli.errors import ConfigError, PluginError, nearest
from gancli.plugins.registry import (
    ARCHITECTURES,
    DATASETS,
    LOGGERS,
    OBJECTIVES,
    OPTIMIZERS,
    Chosen,
    dataset_defaults,
    is_file,
    is_path,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from gancli.plugin import ArchConfig, Architecture, Logger, Objective, Optimizer

# keys, or beginnings of keys, that a resumed run may change
FREE_KEYS = (*LENGTHS, "data.dataset", "data.to", "data.labels", "train.accumulate", "runtime.", "checkpoint.", "log.")
# keys that it may change if that is allowed, and that it then records as changed
CHANGEABLE = ("train.batch_size", "train.learning_rate", "train.discriminator_learning_rate")
# length of a run where nobody says one: in images, so that a small data set is not given up after a few steps
DEFAULT_IMAGES = 1_000_000


Choose = Callable[[DataConfig, str | None, Flat], tuple[Flat, str] | None]
"""What suits the images: see :func:`gancli.data.choice.choose`."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A configuration, the origin and meaning of each of its values, and the plugins that it chooses."""

    config: RunConfig  # validated and complete: the plugins' options are all spelled out
    origins: Mapping[str, str]  # dotted key -> default, architecture dense, GANCLI_TRAIN__SEED, a file, -s, --epochs
    arch: Chosen[Architecture[ArchConfig]] = field(compare=False)  # found and loaded once
    objective: Chosen[Objective] = field(compare=False)  # likewise
    reason: str = field(default="", compare=False)  # why this architecture was chosen, if nobody has asked for it

    @property
    def meanings(self) -> dict[str, str]:
        """Dotted key -> what it means: the description of its field."""
        models: list[tuple[str, type[BaseModel]]] = [
            *((section, type(getattr(self.config, section))) for section in RunConfig.model_fields),
            ("arch", type(self.arch.options)),
            ("objective", type(self.objective.options)),
        ]
        return {f"{name}.{key}": info.description or "" for name, model in models for key, info in model.model_fields.items()}


def resolve(  # noqa: PLR0913  (the layers, and who fills in)
    *,
    files: Sequence[Path] = (),
    assignments: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    preferences: bool = True,
    made_by: str | None = None,
    inherit: Callable[[str], Flat] | None = None,
    has_domains: Callable[[str], bool] | None = None,
    choose: Choose | None = None,
) -> Resolved:
    """Merge and validate.

    Args:
        files: TOML or JSON files (``-c``), later ones winning.
        assignments: ``section.key=value`` (``-s``), the value parsed as JSON, else taken as text.
        flags: dotted keys that were given as flags of their own, such as ``--batch-size``.
        environment: defaults to the process's; ``GANCLI_SECTION__KEY`` sets ``section.key``.
        preferences: whether what the plugins prefer today fills in. Not for a stored run: it was
            complete when it was written, and behaves as the plain default of a younger setting says.
        made_by: the version of the architecture's distribution whose options these are, if it may be an older one.
        inherit: what a new run takes over from ``model.parent``, see :func:`gancli.models.parent.inherit`.
        has_domains: whether the data set at a path has two domains, A and B; it is then to be translated,
            unless an architecture is chosen that does not translate.
        choose: what suits the images of a new run, see :func:`gancli.data.choice.choose`.
    """
    # one layer of settings, weakest first
    around = from_environment(os.environ if environment is None else environment)
    typed = _merged([from_assignments(assignments), from_flags(flags or {})])
    user = _merged([around, *map(from_file, files), typed])
    preferred, names, reason = _preferred(user, inherit, has_domains, choose)
    merged = _merged([layer_of(core_defaults(), "default"), *(preferred if preferences else []), user])
    if all(merged[key].value is None for key in LENGTHS):
        merged |= layer_of({"train.images": DEFAULT_IMAGES}, "default")
    merged |= {key: merged[key]._replace(value=name) for key, name in names.items()}

    # the plugins that it names, and no key that neither they nor the core know
    arch, objective = ARCHITECTURES.find(names["arch.name"]), OBJECTIVES.find(names["objective.name"])
    architecture, losses = ARCHITECTURES.load_entry(arch)(), OBJECTIVES.load_entry(objective)
    if made_by is not None:
        stored = {key: setting.value for key, setting in merged.items() if key not in typed}
        today = migrated(stored, architecture, made_by)
        kept = {key: setting for key, setting in merged.items() if key[:5] != "arch." or key in typed}
        merged = layer_of(today, f"version {made_by}") | kept
    known = _known({"arch": architecture.Config, "objective": losses})
    if unknown := next((key for key in merged if key not in known), None):
        meant = nearest(unknown, known)
        hint = f"Did you mean '{meant}'?" if meant else f"See `gancli config show --arch {names['arch.name']}` for the keys."
        raise ConfigError(f"Unknown key '{shortened(unknown)}' (from {merged[unknown].origin}).", hint)

    # the sections, validated, in which each name of a plugin stands with all of its options
    origins = {key: setting.origin for key, setting in merged.items()}
    nested: dict[str, dict[str, Any]] = {section: {} for section in RunConfig.model_fields}
    for key, setting in merged.items():
        section, _, name = key.partition(".")
        nested[section][name] = setting.value
    options, nested["arch"] = _spelled_out("arch", architecture.Config, nested["arch"], origins)
    formulas, nested["objective"] = _spelled_out("objective", losses, nested["objective"], origins)
    for key in ("optimizer", "discriminator_optimizer"):
        given = nested["train"][key]
        given = {"name": given} if isinstance(given, str) else given
        if isinstance(given, dict) and isinstance(given.get("name"), str):
            given = given | {"name": OPTIMIZERS.spelled(given["name"])}
            _, nested["train"][key] = _spelled_out(f"train.{key}", OPTIMIZERS.load(given["name"]), given, origins)
    config = checked("", RunConfig, nested, origins)
    load_loggers(config)
    everywhere = {key: origins.get(key, "default") for key in flatten(config)}
    chosen = Chosen(arch, architecture, options), Chosen(objective, formulas, formulas)
    return Resolved(config, everywhere, *chosen, reason)


def migrated(values: Flat, architecture: Architecture[ArchConfig], made_by: str) -> Flat:
    """A stored configuration with the options of that version of the architecture in today's form."""
    old = [key for key in values if key.startswith("arch.") and key != "arch.name"]
    options = architecture.migrate({key.removeprefix("arch."): values[key] for key in old}, made_by)
    return {key: value for key, value in values.items() if key not in old} | dotted({"arch": options})


def _preferred(
    user: Layer, inherit: Callable[[str], Flat] | None, has_domains: Callable[[str], bool] | None, choose: Choose | None
) -> tuple[list[Layer], Flat, str]:
    """What plugins prefer, weakest first; the names that the configuration stores; why the architecture was chosen.

    Arguments as for :func:`resolve`. Preferences count as far as they fit what the user has chosen.
    """
    dataset = _data_name(_value(user, "data.dataset", RunConfig().data.dataset), "data.dataset")
    data = layer_of(dataset_defaults(dataset), f"data set {dataset}")
    parent = _value(user, "model.parent")
    inherited = {} if parent is None or inherit is None else dict(inherit(_text(parent, "model.parent")))
    located = {"model.parent": inherited.pop("model.parent")} if inherited else {}
    if is_file(maker := inherited.get("arch.name", "")):
        given = _value(user, "arch.name")
        if given is None:  # a stored model never says which code is run
            problem = f"The model '{parent}' was made by the file '{maker}'."
            raise PluginError(problem, "Give it again with --arch FILE.py:CLASS; it is not imported by itself.")
        if os.path.basename(_text(given, "arch.name")) == os.path.basename(maker):  # noqa: PTH119  (the file may have moved)
            inherited["arch.name"] = given
    base = layer_of(inherited, f"parent {parent}")
    chosen = _value(data | base | user, "arch.name")
    arch = None if chosen is None else _text(chosen, "arch.name")
    to = _value(user, "data.to")
    if to is not None:
        to = _data_name(to, "data.to")
    elif has_domains and (arch is None or ARCHITECTURES.load(arch).translates) and is_path(dataset) and has_domains(dataset):
        to, data = dataset, layer_of({"data.to": dataset}, f"data set {dataset}")
    if arch is None and to is not None:
        arch = "pix2pix" if _value(user, "data.paired") is True else "cut"
    suits: Flat = {}
    reason = ""
    if choose is not None and to is None and parent is None:
        said = {key: setting.value for key, setting in user.items()}
        keys = [key for key in DataConfig.model_fields if f"data.{key}" in said]
        images = checked("data", DataConfig, {key: said[f"data.{key}"] for key in keys} | {"dataset": dataset})
        suits, reason = choose(images, arch, said) or ({}, "")
    arch = arch or suits.get("arch.name", RunConfig().arch.name)
    entry = ARCHITECTURES.find(arch)
    name = entry.spelled(arch)
    layers = [
        _fitting(data, "arch", name),
        layer_of(ARCHITECTURES.load_entry(entry).defaults, f"architecture {name}"),
        layer_of(suits, "the images"),
        _fitting(base, "arch", name),
    ]
    wanted = _value(_merged([*layers, user]), "objective.name", RunConfig().objective.name)
    losses = OBJECTIVES.spelled(_text(wanted, "objective.name"))
    layers = [_fitting(layer, "objective", losses) for layer in layers]
    layers.insert(-1, layer_of(OBJECTIVES.load(losses).defaults, f"objective {losses}"))
    names = {"data.dataset": dataset, "data.to": to, "arch.name": name, "objective.name": losses} | located
    return layers, names, reason


def _data_name(value: object, key: str) -> str:
    """A path, or the name of a data set as its plugin writes it."""
    typed = _text(value, key)
    return typed if is_path(typed) else DATASETS.spelled(typed)


def _spelled_out(
    section: str, model: type[ModelT], given: Mapping[str, Any], origins: Mapping[str, str]
) -> tuple[ModelT, dict[str, Any]]:
    """A plugin's options, validated, and its name with all of them."""
    options = checked(section, model, {key: value for key, value in given.items() if key != "name"}, origins)
    return options, {"name": given["name"], **options.model_dump(mode="json")}


def choose_arch(config: RunConfig) -> Chosen[Architecture[ArchConfig]]:
    """The architecture of a configuration, with its validated options."""
    entry = ARCHITECTURES.find(config.arch.name)
    plugin = ARCHITECTURES.load_entry(entry)()
    return Chosen(entry, plugin, checked("arch", plugin.Config, config.arch.options))


def load_objective(config: RunConfig) -> Objective:
    """The objective of a configuration, with its options."""
    return checked("objective", OBJECTIVES.load(config.objective.name), config.objective.options)


def load_loggers(config: RunConfig) -> dict[str, Logger]:
    """The loggers that ``log.to`` names, each new."""
    return {name: LOGGERS.load(name)() for name in config.log.to}


def load_optimizer(config: TrainConfig, network: str) -> Optimizer:
    """The optimiser of a network, by its name, with its options."""
    choice = config.optimizer
    if network.startswith("discriminator") and config.discriminator_optimizer is not None:
        choice = config.discriminator_optimizer
    name, options = ("adam", {}) if choice is None else (choice.name, choice.options)
    return checked("train.optimizer", OPTIMIZERS.load(name), options)


def refuse_other_choice(
    stored: Mapping[str, object], *, files: Sequence[Path], assignments: Sequence[str], flags: Mapping[str, object]
) -> None:
    """Refuse another architecture or objective for a stored run, whose options would make no sense with it."""
    layer = _merged([*map(from_file, files), from_assignments(assignments), from_flags(flags)])
    for key in ("arch.name", "objective.name"):
        asked = _value(layer, key, stored[key])
        if asked != stored[key]:
            problem = f"That would be a different training ({key}: stored {shown(stored[key])}, requested {shown(asked)})."
            raise ConfigError(problem, "Leave it as it is, or start a new run.")


def refuse_changes(old: Mapping[str, object], new: Mapping[str, object], *, allowed: bool) -> list[str]:
    """The keys of :data:`CHANGEABLE` in which two flat configurations of one run differ, if that is allowed.

    Besides, only :data:`FREE_KEYS` may. A setting that is not in ``old`` is younger, and was as its default says.
    """
    then = {**core_defaults(), **old}
    changed = [key for key in new if key in then and new[key] != then[key] and not key.startswith(FREE_KEYS)]
    refused = [key for key in changed if not (allowed and key in CHANGEABLE)]
    if refused:
        listed = "; ".join(f"{key}: stored {shown(then[key])}, requested {shown(new[key])}" for key in refused)
        permit = "accept a changed run with --allow-changes, " if set(refused) <= set(CHANGEABLE) else ""
        problem = f"That would be a different training ({listed})."
        raise ConfigError(problem, f"Leave these as they are, {permit}or start a new run with -c and the run's config.json.")
    return changed


def refuse_other_kind(config: RunConfig, arch: Architecture[ArchConfig], *, translating: bool) -> None:
    """Refuse settings that do something else with the data than they are for: translate, or not, if ``translating``."""
    name, data = config.arch.name, config.data
    if translating and not arch.translates:
        problem = f"The architecture '{name}' does not translate images, and --to names some to translate into."
        raise ConfigError(problem, "Choose one that does, such as --arch cut or, of pairs, --arch pix2pix; or leave --to out.")
    if arch.translates and not translating:
        raise ConfigError(
            f"The architecture '{name}' translates images, and there are none to translate into.",
            "Name the images to translate by --dataset, and the images that they are to be like by --to.",
        )
    if data.paired and not translating:
        raise ConfigError("--paired says which images belong together, and there is only one set.", "Name the other by --to.")
    if config.model.conditional and translating:
        raise ConfigError("--conditional learns labels, which a translation does not use.", "Leave it out.")


def flatten(config: RunConfig) -> Flat:
    """``{"train.seed": 0, ...}`` in JSON types, in the order of the sections."""
    return dotted(config.model_dump(mode="json"))


def known_keys() -> list[str]:
    """Every dotted key that may be set, sorted, with the options of the default architecture and objective."""
    default = RunConfig()
    arch, objective = ARCHITECTURES.load(default.arch.name).Config, OBJECTIVES.load(default.objective.name)
    return sorted(_known({"arch": arch, "objective": objective}))


def _fitting(layer: Layer, section: str, chosen: str) -> Layer:
    """The layer without its wishes for ``section`` when these were made for another choice than ``chosen``."""
    if _value(layer, f"{section}.name", getattr(RunConfig(), section).name) == chosen:
        return layer
    return {key: setting for key, setting in layer.items() if not key.startswith(f"{section}.")}


def _value(layer: Layer, key: str, default: Any = None) -> Any:  # noqa: ANN401  (whatever was set)
    return layer[key].value if key in layer else default


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value:
        arrays = " Arrays are read from a file that numpy.save wrote." if key == "data.dataset" else ""
        raise ConfigError(f"{key} = {shown(value)} is not a name.", f"Give a name as text.{arrays}")
    return value


def _merged(layers: Iterable[Layer]) -> Layer:
    """One layer, in which later ones win; who says how long says also how not."""
    merged: Layer = {}
    for layer in layers:
        lengths = [key for key in LENGTHS if _value(layer, key) is not None]
        if len(lengths) > 1:
            named = " and ".join(f"{key} ({layer[key].origin})" for key in lengths)
            raise ConfigError(f"{named} exclude each other.", "Say how long in one way: epochs, images or minutes.")
        if lengths:
            merged |= layer_of(dict.fromkeys(LENGTHS), layer[lengths[0]].origin)
        merged |= layer
    return merged


def _known(plugins: Mapping[str, type[BaseModel]]) -> set[str]:
    """Every dotted key that may be set, with the options of the plugins by section."""
    return {*core_defaults(), *(f"{section}.{key}" for section, model in plugins.items() for key in model.model_fields)}
