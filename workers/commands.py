"""The `trimtab fleet` command.  The SDK's command line loads it when the server is installed."""

from pathlib import Path
from typing import Annotated

import typer


def fleet(  # noqa: PLR0917 - a command line has no keywords
    url: Annotated[
        str | None, typer.Option(help="The server; else TRIMTAB_URL or credentials.json.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="A key that may read and run; better in TRIMTAB_API_KEY than here."),
    ] = None,
    ray_address: Annotated[
        str,
        typer.Option(
            envvar="TRIMTAB_RAY_ADDRESS",
            help='"local" starts a Ray of its own; "auto" or host:port joins a running one.',
        ),
    ] = "local",
    code: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder whose programs may run here; may be repeated.  Else TRIMTAB_CODE.",
        ),
    ] = None,
    cpus: Annotated[
        float | None, typer.Option(min=0, help="CPUs of a local Ray; else all of them.")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option(min=0, help="GPUs of a local Ray; else all of them.")
    ] = None,
) -> None:
    """Run the trials of managed studies on Ray until stopped."""
    from workers.main import run_fleet

    run_fleet(url=url, key=key, ray_address=ray_address, code=code, cpus=cpus, gpus=gpus)
