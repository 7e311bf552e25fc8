"""What all groups of commands have in common."""

import sys
from typing import Any

import typer

from gancli.cli.output import put

__all__ = ["EVERYWHERE", "PLAIN", "new_group"]

PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
"""Plain text, our own error messages, and -h."""

EVERYWHERE = "Also, as everywhere: -q/--quiet, --no-color, --debug."


def new_group(summary: str) -> typer.Typer:
    """A group of commands that prints its help when it is called without one."""
    group = typer.Typer(**PLAIN, help=summary, invoke_without_command=True)
    group.callback()(_help_when_bare)
    return group


def _help_when_bare(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        put(sys.stdout, context.get_help())
