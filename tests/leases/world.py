"""A database with a project, and a worker's calls on it without HTTP in between."""

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from service.db.engine import HotPool, make_hot_pool
from service.leases.ask import Asking, Taken
from service.leases.claim import Wish
from service.leases.fence import Call, Held, renew
from service.leases.giving_back import expire, release
from service.leases.known import Known, KnownStudy, KnownTrial
from service.leases.metrics import Measured
from service.leases.report import Receipt, report
from service.leases.tell import Verdict, tell
from service.schemas.studies import StudyCreate
from service.schemas.trials import Completed, Failed, Infeasible, Release, Stopped
from service.settings import Settings
from service.studies.create import create_study
from service.suggester.ready import Ready
from service.trials.identity import config_hash
from tests.leases.checker import check

SPACE = {"parameters": [{"kind": "float", "name": "x", "low": 0.0, "high": 1.0}]}


class World:
    """What a test acts on."""

    def __init__(self, pool: HotPool, url: str) -> None:
        self.pool = pool
        self.url = url
        self.known = Known()
        self.ready = Ready()
        self.project = 0
        self._names = itertools.count()
        self._batches = itertools.count()
        self._points = itertools.count(1)

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []

    async def one(self, query: str, *values: Any) -> Any:
        row = (await self.rows(query, *values))[0]
        return row[0] if len(row) == 1 else row

    async def study(self, **options: Any) -> KnownStudy:
        body = {
            "name": f"study-{next(self._names)}",
            "space": SPACE,
            "objectives": [{"metric": "loss"}],
            "scheduler": {"kind": "full"},
            "searcher": {"kind": "random"},
            **options,
        }
        async with self.pool.connection() as connection, connection.transaction():
            made = StudyCreate.model_validate_json(json.dumps(body))
            public_id = await create_study(connection, self.project, made)
        return await self.known.study(self.pool, self.project, public_id)

    async def suggest(self, study: KnownStudy, count: int, **values: Any) -> list[dict[str, Any]]:
        """Put suggestions in the buffer, as a suggester would."""
        configs = [values or {"x": 1 / (1 + next(self._points))} for _ in range(count)]
        number = next(self._batches)
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute(
                "insert into batch"
                " (study_id, number, state, lease_id, expires_at, count, finished_at)"
                " values (%s, %s, 'done', gen_random_uuid(), now(), %s, now())",
                (study.id, number, count),
            )
            for position, config in enumerate(configs):
                await connection.execute(
                    "insert into suggestion values (%s, %s, %s, %s, %s, %s, 0)",
                    (
                        study.id,
                        number,
                        position,
                        Jsonb(config),
                        config_hash(config),
                        Jsonb({"by": "test"}),
                    ),
                )
        return configs

    async def ask(
        self, study: KnownStudy, *, lease: UUID | None = None, worker: str = "w", wait: float = 0.0
    ) -> "Run | None":
        lease = lease or uuid.uuid4()
        asking = Asking(self.pool, self.known, self.ready)
        taken = await asking.ask(study, Wish(lease_id=lease, worker=worker, wait=wait))
        return None if taken is None else Run(self, study, taken, lease)

    async def begin(self, study: KnownStudy, **options: Any) -> "Run":
        """A running trial of a config of its own."""
        await self.suggest(study, 1)
        run = await self.ask(study, **options)
        assert run is not None
        return run

    async def lapse(self, run: "Run", seconds: float = 0.001) -> None:
        """Let the lease have run out so long ago."""
        await self.rows(
            "update lease set expires_at = clock_timestamp() - make_interval(secs => %s)"
            " where lease_id = %s",
            seconds,
            run.lease,
        )

    async def expire(self, run: "Run") -> str | None:
        """The lease runs out and the reaper finds it; what became of the trial."""
        await self.lapse(run)
        found = await self.rows("select expires_at from lease where lease_id = %s", run.lease)
        if not found:
            return None
        async with self.pool.connection() as connection:
            return await expire(connection, self.known, run.trial.id, run.lease, found[0][0])

    async def now(self, run: "Run") -> None:
        """Let a queued trial be taken at once."""
        await self.rows(
            "update trial set available_at = clock_timestamp() where id = %s", run.trial.id
        )

    async def state(self, run: "Run") -> str:
        return await self.one("select state from trial where id = %s", run.trial.id)

    async def check(self) -> None:
        """Everything that must hold holds."""
        await asyncio.to_thread(check, self.url)

    async def count(self, study: KnownStudy) -> dict[str, int]:
        names = ("next_number", "running", "finished", "failed", "imported")
        row = await self.one(
            f"select {', '.join(names)} from study_counter where study_id = %s", study.id
        )
        return dict(zip(names, row, strict=True))


class Run:
    """A trial that a worker took, and the worker's calls about it."""

    def __init__(self, world: World, study: KnownStudy, taken: Taken, lease: UUID) -> None:
        self.world = world
        self.study = study
        self.taken = taken
        self.lease = lease
        claimed = taken.claimed
        self.trial = KnownTrial(
            claimed.id,
            claimed.public_id,
            claimed.number,
            claimed.spec_version,
            study,
            claimed.planned,
        )
        self.number, self.attempt = claimed.number, claimed.attempt

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Call]:
        async with self.world.pool.connection() as connection:
            yield Call(connection, self.world.known, self.trial, self.lease)

    async def report(self, step: int, elapsed: float | None = None, **values: float) -> Receipt:
        return await self.send([Measured(step=step, values=values, elapsed_seconds=elapsed)])

    async def send(self, measurements: Sequence[Measured]) -> Receipt:
        async with self.call() as call:
            return await report(call, measurements)

    async def beat(self) -> Held:
        async with self.call() as call:
            return await renew(call)

    async def tell(
        self,
        outcome: Completed | Stopped | Infeasible | Failed | None = None,
        measured: Sequence[Measured] = (),
        **values: float,
    ) -> Verdict:
        async with self.call() as call:
            return await tell(call, outcome or Completed(values=values), measured)

    async def release(self, reason: str = "preempted") -> str:
        async with self.call() as call:
            return await release(call, Release(lease_id=self.lease, reason=reason))


@asynccontextmanager
async def open_world(url: str, *, size: int = 20) -> AsyncIterator[World]:
    """A world on a fresh database; its pool closes after it."""
    pool = make_hot_pool(Settings(database_url=url, hot_pool=size, lock_timeout=20))
    await pool.open(wait=True)
    try:
        world = World(pool, url)
        world.project = await world.one("insert into project (name) values ('p') returning id")
        yield world
    finally:
        await pool.close()
