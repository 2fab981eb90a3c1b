"""The group of commands: the SDK's own, and those that the installed server brings."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from trimtab.errors import TrimtabError

ENTRY_POINTS = "trimtab.commands"
PANEL = "Server"
# What `trimtab --help` says of a command without importing what runs it.
SUMMARIES = {
    "up": "Run all of Trimtab on this machine: database, API, suggester and workers.",
    "serve": "Serve the API.",
    "suggest": "Run a suggester, which computes what studies try next.",
    "fleet": "Run the trials of managed studies on Ray.",
    "migrate": "Bring the database's tables up to date.",
}


class Commands(TyperGroup):
    """Lists plug-in commands by name, imports one when it is run, and explains errors."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *sorted(_plugins())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in _plugins():
            return own
        summary = SUMMARIES.get(cmd_name, "A command of an installed package.")
        return TyperCommand(cmd_name, help=summary, rich_help_panel=PANEL)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name and super().get_command(ctx, name) is None and name in _plugins():
            command = _load(_plugins()[name])
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TrimtabError as error:
            typer.echo(f"trimtab: {error}", err=True)
            raise typer.Exit(1) from None


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _load(point: EntryPoint) -> Any:
    try:
        function = point.load()
    except ImportError as error:
        typer.echo(f"trimtab: the command {point.name} cannot be loaded: {error}", err=True)
        raise typer.Exit(1) from None
    app = typer.Typer(add_completion=False)
    app.command(point.name)(function)
    return typer.main.get_command(app)
