"""Where values can be set, each as a flat mapping of dotted keys: the environment, files, assignments, flags.

What sets nothing, or cannot be read, is a ``ConfigError``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from gancli.config.schema import RunConfig, shown
from gancli.errors import ConfigError, did_you_mean
from gancli.storage.strict_json import unique_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_MAX_CONFIG_BYTES = 1 << 20
_FLAGS = {"arch.name": "arch", "objective.name": "objective", "model.parent": "from", "log.to": "log"}
"""Flags that are not named like the last part of their key."""
_YAML = re.compile(r"\s*(#[^\n]*\n\s*|---\s*)*[A-Za-z_][\w-]*:(\s|$)")  # how YAML begins, and TOML cannot

Flat = dict[str, Any]


class Setting(NamedTuple):
    """A value, and the name of the place that it comes from."""

    value: Any
    origin: str


Layer = dict[str, Setting]  # by dotted key


def layer_of(values: Mapping[str, Any], origin: str) -> Layer:
    """Values that all come from one place."""
    return {key: Setting(value, origin) for key, value in values.items()}


def core_defaults() -> Flat:
    """What the core says when nobody else does."""
    return dotted(RunConfig().model_dump(mode="json"))


def dotted(nested: Mapping[str, Any]) -> Flat:
    """``{"train": {"seed": 0}}`` as ``{"train.seed": 0}``."""
    return {f"{section}.{key}": value for section, values in nested.items() for key, value in values.items()}


def from_environment(environment: Mapping[str, str]) -> Layer:
    """What ``GANCLI_SECTION__KEY`` sets."""
    layer = {}
    for name, text in sorted(environment.items()):
        section, separator, key = name.removeprefix("GANCLI_").lower().partition("__")
        if name.startswith("GANCLI_") and separator:
            layer[f"{section}.{key}"] = Setting(parse_value(text), name)
    return layer


def from_file(path: Path) -> Layer:
    """What a TOML or JSON file sets."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_CONFIG_BYTES + 1)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise ConfigError(
            f"There is no file '{path}'." if missing else f"'{path}' cannot be read: {error.strerror}.",
            "Give -c the path of a .toml or .json file; `gancli config show --toml` prints one.",
        ) from error
    if len(content) > _MAX_CONFIG_BYTES:
        raise ConfigError(f"The configuration '{path}' is larger than 1 MiB.", "Give a .toml or .json file.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError(f"'{path}' is encoded in UTF-16.", "Save it again as UTF-8.")
    try:
        text = content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
        if path.suffix.lower() in {".yaml", ".yml"} or _YAML.match(text):
            problem = f"'{path}' is YAML, which is not supported."
            raise ConfigError(problem, "Give TOML or JSON; `gancli config show --toml > run.toml` writes an example.")
        if path.suffix == ".json":
            nested = json.loads(text, object_pairs_hook=unique_keys)
        else:
            import tomllib  # a hundredth of the time that a cold `gancli sample` takes

            nested = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        reason = str(error)[:1].lower() + str(error)[1:]
        raise ConfigError(f"'{path}' is not valid {kind}: {reason}.", "Correct it there, or give another file.") from error
    return layer_of(_flatten_file(nested, path), path.name)


def as_toml(config: RunConfig, meanings: Mapping[str, str]) -> str:
    """The configuration as a TOML file, each key with its meaning. TOML has no null: such keys are left out."""

    def value(content: object) -> str:
        if isinstance(content, dict):
            return "{" + ", ".join(f"{json.dumps(k)} = {value(v)}" for k, v in content.items() if v is not None) + "}"
        if isinstance(content, list):
            return f"[{', '.join(map(value, content))}]"
        return json.dumps(content, ensure_ascii=False).replace("\x7f", "\\u007f")

    lines = []
    for section, keys in config.model_dump(mode="json").items():
        lines += ["", f"[{section}]"]
        lines += [
            f"{key} = {value(content)}  # {meanings.get(f'{section}.{key}', '')}".rstrip("# ")
            for key, content in keys.items()
            if content is not None
        ]
    return "\n".join(lines[1:]) + "\n"


def _flatten_file(nested: object, path: Path) -> Flat:
    sections = nested if isinstance(nested, dict) else {"": nested}
    for section, values in sections.items():
        if not isinstance(values, dict):
            homes = [known.partition(".")[0] for known in core_defaults() if known.endswith(f".{section}")]
            home = section if section in RunConfig.model_fields else next(iter(homes), "section")
            found = f"{shown(section)} = " if section else ""
            raise ConfigError(f"'{path}' holds {found}{shown(values)} outside of a section.", f"Write keys under [{home}].")
        if section not in RunConfig.model_fields and not values:
            hint = did_you_mean(section, RunConfig.model_fields)
            raise ConfigError(f"Unknown section {shown(section)} in '{path}'.", hint)
    return dotted(sections)


def from_assignments(assignments: Iterable[str]) -> Layer:
    """What ``section.key=value`` sets."""
    values = {}
    for text in assignments:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"'-s {text}' sets nothing.", "Write -s section.key=value, for instance -s train.batch_size=64.")
        values[key.strip()] = parse_value(value.strip())
    return layer_of(values, "-s")


def from_flags(flags: Mapping[str, object]) -> Layer:
    """What flags of their own set, such as ``--batch-size``."""
    names = {key: _FLAGS.get(key, key.rpartition(".")[2]).replace("_", "-") for key in flags}
    return {key: Setting(value, f"--{names[key]}") for key, value in flags.items()}


def parse_value(text: str) -> object:
    """JSON, else the text itself; never evaluated."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
