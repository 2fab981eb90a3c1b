"""The commands that make and revoke API keys."""

from typing import Annotated

import typer

from trimtab.cli.output import print_json, print_table
from trimtab.cli.server import connect

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys (with an admin key).")
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object on each line.")]


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, run, write or admin; may be repeated.  Else write and run."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How long it is good for.")] = 90,
    as_json: AsJson = False,
) -> None:
    """Make a key.  Its secret is printed this once.

    \b
    trimtab keys create laptop
    trimtab keys create fleet --scope read --scope run --days 365
    """
    made = connect(context).create_key(name, scopes=scope or ("write", "run"), days=days)
    if as_json:
        return print_json([made])
    typer.echo(made.key)
    typer.echo(f"{made.id}: keep it now, it is not shown again", err=True)
    return None


@app.command("list")
def list_keys(context: typer.Context, as_json: AsJson = False) -> None:
    """List the keys, without their secrets."""
    found = connect(context).api_keys()
    if as_json:
        return print_json(found)
    rows = (
        (
            key.id,
            key.name,
            ", ".join(key.scopes),
            "revoked" if key.revoked_at else _day(key.expires_at),
            _day(key.last_used_at),
        )
        for key in found
    )
    return print_table(("id", "name", "scopes", "good until", "last used"), rows, "no keys")


@app.command()
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="ID", help="The id that `keys list` shows.")],
) -> None:
    """Make a key worthless, at once.

    \b
    trimtab keys revoke 3fK9xQ2a
    """
    connect(context).revoke_key(key)
    typer.echo(f"{key} is revoked")


def _day(moment: object) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d}"
