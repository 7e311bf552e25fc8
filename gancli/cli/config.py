"""``gancli config``: what a training would use, and what it may."""

from typing import Annotated

import typer

from gancli.cli import complete
from gancli.cli.expand import expand
from gancli.cli.group import EVERYWHERE, new_group
from gancli.cli.options import Json, Settings
from gancli.cli.output import Output
from gancli.cli.settings_table import show_settings

__all__ = ["group"]

group = new_group("What a training would use, and what it may.")

_ARCH = typer.Option(
    "--arch", metavar="NAME", help="With the options of these networks.", autocompletion=complete.architectures
)
_OBJECTIVE = typer.Option(
    "--objective", metavar="NAME", help="With the options of this objective.", autocompletion=complete.objectives
)


@group.command("show", epilog=EVERYWHERE)
@expand
def show(context: typer.Context, *, settings: Settings, json: Json = False) -> None:
    """Print each setting that `train` would use with these options, and where it comes from."""
    output = Output.of(context)
    show_settings(output, settings.resolve(), as_json=json)


@group.command("schema", epilog=EVERYWHERE)
def schema(
    context: typer.Context,
    *,
    arch: Annotated[str, _ARCH] = "dense",
    objective: Annotated[str, _OBJECTIVE] = "non-saturating",
) -> None:
    """Print the JSON Schema of a configuration file, for editors and validators."""
    from gancli.config import resolve as settings

    output = Output.of(context)
    output.document(settings.schema(arch, objective))
