"""Groups of commands, and the commands that plugins add to them: entry points of the group ``gancli.commands``.

They are listed from the metadata of their distributions. Their code is imported when they are called, and not before.
"""

from typing import Any

import typer
import typer.core
import typer.main

from gancli.cli.options import Typer
from gancli.errors import GancliError, PluginError
from gancli.plugins.installation import OFFICIAL

_GROUP = "gancli.commands"


class LazyCommand(typer.core.TyperCommand):
    """A plugin's command before it is imported: its name, and one line from each distribution that provides it.

    ``path`` is the name of the entry point: the words after ``gancli``, joined by dots.
    """

    def __init__(self, path: str, summaries: list[str]) -> None:
        super().__init__(path.rpartition(".")[2], help=", or ".join(summaries), hidden=not summaries)
        self.path = path

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself, imported now; while completing, a broken one offers nothing."""
        try:
            return self._imported().make_context(info_name, args, parent, **extra)
        except GancliError:
            if not extra.get("resilient_parsing"):
                raise
            return super().make_context(info_name, [], parent, **extra)

    def _imported(self) -> Any:
        from gancli.plugins.registry import COMMANDS

        entry = COMMANDS.find(self.path)
        added = COMMANDS.load_entry(entry)
        host = Typer()
        host.callback()(lambda: None)
        try:
            if isinstance(added, typer.Typer):
                host.add_typer(added, name=self.name)
            else:
                host.command(self.name)(added)
            return typer.main.get_group(host).commands[self.name or ""]
        except Exception as error:  # whatever Typer says about a signature that it does not understand
            raise PluginError(
                f"The command '{entry.name}' is not one that Typer understands: {error}".rstrip(". ") + ".",
                f"It comes from {entry.origin}; its author has to name a function with typed parameters, or a typer.Typer.",
            ) from error


class Group(typer.core.TyperGroup):
    """A group of commands that plugins can add to. Names of gancli's own commands stay gancli's."""

    def added(self, ctx: typer.Context) -> list[str]:
        """The names that plugins add to this group, sorted."""
        from gancli.plugins.distributions import entries

        paths = [entry.name.split(".") for entry in entries(_GROUP)]
        return sorted({path[-1] for path in paths if path[:-1] == _words(ctx) and path[-1] not in self.commands})

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """The commands of gancli, then those of plugins."""
        return [*self.commands, *self.added(ctx)]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """The command; one of a plugin, or that a plugin of this project would provide, is imported when it is called."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        from gancli.plugins.distributions import entries

        path = ".".join([*_words(ctx), cmd_name])
        found = [entry for entry in entries(_GROUP) if path in {entry.name, entry.qualified}]
        summaries = [f"{entry.summary.rstrip('.')} ({entry.distribution})" for entry in found]
        return LazyCommand(path, summaries) if summaries or (_GROUP, path) in OFFICIAL else None

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """The commands of gancli, then those of plugins."""
        for title, names in (("Commands", list(self.commands)), ("Plugins", self.added(ctx))):
            if names:
                limit = formatter.width - 6 - max(map(len, names))
                with formatter.section(title):
                    formatter.write_dl([(name, self.get_command(ctx, name).get_short_help_str(limit)) for name in names])


def new_group(summary: str) -> Typer:
    """A group of commands that prints its help when it is called without one."""

    def show_help(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    group = Typer(cls=Group, help=summary, invoke_without_command=True)
    group.callback()(show_help)
    return group


def _words(context: typer.Context) -> list[str]:
    """The words of a group after ``gancli``."""
    return context.command_path.split()[1:]
