"""The help texts as files: python tests/unit/cli/golden.py

Writes ``gancli/cli/help.txt``, which is read before Typer is imported, and the help of every command into ``help/`` beside this
file, where tests compare it. To be run after every change of an option or its help.
"""

import os
from pathlib import Path
from unittest import mock

from gancli.cli.quick import HELP, WIDTH

FOLDER = Path(__file__).with_name("help")


def help_texts():
    """The help of every command at 80 columns, by its words joined by ``-``; that of the program itself is ``gancli``."""
    from gancli.cli.app import command

    with mock.patch.dict(os.environ, COLUMNS=str(WIDTH), GANCLI_PLUGINS=""):  # `gancli export` lists its own formats only
        return dict(_walk(command(), "gancli", None))


def _walk(command, name, parent):
    with command.make_context(name, [], parent=parent, resilient_parsing=True) as context:
        yield context.command_path.replace(" ", "-"), context.get_help() + "\n"
        for child_name, child in getattr(command, "commands", {}).items():
            yield from _walk(child, child_name, context)


if __name__ == "__main__":
    texts = help_texts()
    HELP.write_text(texts["gancli"], encoding="utf-8")
    for name, text in texts.items():
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")
