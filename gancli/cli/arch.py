"""``gancli arch``: the architectures to choose from."""

from typing import Annotated

import typer

from gancli.cli import complete
from gancli.cli.commands import new_group
from gancli.cli.options import Json, set_option
from gancli.cli.output import Output

group = new_group("List and describe architectures.")

_NAME = typer.Argument(metavar="NAME", help="A name, or FILE.py:CLASS.", autocompletion=complete.architectures)
_BUILD = typer.Option("--build", help="Build the networks, and list layers, shapes and parameters.")
_IMAGE = typer.Option("--image", metavar="CxHxW", help="With --build: the shape of the images.")


@group.command("list")
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List the installed architectures, plugins included."""
    from gancli.plugins.registry import ARCHITECTURES

    Output.of(context).plugins(ARCHITECTURES, as_json=json)


@group.command()
def show(
    context: typer.Context,
    name: Annotated[str, _NAME],
    *,
    build: Annotated[bool, _BUILD] = False,
    image: Annotated[str, _IMAGE] = "1x28x28",
    assignments: Annotated[list[str] | None, set_option("Build with an option, such as -s arch.channels=64.")] = None,
    json: Json = False,
) -> None:
    """Show an architecture's options: types, defaults, ranges and meanings."""
    from gancli.plugins.listing import architecture, options

    output = Output.of(context)
    described = architecture(name)
    if build or assignments:
        from gancli.config.resolve import resolve
        from gancli.gan.layer_table import networks, parse_image

        config = resolve(flags={"arch.name": name}, assignments=assignments or ()).config
        described |= networks(config, parse_image(image))
    if json:
        output.document(described)
        return
    provider = f"{described['distribution']} {described['version']}" if described["distribution"] else described["target"]
    output.pairs([("name", name), ("summary", described["summary"]), ("provided by", provider)])
    output.pairs([(f"sets {key}", value) for key, value in described["defaults"].items()])
    output.line()
    rows = [(o.key, o.type, o.default, o.range, o.meaning) for o in options(described["schema"], "arch")]
    output.table(("key", "type", "default", "range", "meaning"), rows)
    for network, parameters in described.get("parameters", {}).items():
        output.line()
        output.line(f"{network}: {parameters:,} parameters")
        own = [layer for layer in described["layers"] if layer["network"] == network]
        layers = [(x["name"] or "(itself)", x["type"], "x".join(map(str, x["shape"])), f"{x['parameters']:,}") for x in own]
        output.table(("layer", "type", "output", "parameters"), layers)
