"""``gancli plugin``: list the installed plugins. gancli-kit adds `check` and `new`."""

from typing import Annotated, Any

import typer

from gancli.cli.commands import new_group
from gancli.cli.options import EVERYWHERE, Json
from gancli.cli.output import Output

__all__ = ["group"]

group = new_group("List plugins; with gancli-kit, also check and write them.")


@group.command("list", epilog=EVERYWHERE)
def list_(
    context: typer.Context,
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Import each one to check that it works.")] = False,
    json: Json = False,
) -> None:
    """List the plugins of every kind, broken ones too.

    Third-party code is imported only with --verify.
    """
    from gancli.plugins.listing import overview

    output = Output.of(context)
    found = overview(verify=verify)
    if json:
        output.document(found)
        return
    titles = ("kind", "name", "provided by", "version", "api", "status")
    keys = ("kind", "name", "distribution", "version", "api")
    rows = [(*("-" if row[key] is None else row[key] for key in keys), _status(row)) for row in found]
    output.table(titles, rows)


def _status(row: dict[str, Any]) -> str:
    return f"{row['status']}: {row['problem']}" if row["problem"] else row["status"]
