"""``gancli dataset``: images to train on."""

from gancli.cli.commands import new_group
from gancli.cli.output import Output

group = new_group("Images to train on.")


@group.command("list")
def list_(output: Output) -> None:
    """List the data sets that have a name; a path to your own images works as well."""
    from gancli.plugins.registry import DATASETS

    output.plugins(DATASETS)


@group.command()
def clear(output: Output) -> None:
    """Delete the cache of decoded images and downloads; it is filled again when needed."""
    from gancli.data import cache

    removed, size = cache.clear()
    if output.as_json:
        output.document({"path": str(cache.root()), "removed": removed, "bytes": size})
    else:
        output.line(f"{removed:,} removed from {cache.root()}, {size / 1e6:,.1f} MB")
