"""Container health checks: exit status 0 while a URL answers 200.

    healthy.py http://127.0.0.1:8787/readyz             the API
    healthy.py --fleet http://api:8787                  the fleet: the API heard of it lately
    healthy.py --database                               the suggester: it can reach the database

Needs nothing but the packages of the image; reads TRIMTAB_API_KEY and TRIMTAB_DATABASE_URL.
"""

import json
import os
import sys
import urllib.request

SECONDS = 5


def main(arguments: list[str]) -> bool:
    """Whether all is well."""
    match arguments:
        case ["--database"]:
            return database(os.environ["TRIMTAB_DATABASE_URL"])
        case ["--fleet", url]:
            heard = get(f"{url}/v1/fleet", os.environ["TRIMTAB_API_KEY"])
            return bool(json.loads(heard)["resources"])
        case [url]:
            get(url)
            return True
    raise SystemExit(__doc__)


def get(url: str, key: str | None = None) -> bytes:
    """The body of an answer 200; anything else raises."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return bytes(answer.read())


def database(url: str) -> bool:
    """Whether the database answers and has our tables."""
    import psycopg

    with psycopg.connect(url, connect_timeout=SECONDS) as connection:
        return connection.execute("select 1 from alembic_version").fetchone() is not None


if __name__ == "__main__":
    try:
        healthy = main(sys.argv[1:])
    except Exception as error:  # every way of failing is unhealthy
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        healthy = False
    sys.exit(0 if healthy else 1)
