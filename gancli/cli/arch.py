"""``gancli arch``: the architectures to choose from."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.commands import new_group
from gancli.cli.options import EVERYWHERE, Json, set_option
from gancli.cli.output import Output, show_plugins

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["group"]

group = new_group("List and describe architectures.")


@group.command("list", epilog=EVERYWHERE)
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List the installed architectures, plugins included."""
    from gancli.plugins.registry import ARCHITECTURES

    show_plugins(Output.of(context), ARCHITECTURES, as_json=json)


@group.command("show", epilog=EVERYWHERE)
def show(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name, or FILE.py:CLASS.", autocompletion=complete.architectures)
    ],
    *,
    build: Annotated[bool, typer.Option("--build", help="Build the networks, and list layers, shapes and parameters.")] = False,
    image: Annotated[str, typer.Option("--image", metavar="CxHxW", help="With --build: the shape of the images.")] = "1x28x28",
    assignments: Annotated[list[str] | None, set_option("Build with an option, such as -s arch.channels=64.")] = None,
    json: Json = False,
) -> None:
    """Show an architecture's options: types, defaults, ranges and meanings."""
    from gancli.plugins.listing import architecture, options

    output = Output.of(context)
    described = architecture(name)
    build = build or bool(assignments)
    if build:
        described |= _networks(name, image, assignments or ())
    if json:
        output.document(described)
        return
    provider = f"{described['distribution']} {described['version']}" if described["distribution"] else described["target"]
    output.pairs([("name", name), ("summary", described["summary"]), ("provided by", provider)])
    output.pairs([(f"sets {key}", value) for key, value in described["defaults"].items()])
    output.line()
    rows = [(o.key, o.type, o.default, o.range, o.meaning) for o in options(described["schema"], "arch")]
    output.table(("key", "type", "default", "range", "meaning"), rows)
    if build:
        _show_layers(output, described)


def _networks(name: str, image: str, assignments: "Sequence[str]") -> dict[str, Any]:
    from gancli.config.resolve import resolve
    from gancli.gan.layer_table import networks, parse_image

    return networks(resolve(flags={"arch.name": name}, assignments=assignments).config, parse_image(image))


def _show_layers(output: Output, described: dict[str, Any]) -> None:
    for network, parameters in described["parameters"].items():
        output.line()
        output.line(f"{network}: {parameters:,} parameters")
        own = [layer for layer in described["layers"] if layer["network"] == network]
        rows = [(x["name"] or "(itself)", x["type"], "x".join(map(str, x["shape"])), f"{x['parameters']:,}") for x in own]
        output.table(("layer", "type", "output", "parameters"), rows)
