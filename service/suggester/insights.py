"""Working out insights: explanations that somebody asked for, the best trial of noisy objectives.

In a process of its own, so that no suggestion waits for it.
"""

import asyncio
import contextlib
import time
from dataclasses import asdict

import psycopg
from psycopg_pool import PoolTimeout

from search.explain.explanation import Explanation
from search.explain.subject import goals_of
from search.preferences import pairs_of
from search.problem import Problem
from search.values import JSON
from service.db.engine import HotPool
from service.insights.store import Work, claim, finish, give_up, renew
from service.observability.logs import log, where
from service.preferences.read import rankings
from service.studies.spec import load_spec
from service.suggester.children import ChildDied, Lane, TookTooLong
from service.suggester.history import read_changed
from service.suggester.task import Inquiry

LOOK_SECONDS = 1.0  # who asks is heard at once; this is for those that were not
BETWEEN = 0.1  # at the least between two looks, however often somebody calls


class Insights:
    """Works out one insight after another."""

    def __init__(
        self, pool: HotPool, lane: Lane, *, fit_seconds: float, lease_seconds: float
    ) -> None:
        self._pool = pool
        self._lane = lane
        self._fit_seconds = fit_seconds
        self._lease_seconds = lease_seconds
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Somebody may be waiting."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._woken.clear()
            try:
                while await self.work():
                    pass
            except (psycopg.Error, PoolTimeout, OSError) as error:
                log.warning("working out insights failed", error=where(error))
            await asyncio.sleep(BETWEEN)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._woken.wait()

    async def work(self) -> bool:
        """Work out one insight; False when there is nothing to do."""
        async with self._pool.connection() as connection:
            work = await claim(connection, seconds=self._lease_seconds)
        if work is None:
            return False
        keeping = asyncio.create_task(self._keep(work))
        try:
            await self._work_out(work)
        except LookupError:
            pass  # deleted meanwhile
        except asyncio.CancelledError:
            await self._let_go(work)
            raise
        except Exception as error:  # the others go on; this one again when its lease has run out
            log.error("insight failed", study=work.study_id, insight=work.kind, error=where(error))
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        return True

    async def _work_out(self, work: Work) -> None:
        task, seen = await self._task(work)
        begun = time.monotonic()
        try:
            async with self._lane.child(work.study_id) as child:
                answer = await child.inquire(task, self._fit_seconds)
            body, error = answer.body, answer.error
        except (ChildDied, TookTooLong) as failure:
            body, error = None, f"working it out {failure}"
        if error is not None:
            log.warning("insight failed", study=work.study_id, insight=work.kind, error=error)
            body = _failed(work, task.problem, error)
        seconds = time.monotonic() - begun
        async with self._pool.connection() as connection:
            await finish(connection, work, body, seen=seen, seconds=seconds)

    async def _task(self, work: Work) -> tuple[Inquiry, int]:
        """What the process is to do, and how many results it sees."""
        async with self._pool.connection() as connection:
            spec = await load_spec(connection, work.study_id, work.spec_version)
            version, found = await read_changed(connection, work.study_id, -1, curves=work.metric)
            given: list[list[int]] = []
            if spec.problem.by_preference:
                given = await rankings(connection, work.study_id, version)
        task = Inquiry(
            kind=work.kind,
            metric=work.metric,
            problem=spec.problem,
            trials=[found[number] for number in sorted(found)],
            preferences=pairs_of(given),
        )
        return task, len(given) + sum(trial.state.final for trial in task.trials)

    async def _keep(self, work: Work) -> None:
        """Renew the lease for as long as it takes."""
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            try:
                async with self._pool.connection() as connection:
                    await renew(connection, work, seconds=self._lease_seconds)
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("renewal failed", study=work.study_id, error=where(error))

    async def _let_go(self, work: Work) -> None:
        try:
            async with self._pool.connection() as connection:
                await give_up(connection, work)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("the insight's lease runs out by itself", error=where(error))


def _failed(work: Work, problem: Problem, error: str) -> JSON:
    """What is stored instead: an explanation says what went wrong; of a best there is none."""
    if work.kind == "best":
        return None
    goal = goals_of(problem).get(work.metric, "minimize")
    return asdict(Explanation(metric=work.metric, goal=goal, trials=0, measured=0, because=error))
