"""``gancli dataset``: pictures to learn from."""

from typing import Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.group import EVERYWHERE, new_group
from gancli.cli.options import Json
from gancli.cli.output import Output
from gancli.cli.plugins_table import show_plugins

__all__ = ["group"]

group = new_group("Pictures to learn from.")


@group.command("list", epilog=EVERYWHERE)
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List the data sets that have a name; a path to your own pictures works as well."""
    from gancli.registry import DATASETS

    show_plugins(Output.of(context), DATASETS, as_json=json)


@group.command("show", epilog=EVERYWHERE)
def show(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name, or a path.", autocompletion=complete.datasets)],
    *,
    split: Annotated[str, typer.Option("--split", metavar="train|test", help="Which part.")] = "train",
    json: Json = False,
) -> None:
    """Load a data set and show what is in it."""
    from gancli.describe.dataset import pictures

    output = Output.of(context)
    described = pictures(dataset, split)
    if json:
        output.document(described)
    else:
        _show(output, described)


def _show(output: Output, described: dict[str, Any]) -> None:
    size = f"{described['channels']}x{described['height']}x{described['width']}"
    output.pairs(
        [
            ("name", described["name"]),
            ("source", described["source"]),
            ("split", described["split"]),
            ("images", f"{described['images']:,} of {size}, {described['bytes'] / 1e6:,.1f} MB"),
            ("classes", len(described["classes"])),
            ("fingerprint", described["fingerprint"]),
            ("licence", described["licence"] or "unknown"),
            *(("note", note) for note in described["notes"]),
        ]
    )
    if described["classes"]:
        output.line()
        share = described["images"] / 100
        output.table(("class", "images", "%"), [(n, f"{k:,}", f"{k / share:.1f}") for n, k in described["classes"].items()])
