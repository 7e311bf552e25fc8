"""``gancli env``: what to paste into a bug report."""

from typing import Any

import typer

from gancli.cli.options import Json
from gancli.cli.output import Output

__all__ = ["env"]


def env(context: typer.Context, *, json: Json = False) -> None:
    """Show versions, devices, plugins and paths, to paste into a bug report."""
    from gancli.cli.environment import environment

    output = Output.of(context)
    found = environment()
    if json:
        output.document(found)
        return
    for title, value in found.items():
        output.line(title)
        output.pairs([(f"  {name}", _text(content)) for name, content in _named(value)])


def _named(value: dict[str, Any] | list[dict[str, Any]]) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return list(value.items()) or [("none", "")]
    return [(f"{p['kind']} {p['name']}", f"{p['distribution']} {p['version']}, {p['error'] or 'ok'}") for p in value]


def _text(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
