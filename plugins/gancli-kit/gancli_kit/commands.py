"""The commands of authors and maintainers: ``gancli plugin check``, ``gancli plugin new`` and ``gancli selfcheck``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gancli.cli import complete
from gancli.cli.options import argument, option, set_option
from gancli.cli.output import Output
from gancli.errors import CheckpointError, PluginError

MARKS = {"passed": "ok", "failed": "FAILED", "flagged": "flagged", "skipped": "skipped"}
INDENT = " " * 9

_PLUGIN = argument("NAME|FILE.py:CLASS", "The plugin.", autocompletion=complete.plugins)
_KIND = option("architecture|objective|dataset|exporter", "Kind of the plugin, if several share the name.")
_IMAGES = option("CxHxW", "Image shapes to test with, instead of 1x28x28, 3x32x32 and 3x64x64.", "--image")
_ARCH = option("NAME", "The networks to check.", "--arch", autocompletion=complete.architectures)


def check(
    output: Output,
    name: Annotated[str, _PLUGIN],
    *,
    kind: Annotated[str | None, _KIND] = None,
    assignments: Annotated[list[str] | None, set_option("An option, such as -s arch.width=8.")] = None,
    images: Annotated[list[str] | None, _IMAGES] = None,
    explain: Annotated[bool, option(None, "Explain passed checks, too.", "--explain")] = False,
) -> None:
    """Check a plugin against every rule of the contract.

    A failed check says why it matters and how to fix it. Exit code 8 if one fails.
    """
    from gancli.config.layers import from_assignments
    from gancli.plugins.listing import parse_image
    from gancli_kit import checklist
    from gancli_kit.subject import kind_of

    registry = kind_of(name, kind)
    options = {key.partition(".")[2]: setting.value for key, setting in from_assignments(assignments or ()).items()}
    checks = checklist(registry.group, name, options, images)
    if checks.result("resolves").outcome == "passed":
        _ = [parse_image(text) for text in images or ()], options and checks.subject.config  # wrong use is not a failed check
    results = []
    for each, result in checks.results():
        results.append({**asdict(result), "title": each.title, "why": each.why, "fix": each.fix})
        if output.as_json:
            continue
        skipped = result.outcome == "skipped"
        output.line(f"{MARKS[result.outcome]:7}  {each.id:18}  {result.detail if skipped else each.title}")
        if result.detail and not skipped:
            output.line(f"{INDENT}found: {result.detail}")
        if explain or result.outcome in {"failed", "flagged"}:
            output.line(f"{INDENT}why: {each.why}")
            output.line(f"{INDENT}fix: {each.fix}")
    failed = [result["id"] for result in results if result["outcome"] == "failed"]
    if output.as_json:
        output.document({"name": name, "kind": registry.kind, "ok": not failed, "checks": results})
        raise typer.Exit(PluginError.exit_code if failed else 0)
    if failed:
        raise PluginError(
            f"The {registry.kind} '{name}' fails {len(failed)} of {len(results)} checks: {', '.join(failed)}.",
            "The lines above say why they matter and how to fix them.",
        )
    counts = {mark: sum(result["outcome"] == mark for result in results) for mark in MARKS}
    output.line(f"keeps the contract: {', '.join(f'{count} {mark}' for mark, count in counts.items() if count)}")


def new(
    output: Output,
    name: Annotated[str, argument("NAME", "What users will type, such as wobbly.")],
    *,
    kind: Annotated[str, option("architecture|objective|dataset", "Kind of plugin.")] = "architecture",
    to: Annotated[Path, option("DIR", "Directory to create it in.")] = Path(),
) -> None:
    """Write a new plugin as a complete distribution.

    Code, tests, README and CI: its tests pass as they are. Then replace the example with your own.
    """
    from gancli.plugins.installation import install_command
    from gancli_kit.scaffold import Plugin, create

    plugin = Plugin.named(name, kind)
    path = create(plugin, to)
    install = install_command("-e", f"{f'./{path}' if path == Path(path.name) else path}[test]")
    names = {"name": plugin.name, "distribution": plugin.distribution, "package": plugin.package, "class": plugin.title}
    document = {"path": str(path), **names, "files": sorted(plugin.files()), "install": install}
    output.result(path, document)
    if not output.as_json:
        output.note("next", *(f"  {command}" for command in (install, f"gancli plugin check {plugin.name}", plugin.train)))


def selfcheck(
    output: Output,
    *,
    arch: Annotated[str, _ARCH] = "dense",
    device: Annotated[str, option("auto|cpu|cuda|mps", "Device to run on.")] = "auto",
    kills: Annotated[int, option(None, "Number of kills.", min=1, max=20)] = 3,
    assignments: Annotated[list[str] | None, set_option("Any setting of the training.")] = None,
) -> None:
    """Check that a killed training resumes bit-exact: train, kill -9, resume, compare. Takes less than a minute."""
    from gancli_kit.selfcheck import selfcheck as compare

    found = compare([f"arch.name={arch}", f"runtime.device={device}", *(assignments or ())], kills=kills, report=output.note)
    if found["differences"]:
        raise CheckpointError(
            f"A killed training of '{arch}' did not resume bit-exact: {', '.join(found['differences'])}.",
            "The architecture may keep state outside its parameters and buffers, or use a random generator of its own.",
        )
    steps, digest, seconds = ", ".join(map(str, found["steps"])), found["digest"][:16], f"{found['seconds']:.0f}"
    killed = f"killed {found['kills']} times (after steps {steps}), resumed, and ended in the same bits"
    output.result(f"exact: {killed}, SHA-256 {digest}, in {seconds} s", found)
