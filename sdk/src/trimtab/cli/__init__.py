"""The `trimtab` command."""


def main() -> None:
    """Run the command line."""
    from trimtab.cli.app import app

    app(prog_name="trimtab")
