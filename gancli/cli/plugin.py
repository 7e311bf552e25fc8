"""``gancli plugin``: list the installed plugins. gancli-kit adds `check` and `new`."""

from typing import Annotated

from gancli.cli.commands import new_group
from gancli.cli.options import option
from gancli.cli.output import Output

group = new_group("List plugins; with gancli-kit, also check and write them.")


@group.command("list")
def list_(
    output: Output, *, verify: Annotated[bool, option(None, "Import each one to check that it works.", "--verify")] = False
) -> None:
    """List the plugins of every kind, broken ones too.

    Third-party code is imported only with --verify.
    """
    from gancli.plugins.listing import overview

    found = overview(verify=verify)
    if output.as_json:
        output.document(found)
        return
    rows = []
    for row in found:
        cells = ["-" if row[key] is None else row[key] for key in ("kind", "name", "distribution", "version", "api")]
        rows.append([*cells, f"{row['status']}: {row['problem']}" if row["problem"] else row["status"]])
    output.table(("kind", "name", "provided by", "version", "api", "status"), rows)
