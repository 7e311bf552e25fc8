"""``gancli dataset``: pictures to learn from."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gancli.cli import complete
from gancli.cli.console.counter import Counter
from gancli.cli.options import EVERYWHERE, Json, new_group, set_option
from gancli.cli.output import Output, refuse_existing, show_plugins
from gancli.errors import UsageError

__all__ = ["group"]

group = new_group("Pictures to learn from.")


@group.command("list", epilog=EVERYWHERE)
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List the data sets that have a name; a path to your own pictures works as well."""
    from gancli.plugins.registry import DATASETS

    show_plugins(Output.of(context), DATASETS, as_json=json)


@group.command("show", epilog=EVERYWHERE)
def show(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name, or a path.", autocompletion=complete.datasets)],
    *,
    split: Annotated[str, typer.Option("--split", metavar="train|test", help="Which part.")] = "train",
    sheet: Annotated[Path | None, typer.Option("--sheet", metavar="FILE.png", help="Draw 64 of the pictures.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a sheet that is there.")] = False,
    image_size: Annotated[str | None, typer.Option("--image-size", metavar="N|HxW", help="As for `train`.")] = None,
    assignments: Annotated[list[str] | None, set_option("As for `train`.")] = None,
    json: Json = False,
) -> None:
    """Look at every picture: what there is, what is broken, what a training would make of it."""
    from gancli.config.resolve import resolve
    from gancli.data.doctor import pictures

    output = Output.of(context)
    if sheet is not None:
        if sheet.suffix.lower() != ".png":
            raise UsageError(f"--sheet {sheet}: a sheet is a PNG.", "Give it a name that ends in .png.")
        refuse_existing(sheet, force=force, folders=True)
    flags = {"data.dataset": dataset, **({} if image_size is None else {"data.image_size": image_size})}
    config = resolve(assignments=assignments or (), flags=flags).config.data
    with Counter(sys.stderr, quiet=output.quiet) as counter:
        described = pictures(config, split, lambda _, done, total: counter(done, total), sheet)
    if sheet is not None:
        described["sheet"] = str(sheet)
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
            *([("sheet", described["sheet"])] if "sheet" in described else []),
            *_files(described),
            *(("note", note) for note in described["notes"]),
            *(("advice", advice) for advice in described["advice"]),
        ]
    )
    if described["classes"]:
        output.line()
        share = described["images"] / 100
        output.table(("class", "images", "%"), [(n, f"{k:,}", f"{k / share:.1f}") for n, k in described["classes"].items()])
    if described.get("broken"):
        output.line()
        output.table(("broken", "reason"), [(flaw["name"], flaw["reason"]) for flaw in described["broken"]])
    if described.get("duplicates"):
        output.line()
        output.table(("the same", "as"), [(name, first) for first, *others in described["duplicates"] for name in others])


def _files(described: dict[str, Any]) -> list[tuple[str, object]]:
    """What a collection is made of."""
    if "kind" not in described:
        return []
    sizes = described["sizes"]
    common = ", ".join(f"{size['height']}x{size['width']} ({size['pictures']:,})" for size in sizes["commonest"][:3])
    side = sizes["shorter_side"]
    return [
        ("files", f"{described['files']:,} in a {described['kind']}, {len(described['broken']):,} broken"),
        ("formats", ", ".join(f"{name} {number:,}" for name, number in described["formats"].items())),
        ("modes", ", ".join(f"{name} {number:,}" for name, number in described["modes"].items())),
        ("colour", f"{described['grey']:,} grey, {described['transparent']:,} with transparency"),
        ("sizes", f"{sizes['different']:,}; shorter sides {side['smallest']} to {side['largest']}, median {side['median']}"),
        ("commonest", common),
    ]


@group.command("clear", epilog=EVERYWHERE)
def clear(context: typer.Context, *, json: Json = False) -> None:
    """Remove what is kept of decoded pictures and downloads; it is made again when it is needed."""
    from gancli.data import cache

    output = Output.of(context)
    removed, size = cache.clear()
    if json:
        output.document({"path": str(cache.root()), "removed": removed, "bytes": size})
    else:
        output.line(f"{removed:,} removed from {cache.root()}, {size / 1e6:,.1f} MB")
