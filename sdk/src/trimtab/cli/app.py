"""The command line, put together."""

from typing import Annotated

import typer

from trimtab._version import __version__
from trimtab.cli import keys, preferring, studies
from trimtab.cli.group import Commands
from trimtab.cli.server import Server

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
studies.register(app)
preferring.register(app)
app.add_typer(keys.app, name="keys", rich_help_panel="Studies")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trimtab {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(help="The server; else TRIMTAB_URL, else the one of `trimtab up`."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="An API key; better in TRIMTAB_API_KEY than here.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Tune hyperparameters: look at studies, and run the service.

    \b
    trimtab up                        start everything on this machine
    trimtab studies                   what there is
    trimtab watch digits              look at a study while it runs
    trimtab best digits               the best config so far
    trimtab trials digits             its trials
    trimtab logs digits 17            why did trial 17 fail?
    trimtab prefer posters 7 3        trial 7 is better than trial 3
    trimtab export digits -o t.csv    all trials as a table
    trimtab keys create laptop        an API key for somebody else

    Each command has a --help of its own.
    """
    # What a test puts into the context takes the place of the network.
    context.obj = Server(url, key, transport=context.obj)
