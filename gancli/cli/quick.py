"""Answers that need no parser. Typer takes four times as long to import as Python to start, and help should come at once.

``help.txt`` is what Typer prints at 80 columns; ``tests/unit/cli/golden.py`` writes it, and a test compares.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from gancli.version import __version__

COMPLETION_VARIABLE = "_GANCLI_COMPLETE"
HELP = Path(__file__).with_name("help.txt")
WIDTH = 80
VERSION = f"gancli {__version__}"


def answer(argv: list[str]) -> str | None:
    """What to print for a line that only asks for help or for the version, without a line's end; None for any other line."""
    if COMPLETION_VARIABLE in os.environ:
        return None
    if argv == ["--version"]:
        return VERSION
    try:  # the width for which Typer would format
        columns = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
    except (OSError, ValueError):
        columns = WIDTH
    plugins = os.environ.get("GANCLI_PLUGINS")
    if argv in ([], ["-h"], ["--help"]) and columns >= WIDTH and not plugins:
        text = HELP.read_text(encoding="utf-8").rstrip("\n")
        if plugins is None and (rows := _added_commands()):
            longest = max(map(len, rows))
            lines = [f"  {name:{longest}}  {rows[name]}" for name in sorted(rows)]
            lines = [line if len(line) <= WIDTH - 2 else f"{line[: WIDTH - 5].rpartition(' ')[0]}..." for line in lines]
            text = text.replace("\nOptions:\n", "\n".join(["\nPlugins:", *lines, "\nOptions:\n"]), 1)
        return text if argv else concise(text)
    return None


def concise(text: str) -> str:
    """The part of the help that a newcomer needs, without a line's end."""
    beginning, _, _ = text.partition("\nOptions:\n")
    return f"{beginning}\n`gancli COMMAND --help` shows more, `gancli --help` also options and exit codes."


def _added_commands() -> dict[str, str]:
    """Commands that plugins add, with their distributions' summaries; without importlib.metadata, which is slow to import."""
    rows: dict[str, str] = {}
    for folder in sys.path:
        for path in Path(folder or ".").glob("*-info/entry_points.txt"):
            with suppress(OSError, UnicodeDecodeError):
                _, _, section = path.read_text(encoding="utf-8").partition("[gancli.commands]\n")
                names = [line.partition("=")[0].strip() for line in section.partition("\n[")[0].splitlines() if "=" in line]
                lines = path.with_name("METADATA").read_text(encoding="utf-8").splitlines() if names else []
                said = dict(line.split(": ", 1) for line in reversed(lines) if line.startswith(("Name: ", "Summary: ")))
                found = {name: f"{said['Summary'].rstrip('.')} ({said['Name']})" for name in names if "." not in name}
                rows = found | rows  # of two versions of a distribution the first on the path is imported
    return rows
