"""The help texts as files, to be read before Typer is imported and compared by tests.

python -m gancli.cli.golden                     writes gancli/cli/help.txt
python -m gancli.cli.golden tests/unit/cli/help      also the help of every command, one file each

Run it after every change of an option or its help.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from gancli.cli.quick import HELP, WIDTH


def help_texts() -> dict[str, str]:
    """The help of every command at 80 columns, by its words joined by ``-``; that of the program itself is ``gancli``."""
    from gancli.cli.app import command

    with mock.patch.dict(os.environ, COLUMNS=str(WIDTH), GANCLI_PLUGINS=""):  # `gancli export` lists its own formats only
        return dict(_walk(command(), "gancli", None))


def _walk(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    with command.make_context(name, [], parent=parent, resilient_parsing=True) as context:
        yield context.command_path.replace(" ", "-"), context.get_help() + "\n"
        for child_name, child in getattr(command, "commands", {}).items():
            yield from _walk(child, child_name, context)


def main(arguments: list[str]) -> None:
    """Write the files."""
    texts = help_texts()
    HELP.write_text(texts["gancli"], encoding="utf-8")
    for folder in arguments:
        for name, text in texts.items():
            (Path(folder) / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
