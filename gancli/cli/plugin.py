"""``gancli plugin``: list the installed plugins, check one against the contract, write a new one."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gancli.cli import complete
from gancli.cli.commands import new_group
from gancli.cli.options import Json, set_option
from gancli.cli.output import Output
from gancli.errors import PluginError

group = new_group("List, check and write plugins.")

MARKS = {"passed": "ok", "failed": "FAILED", "flagged": "flagged", "skipped": "skipped"}
INDENT = " " * 9

_VERIFY = typer.Option("--verify", help="Import each one to check that it works.")
_PLUGIN = typer.Argument(metavar="NAME|FILE.py:CLASS", help="The plugin.", autocompletion=complete.plugins)
_KIND = typer.Option(
    "--kind", metavar="architecture|objective|dataset|exporter", help="Kind of the plugin, if several share the name."
)
_IMAGES = typer.Option("--image", metavar="CxHxW", help="Image shapes to test with, instead of 1x28x28, 3x32x32 and 3x64x64.")
_NEW_KIND = typer.Option("--kind", metavar="architecture|objective|dataset", help="Kind of plugin.")


@group.command("list")
def list_(context: typer.Context, *, verify: Annotated[bool, _VERIFY] = False, json: Json = False) -> None:
    """List the plugins of every kind, broken ones too.

    Third-party code is imported only with --verify.
    """
    from gancli.plugins.listing import overview

    output = Output.of(context)
    found = overview(verify=verify)
    if json:
        output.document(found)
        return
    rows = []
    for row in found:
        cells = ["-" if row[key] is None else row[key] for key in ("kind", "name", "distribution", "version", "api")]
        rows.append([*cells, f"{row['status']}: {row['problem']}" if row["problem"] else row["status"]])
    output.table(("kind", "name", "provided by", "version", "api", "status"), rows)


@group.command()
def check(
    context: typer.Context,
    name: Annotated[str, _PLUGIN],
    *,
    kind: Annotated[str | None, _KIND] = None,
    assignments: Annotated[list[str] | None, set_option("An option, such as -s arch.width=8.")] = None,
    images: Annotated[list[str] | None, _IMAGES] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Explain passed checks, too.")] = False,
    json: Json = False,
) -> None:
    """Check a plugin against every rule of the contract.

    A failed check says why it matters and how to fix it. Exit code 8 if one fails.
    """
    from gancli.config.resolve import plugin_options
    from gancli.plugins.listing import kind_of
    from gancli.testing import checklist

    output = Output.of(context)
    registry = kind_of(name, kind)
    checks = checklist(registry.group, name, plugin_options(assignments or ()), images)
    if checks.result("resolves").outcome == "passed":
        checks.subject.refuse_wrong_use()
    results = []
    for each, result in checks.results():
        results.append({**asdict(result), "title": each.title, "why": each.why, "fix": each.fix})
        if json:
            continue
        skipped = result.outcome == "skipped"
        output.line(f"{MARKS[result.outcome]:7}  {each.id:18}  {result.detail if skipped else each.title}")
        if result.detail and not skipped:
            output.line(f"{INDENT}found: {result.detail}")
        if explain or result.outcome in {"failed", "flagged"}:
            output.line(f"{INDENT}why: {each.why}")
            output.line(f"{INDENT}fix: {each.fix}")
    failed = [result["id"] for result in results if result["outcome"] == "failed"]
    if json:
        output.document({"name": name, "kind": registry.kind, "ok": not failed, "checks": results})
        raise typer.Exit(PluginError.exit_code if failed else 0)
    if failed:
        raise PluginError(
            f"The {registry.kind} '{name}' fails {len(failed)} of {len(results)} checks: {', '.join(failed)}.",
            "The lines above say why they matter and how to fix them.",
        )
    counts = {mark: sum(result["outcome"] == mark for result in results) for mark in MARKS}
    output.line(f"keeps the contract: {', '.join(f'{count} {mark}' for mark, count in counts.items() if count)}")


@group.command()
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What users will type, such as wobbly.")],
    *,
    kind: Annotated[str, _NEW_KIND] = "architecture",
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Directory to create it in.")] = Path(),
    json: Json = False,
) -> None:
    """Write a new plugin as a complete distribution.

    Code, tests, README and CI: its tests pass as they are. Then replace the example with your own.
    """
    from gancli.plugins.installation import install_command
    from gancli.plugins.scaffold import Plugin, create

    output = Output.of(context)
    plugin = Plugin.named(name, kind)
    path = create(plugin, to)
    install = install_command("-e", f"{f'./{path}' if path == Path(path.name) else path}[test]")
    names = {"name": plugin.name, "distribution": plugin.distribution, "package": plugin.package, "class": plugin.title}
    document = {"path": str(path), **names, "files": sorted(plugin.files()), "install": install}
    output.result(path, document if json else None)
    if not json:
        data = "" if kind == "dataset" else "--dataset mnist "
        flag = "arch" if kind == "architecture" else kind
        train = f"gancli train {data}--{flag} {plugin.name}"
        output.note("next", *(f"  {command}" for command in (install, f"gancli plugin check {plugin.name}", train)))
