"""Values against a Pydantic model, strictly; and what is wrong with them, as a sentence for the user."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from gancli.config.schema import RunConfig
from gancli.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

ModelT = TypeVar("ModelT", bound=BaseModel)


def checked(section: str, model: type[ModelT], values: object, origins: Mapping[str, str] = MappingProxyType({})) -> ModelT:
    """The values of a section, validated strictly, as JSON: a true is no 1, a "3" no 3, a list may be a tuple.

    Raises:
        ConfigError: a key is unknown or a value is not allowed; it says where this was set.
    """
    try:
        return model.model_validate_json(json.dumps(values, default=plain), strict=True)
    except ValidationError as error:
        raise _explain(section, model, error, origins) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"A value in the configuration cannot be stored: {error}.", "Use numbers, text, lists.") from error


def _explain(section: str, model: type[BaseModel], error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    first, *others = error.errors(include_url=False)
    path = ".".join(map(str, (*([section] if section else []), *first["loc"])))
    key = ".".join(path.split(".")[:2])
    origin = f" (from {origins[key]})" if origins.get(key, "default") != "default" else ""
    more = f" {len(others)} more are not allowed." if others else ""
    if first["type"] == "json_invalid":  # what json.dumps wrote is JSON, except for half a character
        problem = "A text in the configuration is not valid Unicode, and cannot be stored."
        return ConfigError(problem, "Rename the file, or correct the text.")
    if first["type"] == "extra_forbidden":
        return ConfigError(f"Unknown key '{path}'{origin}.", did_you_mean(path, (f"{section}.{k}" for k in model.model_fields)))
    if first["type"] == "string_pattern_mismatch":  # a regular expression says nothing to a user
        problem = f"{path} = {shown(first['input'])}{origin} is not allowed."
        return ConfigError(problem, f"{_meaning(key, model)}{more}")
    example = ", such as [2, 3]" if first["type"] in {"tuple_type", "list_type"} else ""
    _, should, rest = first["msg"].partition(" should ")  # of "Input should be less than 1"
    reason = f"it should {rest}" if should else first["msg"].removeprefix("Value error, ")
    problem = f"{path} = {shown(first['input'])}{origin} is not allowed: {reason}{example}."
    return ConfigError(problem, f"{_meaning(key, model)}{more}")


def plain(value: object) -> object:
    """What JSON has for a value from Python: numbers for those of NumPy and torch, else the text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def shown(value: object) -> str:
    """A value as JSON, for a message."""
    return shortened(json.dumps(value, default=plain))


def shortened(text: str) -> str:
    """At most 60 characters of a text."""
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004  (enough to recognise it)


def _meaning(key: str, model: type[BaseModel]) -> str:
    """The description of a key: ``train.epochs: length of the run in passes over the data.``"""
    section, _, name = key.partition(".")
    if model is RunConfig and section in RunConfig.model_fields:
        model = type(getattr(RunConfig(), section))
    field = model.model_fields.get(name)
    return f"{name}: {field.description}." if field and field.description else ""
