"""Whether this process is up, and whether it can serve."""

import asyncio
from functools import cache

import psycopg
from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from psycopg_pool import PoolTimeout

from service.observability.scrape import scrape
from service.resources import Needs, Resources

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is up and its event loop turns."""
    return {"status": "up"}


@router.get("/readyz", responses={503: {"model": dict[str, str], "description": "Not ready"}})
async def readyz(needs: Needs, response: Response) -> dict[str, str]:
    """The database can be reached and has the schema that this version knows; else 503."""
    status = await readiness(needs)
    if status != "ready":
        response.status_code = 503
        response.headers["Retry-After"] = "1"
    return {"status": status}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(needs: Needs) -> Response:
    """Counters and gauges for Prometheus."""
    return Response(await scrape(needs), media_type=CONTENT_TYPE_LATEST)


async def readiness(needs: Resources) -> str:
    """ "ready", or what is missing."""
    try:
        async with needs.hot.connection(timeout=2) as connection, asyncio.timeout(2):
            cursor = await connection.execute("select version_num from alembic_version")
            row = await cursor.fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return "the database was never migrated: run `trimtab migrate`"
    except (psycopg.Error, PoolTimeout, TimeoutError):
        return "the database cannot be reached"
    if row is None or row[0] != wanted():
        return "the schema is not the one that this version knows: run `trimtab migrate`"
    return "ready"


@cache
def wanted() -> str:
    """The revision of the schema that this code was written for."""
    from migrations.run import head

    return head()
