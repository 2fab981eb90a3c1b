"""The suggester: a process that keeps every active study's buffer of suggestions filled.

It wakes when somebody waits, and looks around by itself: often while anything happens, once a
second otherwise.  Any number of them may run.
"""

import asyncio
import contextlib
import signal
import time

import psycopg
from psycopg_pool import PoolTimeout

from service.db.engine import HotPool, make_hot_pool
from service.leases.demands import CHANNEL
from service.observability.logs import configure, log, where
from service.settings import Settings
from service.studies.spec import Spec, load_spec
from service.studies.transfer import with_earlier
from service.suggester.children import Lane
from service.suggester.compute import Computing, Lanes
from service.suggester.insights import Insights
from service.suggester.listen import listen
from service.suggester.models import QUICK, model_from, modules
from service.suggester.plan import Pace, Plan, plan
from service.suggester.serve import Serving
from service.suggester.survey import Standing, survey

GATHER_SECONDS = 0.02  # asks within this time are answered as one batch
BUSY_LOOK_SECONDS = 0.1
LOOK_SHARE = (
    0.1  # of the time at most goes into looking: a thousand studies are looked at less often
)
IDLE_LOOK_SECONDS = 1.0
LOOKS_EACH = 0.4  # of a trial, where one worker runs them one after another
LIVELY_SECONDS = 10.0  # a study is looked at often for so long after something happened in it
REST_SECONDS = 2.0  # after a batch of which nothing came


class Suggester:
    """One suggester."""

    def __init__(self, pool: HotPool, lanes: Lanes, settings: Settings) -> None:
        self._pool = pool
        self._lanes = lanes
        computing = Computing(pool, lanes, fit_seconds=settings.fit_seconds)
        self._serving = Serving(pool, computing, batch_seconds=settings.batch_seconds)
        self._woken = asyncio.Event()
        self._serving_now: dict[int, asyncio.Task[None]] = {}
        self._paces: dict[int, Pace] = {}
        self._versions: dict[int, tuple[int, float]] = {}  # and when it was first seen
        self._often: dict[int, float] = {}  # seconds from one look to the next, while it is lively
        self._specs: dict[tuple[int, int], Spec] = {}
        self._rest: dict[int, float] = {}

    def wake(self, payload: str | None = None) -> None:
        """Somebody waits, for the study that is named if one is: look around now."""
        self._woken.set()
        if payload is not None and payload.isdecimal():
            self._serving.wake(int(payload))

    async def run(self) -> None:
        """Serve until cancelled."""
        quick = asyncio.create_task(self._lanes.quick.warm_up(QUICK))
        try:
            while True:
                self._woken.clear()
                begun = time.monotonic()
                try:
                    await self._look()
                except (psycopg.Error, PoolTimeout) as error:
                    log.warning("looking around failed", error=where(error))
                least = self._until_next()
                pause = max(least, (time.monotonic() - begun) / LOOK_SHARE)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
                        await asyncio.sleep(GATHER_SECONDS)
        finally:
            tasks = [quick, *self._serving_now.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        async with self._pool.connection() as connection:
            standings = await survey(connection)
            now = time.monotonic()
            self._forget(standings)
            for study_id, contexts in by_study(standings).items():
                pace = self._note(contexts, now)
                if self._rest.get(study_id, 0.0) > now:
                    continue
                for standing in contexts:
                    if study_id in self._serving_now:
                        if standing.demands:  # of which it may not have heard
                            self._serving.wake(study_id)
                        break
                    spec = await self._spec(connection, standing)
                    self._order(standing.local, spec, standing.share * pace.rate(now))

    def _order(self, standing: Standing, spec: Spec, rate: float) -> None:
        since = model_from(spec.searcher, spec.problem, standing.budget)
        if since is not None:
            self._lanes.load_models(modules(spec.searcher, spec.problem))
        chosen, model = choose(standing, rate, since)
        if chosen is not None:
            serving = self._serve(standing, spec, chosen, model=model)
            self._serving_now[standing.study_id] = asyncio.create_task(serving)

    async def _serve(self, standing: Standing, spec: Spec, chosen: Plan, *, model: bool) -> None:
        study_id = standing.study_id
        serving = self._serving.serve(
            study_id,
            spec,
            chosen,
            model=model,
            context=standing.context,
            budget=standing.budget,
            asked=standing.demands > 0,
        )
        try:
            if not await serving:
                self._rest[study_id] = time.monotonic() + REST_SECONDS
        except LookupError:
            pass  # deleted meanwhile
        except Exception as error:  # the other studies go on; this one is tried again
            log.error("batch failed", study=study_id, error=where(error))
            self._rest[study_id] = time.monotonic() + REST_SECONDS
        finally:
            del self._serving_now[study_id]
            self.wake()

    def _note(self, contexts: list[Standing], now: float) -> Pace:
        standing = contexts[0]
        pace = self._paces.setdefault(standing.study_id, Pace())
        pace.note(now, standing.begun + sum(one.demands for one in contexts))
        if self._versions.get(standing.study_id, (-1, 0.0))[0] != standing.version:
            self._versions[standing.study_id] = (standing.version, now)
        self._often[standing.study_id] = look_seconds(standing)
        return pace

    def _until_next(self) -> float:
        """The seconds to the next look, unless somebody waits: as the liveliest study needs it."""
        since = time.monotonic() - LIVELY_SECONDS
        lively = (k for k, (_, changed) in self._versions.items() if changed > since)
        return min((self._often[k] for k in lively), default=IDLE_LOOK_SECONDS)

    def _forget(self, standings: list[Standing]) -> None:
        active = {standing.study_id for standing in standings}
        for known in (self._paces, self._versions, self._often, self._rest):
            for study_id in [study_id for study_id in known if study_id not in active]:
                del known[study_id]

    async def _spec(self, connection: psycopg.AsyncConnection[object], standing: Standing) -> Spec:
        key = (standing.study_id, standing.spec_version)
        if key not in self._specs:
            self._specs[key] = await with_earlier(
                connection, standing.study_id, await load_spec(connection, *key)
            )
        return self._specs[key]


def by_study(standings: list[Standing]) -> dict[int, list[Standing]]:
    """The standings of each study, one for a context, in the order in which they come."""
    found: dict[int, list[Standing]] = {}
    for standing in standings:
        found.setdefault(standing.study_id, []).append(standing)
    return found


def look_seconds(standing: Standing) -> float:
    """How long a study that was asked lately may be left alone.

    One worker that runs trials one after another changes nothing before its trial has ended.
    """
    if not standing.alone or standing.trial_seconds is None:
        return BUSY_LOOK_SECONDS
    part = LOOKS_EACH * standing.trial_seconds
    return min(max(BUSY_LOOK_SECONDS, part), IDLE_LOOK_SECONDS)


def choose(standing: Standing, rate: float, since: int | None) -> tuple[Plan | None, bool]:
    """What to compute, and whether a model does it.  `since` is the first trial of the model's.

    A batch does not cross over from the searcher's first trials to the model's: the former need
    no fit and should not wait for one.
    """
    made = standing.next_number + standing.buffered
    if since is not None and made >= since:
        learns = standing.next_number >= since
        return plan(standing, rate, learns=learns, instant=False), True
    chosen = plan(standing, rate, learns=False, instant=True)
    if chosen is not None and since is not None and chosen.count > since - made:
        chosen = Plan(count=since - made, refresh=False, soon_taken=chosen.soon_taken)
    return chosen, False


async def serve(settings: Settings) -> None:
    """Suggest until SIGTERM or Ctrl-C; batches in hand are left to others at once."""
    pool = make_hot_pool(settings)
    await pool.open(wait=False)
    lanes = Lanes(quick=Lane(1), models=Lane(settings.fit_processes))
    suggester = Suggester(pool, lanes, settings)
    insights = Insights(
        pool,
        lanes.insights,
        fit_seconds=settings.fit_seconds,
        lease_seconds=settings.batch_seconds,
    )

    def heard(payload: str | None) -> None:
        suggester.wake(payload)
        insights.wake()

    conninfo = pool.conninfo
    assert isinstance(conninfo, str)
    tasks = [
        asyncio.create_task(suggester.run(), name="suggester"),
        asyncio.create_task(insights.run(), name="insights"),
        asyncio.create_task(listen(conninfo, CHANNEL, heard), name="demand"),
    ]
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        await asyncio.wait(
            [*tasks, asyncio.create_task(ended.wait())], return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await lanes.close()
        await pool.close()
    for result in results:
        if isinstance(result, Exception):
            raise result


def run(settings: Settings) -> None:
    """The entry point of `trimtab suggest`."""
    configure(level=settings.log_level, as_json=settings.log_json)
    asyncio.run(serve(settings))
