"""The commands that the server adds to `trimtab`; what is slow to import, they import when run."""

from pathlib import Path
from typing import Annotated

import typer


def up(
    home: Annotated[
        Path | None,
        typer.Option(help="Where to keep everything; else TRIMTAB_HOME, else your data folder."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of the API; else 8787 or the next free one."),
    ] = None,
    fleet: Annotated[
        bool, typer.Option(help="Run managed studies on this machine, with a local Ray.")
    ] = True,
) -> None:
    """Run all of Trimtab on this machine: database, API, suggester and workers.

    Ctrl-C stops it; the next start goes on from there.  If it runs already, this says where.
    TRIMTAB_DATABASE_URL points it at a PostgreSQL server of your own.
    """
    import os
    import sys

    if sys.platform == "win32":
        typer.echo("trimtab up needs Linux or macOS; the SDK works on Windows too.", err=True)
        raise typer.Exit(1)

    from trimtab.home import home as default_home

    from service.up.console import say
    from service.up.run import Options
    from service.up.run import up as run_up

    options = Options(
        home=home or default_home(),
        environment=dict(os.environ),
        working_folder=str(Path.cwd()),
        port=port,
        fleet=fleet,
    )
    raise typer.Exit(run_up(options, say))


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; else TRIMTAB_HOST, else loopback.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Else TRIMTAB_PORT, else 8787.")
    ] = None,
    fd: Annotated[
        int | None,
        typer.Option(min=3, help="A listening socket that was handed down, instead of an address."),
    ] = None,
) -> None:
    """Serve the API: one process, as many of them as you like beside each other.

    TRIMTAB_DATABASE_URL says where PostgreSQL is; `trimtab migrate` must have been there before.
    """
    from service.serve import serve as run_serve
    from service.settings import Settings

    given = {"host": host, "port": port}
    settings = Settings().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    run_serve(settings, fd=fd)


def suggest() -> None:
    """Run a suggester: it computes what studies try next, ahead of the asking.

    Any number may run beside each other; give each a core, and a higher `nice` than the API.
    """
    from service.settings import Settings
    from service.suggester.process import run

    run(Settings())


def migrate() -> None:
    """Bring the database's tables up to date; a repeat changes nothing.

    Safe from several machines at once: one works, the others wait.  It also makes the first key,
    if TRIMTAB_BOOTSTRAP_KEY holds one (`python -m service.auth` prints a new one).
    """
    import psycopg
    from sqlalchemy.exc import OperationalError

    from migrations.run import upgrade
    from service.auth.bootstrap import InvalidKey, ensure_key
    from service.settings import Settings

    settings = Settings()
    try:
        upgrade(settings.database_url.get_secret_value())
        ensure_key(settings)
    except (OperationalError, psycopg.OperationalError) as error:
        typer.echo(f"The database cannot be reached or is busy: {_first_line(error)}", err=True)
        typer.echo("TRIMTAB_DATABASE_URL says where it is: postgresql://user@host/name", err=True)
        raise typer.Exit(1) from error
    except InvalidKey as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo("The tables are up to date.")


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error) or type(error).__name__).splitlines()[0]
