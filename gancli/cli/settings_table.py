"""Settings with their origins, for people and for programs."""

import json
from typing import TYPE_CHECKING

from gancli.cli.output import Output

if TYPE_CHECKING:
    from gancli.config.resolve import Resolved

__all__ = ["show_settings"]


def show_settings(output: Output, resolved: "Resolved", *, as_json: bool) -> None:
    """Each key with its value and where that comes from. The JSON's ``config`` is a configuration file for ``-c``."""
    from gancli.config.resolve import flatten

    if as_json:
        output.document({"config": resolved.config.model_dump(mode="json"), "origins": dict(resolved.origins)})
        return
    rows = [(key, json.dumps(value), resolved.origins.get(key, "default")) for key, value in flatten(resolved.config).items()]
    output.table(("key", "value", "origin"), rows)
