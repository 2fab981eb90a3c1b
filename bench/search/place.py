"""Where the arms that need the real service find it: PostgreSQL, API and suggester, while asked."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench.parts.postgres import postgres
from bench.parts.server import service

POOL = 20


@contextmanager
def running_service(hold: float) -> Iterator[Mapping[str, str]]:
    """Start the service; gives what the service driver reads from its environment."""
    with postgres() as pg, service(pg.create("trimtab"), pool=POOL) as running:
        yield {
            "BENCH_URL": running.url,
            "BENCH_KEY": running.key,
            "BENCH_SUGGESTER": str(running.suggest_pid),
            "BENCH_HOLD": str(hold),
        }
