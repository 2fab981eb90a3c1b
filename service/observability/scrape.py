"""The answer to Prometheus: this process's counters, and a few numbers that the database knows."""

import psycopg
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from service.resources import Resources

# Cheap however many trials there are: none of these tables grows with measurements.
ASKED = """
select (select count(*) from demand where expires_at > clock_timestamp()),
       (select count(*) from lease),
       (select count(*) from batch where state = 'running'),
       (select count(*) from suggestion),
       (select count(*) from batch where error is not null)
"""
GAUGES = (
    ("trimtab_demand_waiting", "Asks that wait for a config"),
    ("trimtab_trials_running", "Trials that are leased"),
    ("trimtab_batches_running", "Batches that suggesters work on"),
    ("trimtab_suggestions_buffered", "Suggestions that nobody has asked for yet"),
    ("trimtab_suggestion_fallbacks", "Batches that Sobol answered in place of the searcher"),
)


async def scrape(needs: Resources) -> bytes:
    """Everything in Prometheus' text format; without the database's part when it is down."""
    registry = CollectorRegistry()
    _pools(needs, registry)
    up = Gauge("trimtab_database_up", "Whether the database answers", registry=registry)
    try:
        async with needs.hot.connection(timeout=1) as connection:
            row = await (await connection.execute(ASKED)).fetchone()
    except psycopg.Error:
        row = None
    up.set(row is not None)
    for (name, text), value in zip(GAUGES, row or (), strict=False):
        Gauge(name, text, registry=registry).set(value)
    return generate_latest() + generate_latest(registry)


def _pools(needs: Resources, registry: CollectorRegistry) -> None:
    used = Gauge("trimtab_pool_used", "Connections in use", ["pool"], registry=registry)
    waiting = Gauge("trimtab_pool_waiting", "Requests in line", ["pool"], registry=registry)
    stats = needs.hot.get_stats()
    used.labels("hot").set(stats.get("pool_size", 0) - stats.get("pool_available", 0))
    waiting.labels("hot").set(stats.get("requests_waiting", 0))
    used.labels("cold").set(needs.engine.pool.checkedout())  # type: ignore[attr-defined]
