"""Serving one study: claim a batch, compute it, commit it, and keep asks from waiting meanwhile."""

import asyncio
from typing import Any

import psycopg
from psycopg import AsyncConnection, Rollback

from service.db.engine import HotPool
from service.events.log import log as log_event
from service.observability.logs import log, where
from service.studies.spec import Spec
from service.suggester.batches import (
    BatchLease,
    Before,
    Made,
    Proposal,
    begin,
    finish,
    give_up,
    put,
    renew,
)
from service.suggester.compute import Computing, Order
from service.suggester.plan import Plan

# How long an ask may find an empty buffer while a model is fitted.  Then it gets a Sobol point.
PATIENCE_SECONDS = 5.0
# With fewer than two results there is nothing to fit: whatever the searcher says will be as good.
PATIENCE_AT_FIRST = 0.5
LOOK_SECONDS = 0.25

# Nobody waits while there is something in the buffer.
WAITING = """
select count(*), coalesce(extract(epoch from clock_timestamp() - min(d.created_at)), 0)::float8,
       s.budget_trials - (k.next_number - k.imported), k.finished
  from study s join study_counter k on k.study_id = s.id
  join demand d on d.study_id = s.id and d.expires_at > clock_timestamp()
 where s.id = %s and s.state = 'active'
   and not exists (select from suggestion g where g.study_id = s.id)
 group by s.id, k.study_id
"""


class Serving:
    """Serves studies, each at most once at a time; the lease on the batch sees to that."""

    def __init__(self, pool: HotPool, computing: Computing, *, batch_seconds: float) -> None:
        self._pool = pool
        self._computing = computing
        self._batch_seconds = batch_seconds

    async def serve(self, study_id: int, spec: Spec, plan: Plan, *, model: bool) -> bool:
        """Make a batch, unless somebody else does; False when nothing came of it."""
        async with self._pool.connection() as connection:
            lease = await begin(connection, study_id, count=plan.count, seconds=self._batch_seconds)
        if lease is None:
            return True
        order = Order(lease=lease, spec=spec, plan=plan, model=model)
        tasks = [asyncio.create_task(self._keep(lease))]
        if model:
            tasks.append(asyncio.create_task(self._bridge(order)))
        try:
            made, before = await self._computing.compute(order)
        except BaseException:
            await self._let_go(lease)
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return await self._commit(lease, made, before)

    async def _commit(self, lease: BatchLease, made: Made, before: Before) -> bool:
        done = False
        async with self._pool.connection() as connection, connection.transaction():
            if not await finish(connection, lease, made):
                log.warning("batch lost", study=lease.study_id, batch=lease.number)
                raise Rollback
            # A cause that lasts is told once.
            if made.error is not None and made.error != before.error:
                await _tell(connection, lease, made.error)
            done = True
        return done and bool(made.proposals or made.exhausted)

    async def _keep(self, lease: BatchLease) -> None:
        """Renew the lease for as long as the batch is computed."""
        while True:
            await asyncio.sleep(self._batch_seconds / 3)
            try:
                async with self._pool.connection() as connection:
                    await renew(connection, lease, seconds=self._batch_seconds)
            except psycopg.Error as error:
                log.warning("renewal failed", study=lease.study_id, error=where(error))

    async def _bridge(self, order: Order) -> None:
        """Give Sobol points to asks that have waited too long for the fit."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._bridge_once(order)
            except (psycopg.Error, LookupError) as error:
                log.warning("bridging failed", study=order.lease.study_id, error=where(error))

    async def _bridge_once(self, order: Order) -> None:
        study_id = order.lease.study_id
        async with self._pool.connection() as connection:
            row = await (await connection.execute(WAITING, (study_id,))).fetchone()
        if row is None:
            return
        demands, waited, left, finished = row
        count = demands if left is None else min(demands, left)
        patience = PATIENCE_AT_FIRST if finished < 2 else PATIENCE_SECONDS
        if count <= 0 or waited < patience:
            return
        because = f"a worker had waited {waited:.1f} s for a fit"
        answer = await self._computing.fall_back(order, count, because)
        proposals = [Proposal(config=c, origin=o) for c, o in answer.suggestions]
        if not proposals:
            return
        async with self._pool.connection() as connection:
            if await put(connection, order.lease, proposals, answer.seen):
                await _tell(connection, order.lease, because)

    async def _let_go(self, lease: BatchLease) -> None:
        try:
            async with self._pool.connection() as connection:
                await give_up(connection, lease)
        except psycopg.Error as error:
            log.warning("the batch runs out by itself", error=where(error))


async def _tell(connection: AsyncConnection[Any], lease: BatchLease, because: str) -> None:
    detail = {"batch": lease.number, "because": because}
    await log_event(connection, lease.study_id, None, "suggest_fallback", detail)
