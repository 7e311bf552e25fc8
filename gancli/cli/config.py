"""``gancli config``: the settings of a training, with origins and meanings."""

import json
from typing import TYPE_CHECKING, Annotated

from gancli.cli.commands import new_group
from gancli.cli.options import Settings, option
from gancli.cli.output import Output
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.config.resolve import Resolved

group = new_group("The settings of a training: values, origins, meanings.")

_TOML = option(None, "Print a TOML file that `train -c` accepts.", "--toml")


@group.command()
def show(output: Output, *, settings: Settings, toml: Annotated[bool, _TOML] = False) -> None:
    """Print each setting that `train` would use with these options, where it comes from, and what it means."""
    if toml and output.as_json:
        raise UsageError("--toml and --json exclude each other.", "Leave one of them out.")
    resolved = settings.resolve()
    if toml:
        from gancli.config.layers import as_toml

        print(as_toml(resolved.config, resolved.meanings), end="")
    else:
        show_settings(output, resolved)


def show_settings(output: Output, resolved: "Resolved") -> None:
    """Each key with value, origin and meaning. The JSON's ``config`` is a configuration file for ``-c``."""
    from gancli.config.resolve import flatten

    if resolved.reason:
        output.note(resolved.reason)
    if output.as_json:
        output.document({"config": resolved.config.model_dump(mode="json"), "origins": dict(resolved.origins)})
        return
    rows = [
        (key, json.dumps(value), resolved.origins.get(key, "default"), resolved.meanings.get(key, ""))
        for key, value in flatten(resolved.config).items()
    ]
    output.table(("key", "value", "origin", "meaning"), rows)
