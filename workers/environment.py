"""Which variables of ours a program gets to see."""

from collections.abc import Mapping, MutableMapping

# The database is the service's alone, and Ray's token opens the whole cluster.
SECRETS = frozenset(
    {
        "TRIMTAB_DATABASE_URL",
        "TRIMTAB_KEY_PEPPER",
        "TRIMTAB_BOOTSTRAP_KEY",
        "DATABASE_URL",
        "PGPASSWORD",
        "PGPASSFILE",
        "PGSERVICEFILE",
        "RAY_AUTH_TOKEN",
        "RAY_AUTH_TOKEN_PATH",
    }
)


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without anything that opens the database or the cluster."""
    return {name: value for name, value in environment.items() if name not in SECRETS}


def forget_secrets(environment: MutableMapping[str, str]) -> None:
    """Take the secrets out of a process's own environment, so that what it starts gets none.

    Ray's token stays: Ray itself needs it to reach its cluster.
    """
    for name in [name for name in environment if name in SECRETS and not name.startswith("RAY_")]:
        del environment[name]


def child_environment(
    environment: Mapping[str, str], *, url: str, key: str, code: str, recipe: bool
) -> dict[str, str]:
    """What a child starts with: the server's address, the fleet's key, and no other secret of ours.

    `code`: the allowed folders, where recipes look for data.  A recipe sees no folder of a user,
    so PYTHONPATH is left out for it.
    """
    kept = scrubbed(environment)
    if recipe:
        kept.pop("PYTHONPATH", None)
    return kept | {
        "TRIMTAB_URL": url,
        "TRIMTAB_API_KEY": key,
        "TRIMTAB_CODE": code,
        "PYTHONUNBUFFERED": "1",  # what was printed before a crash is in the log
    }
