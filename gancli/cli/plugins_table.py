"""The table, or the JSON, of one kind of plugin."""

from typing import Any

from gancli.cli.output import Output

__all__ = ["show_plugins"]


def show_plugins(output: Output, registry: Any, *, as_json: bool) -> None:  # noqa: ANN401  (a Registry, which needs pydantic)
    """Print what is installed, third parties' included; nothing of theirs is imported."""
    from gancli.plugins.listing import listing

    found = listing(registry)
    if as_json:
        output.document(found)
    else:
        output.table(("name", "provided by", "version", "summary"), [tuple(row.values()) for row in found])
