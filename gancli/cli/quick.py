"""Answers that need no parser. Typer takes four times as long to import as Python to start, and help should come at once.

``help.txt`` is what Typer prints at 80 columns; ``python -m gancli.cli.golden`` writes it, and a test compares.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from gancli.version import __version__

COMPLETION_VARIABLE = "_GANCLI_COMPLETE"
HELP = Path(__file__).with_name("help.txt")
WIDTH = 80


def answer(argv: list[str]) -> str | None:
    """What to print for a line that only asks for help or for the version, without a line's end; None for any other line."""
    if COMPLETION_VARIABLE in os.environ:
        return None
    if argv == ["--version"]:
        return version()
    try:  # the width for which Typer would format
        columns = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
    except (OSError, ValueError):
        columns = WIDTH
    if argv in ([], ["-h"], ["--help"]) and columns >= WIDTH and not _adds_commands():
        text = HELP.read_text(encoding="utf-8").rstrip("\n")
        return text if argv else concise(text)
    return None


def version() -> str:
    """``gancli 0.1.0``, without a line's end."""
    return f"gancli {__version__}"


def concise(text: str) -> str:
    """The part of the help that a newcomer needs, without a line's end."""
    beginning, _, _ = text.partition("\nOptions:\n")
    return f"{beginning}\n`gancli COMMAND --help` shows more, `gancli --help` also options and exit codes."


def _adds_commands() -> bool:
    """Whether any distribution adds commands, which are not in ``help.txt``. (importlib.metadata takes as long as Python.)"""
    if os.environ.get("GANCLI_PLUGINS") == "":
        return False
    for folder in sys.path:
        for path in Path(folder or ".").glob("*-info/entry_points.txt"):
            with suppress(OSError):
                if b"[gancli.commands]" in path.read_bytes():
                    return True
    return False
