"""Serving one study: claim a batch, compute it, commit it, and keep asks from waiting meanwhile."""

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import AsyncConnection, Rollback

from search.values import Config
from service.db.engine import HotPool
from service.events.log import log as log_event
from service.leases.rows import fetch
from service.observability.logs import log, where
from service.studies.completion import complete_if_done
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
from service.suggester.survey import TRIAL_SECONDS

# How long an ask may find an empty buffer while a model is fitted.  Then it gets a Sobol point.
PATIENCE_SECONDS = 5.0
# With fewer than two results there is nothing to fit: whatever the searcher says will be as good.
PATIENCE_AT_FIRST = 0.5
# A study that seldom comes to this does not wait even so long, but a twentieth of what its trials
# take: one Sobol point among many suggestions costs nothing.  Were it always so, as where trials
# end sooner than they are suggested, nothing would be left of the model.
PATIENCE_SHARE, PATIENCE_LEAST = 0.05, 0.02
SELDOM, LATEST = 2, 50  # at most so many of the latest so many trials
LOOK_SECONDS = 0.25  # new demands wake at once; this is for those that were not heard

# Nobody waits while there is something in the buffer of the context; the first one that waits says
# which context is helped first.
WAITING = f"""
select count(*) as demands,
       coalesce(extract(epoch from clock_timestamp() - min(d.created_at)), 0)::float8 as waited,
       s.budget_trials - (k.next_number - k.imported) as left, k.finished, r.trial_seconds,
       b.bridged, d.context
  from study s join study_counter k on k.study_id = s.id
  join demand d on d.study_id = s.id and d.expires_at > clock_timestamp()
  cross join lateral ({TRIAL_SECONDS}) r
  cross join lateral (
    select count(*) filter (where t.origin ? 'waited') as bridged
      from (select origin from trial where study_id = s.id
             order by number desc limit {LATEST}) t) b
 where s.id = %(study)s and s.state = 'active'
   and not exists (select from suggestion g
                    where g.study_id = s.id and g.context is not distinct from d.context)
 group by s.id, k.study_id, r.trial_seconds, b.bridged, d.context
 order by waited desc limit 1
"""  # noqa: S608  (made of constants)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The asks that find nothing while a model is fitted."""

    demands: int
    waited: float  # seconds, the first of them
    left: int | None  # of the budget
    finished: int
    trial_seconds: float | None
    bridged: int  # of the latest trials
    context: dict[str, Any] | None = None  # in which they ask

    @property
    def seldom(self) -> int:
        """How many of them may have a Sobol point soon."""
        if self.trial_seconds is None:
            return 0
        return max(0, SELDOM * min(self.finished, LATEST) // LATEST - self.bridged)

    @property
    def patience(self) -> float:
        """How long they may wait, in seconds."""
        if self.finished < 2:
            return PATIENCE_AT_FIRST
        if not self.seldom or self.trial_seconds is None:
            return PATIENCE_SECONDS
        return min(max(PATIENCE_SHARE * self.trial_seconds, PATIENCE_LEAST), PATIENCE_SECONDS)

    @property
    def count(self) -> int:
        """How many of them get a Sobol point now."""
        late = self.waited >= (PATIENCE_AT_FIRST if self.finished < 2 else PATIENCE_SECONDS)
        most = self.demands if late else min(self.demands, self.seldom)
        return max(0, most if self.left is None else min(most, self.left))


class Serving:
    """Serves studies, each at most once at a time; the lease on the batch sees to that."""

    def __init__(self, pool: HotPool, computing: Computing, *, batch_seconds: float) -> None:
        self._pool = pool
        self._computing = computing
        self._batch_seconds = batch_seconds
        self._woken: dict[int, asyncio.Event] = {}

    def wake(self, study_id: int) -> None:
        """Somebody waits for a config of the study."""
        if study_id in self._woken:
            self._woken[study_id].set()

    async def serve(
        self,
        study_id: int,
        spec: Spec,
        plan: Plan,
        *,
        model: bool,
        context: Config | None = None,
        budget: int | None = None,
        asked: bool = True,
    ) -> bool:
        """Make a batch for a context, unless somebody else does; False if nothing came of it.

        `asked`: somebody waits already; if not, whoever comes is heard by `wake`.
        """
        context = context or {}
        async with self._pool.connection() as connection:
            lease = await begin(
                connection,
                study_id,
                count=plan.count,
                seconds=self._batch_seconds,
                context=context,
                budget=budget,
            )
        if lease is None:
            return True
        order = Order(
            lease=lease,
            spec=spec,
            plan=plan,
            model=model,
            context=context,
            budget=budget,
            asked=asked,
        )
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
        if made.expected_gain is not None:
            # After the batch, and not with it: a study is locked last, and by itself.
            async with self._pool.connection() as connection, connection.transaction():
                await complete_if_done(connection, lease.study_id)
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
        study_id = order.lease.study_id
        woken = self._woken[study_id] = asyncio.Event()
        pause = 0.0 if order.asked else LOOK_SECONDS
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await woken.wait()
                woken.clear()
                pause = LOOK_SECONDS
                try:
                    pause = await self._bridge_once(order)
                except (psycopg.Error, LookupError) as error:
                    log.warning("bridging failed", study=study_id, error=where(error))
        finally:
            del self._woken[study_id]

    async def _bridge_once(self, order: Order) -> float:
        """Help those whose patience is at its end; the seconds until the next one's is."""
        async with self._pool.connection() as connection:
            waiting = await fetch(connection, Waiting, WAITING, {"study": order.lease.study_id})
        if waiting is None:
            return LOOK_SECONDS
        if waiting.waited < waiting.patience:
            return min(LOOK_SECONDS, waiting.patience - waiting.waited)
        if not waiting.count:
            return LOOK_SECONDS
        because = f"a worker had waited {waiting.waited:.2f} s for a fit"
        there = replace(order, context=waiting.context or {})
        answer = await self._computing.fall_back(there, waiting.count, because)
        waited = {"waited": round(waiting.waited, 3)}
        proposals = [
            Proposal(config=c, origin={**o, **waited}, until=u) for c, o, u in answer.suggestions
        ]
        if proposals:
            async with self._pool.connection() as connection:
                if await put(connection, order.lease, proposals, answer.seen, there.context):
                    await _tell(connection, order.lease, because)
        return LOOK_SECONDS

    async def _let_go(self, lease: BatchLease) -> None:
        try:
            async with self._pool.connection() as connection:
                await give_up(connection, lease)
        except psycopg.Error as error:
            log.warning("the batch runs out by itself", error=where(error))


async def _tell(connection: AsyncConnection[Any], lease: BatchLease, because: str) -> None:
    detail = {"batch": lease.number, "because": because}
    await log_event(connection, lease.study_id, None, "suggest_fallback", detail)
