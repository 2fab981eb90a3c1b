"""Lost answers and outages: every call may be repeated, and our downtime costs nobody a trial."""

import asyncio
import contextlib
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool

from service.db.engine import make_engine
from service.errors import LeaseLost, StudyEnded
from service.leases.reaper import run as reap_for_ever
from service.leases.reaper import tidy
from service.resources import Resources
from service.settings import Settings
from tests.leases.checker import Acknowledged, check_acknowledged
from tests.leases.world import Run, World

Answer = TypeVar("Answer")


class LostAnswer(psycopg.OperationalError):
    """The statement was executed; nobody heard so."""


class Faulty(psycopg.AsyncConnection[Any]):
    """Executes, and then says that it failed, for one statement in twelve."""

    rng = random.Random(11)
    lost = 0

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        cursor = await super().execute(*args, **kwargs)
        if self.rng.random() < 1 / 12:
            Faulty.lost += 1
            raise LostAnswer("the connection was lost after the statement")
        return cursor


async def insist(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """What a client does: send the same again until there is an answer."""
    while True:
        try:
            return await call()
        except LostAnswer:
            continue


async def test_workers_that_repeat_every_unanswered_call_lose_nothing(world: World) -> None:
    study = await world.study(
        budget={"trials": 60}, scheduler={"kind": "median", "warmup_steps": 1, "min_trials": 3}
    )
    await world.suggest(study, 60)
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        str(world.pool.conninfo),
        connection_class=Faulty,
        kwargs={"autocommit": True},
        max_size=8,
        open=False,
    )
    await pool.open(wait=True)
    world.pool, healthy = pool, world.pool
    heard = Acknowledged()
    try:
        await asyncio.gather(*(work(world, study, heard, seed) for seed in range(6)))
    finally:
        world.pool = healthy
        await pool.close()
    await tidy(world.pool)
    assert Faulty.lost > 40
    assert await world.one("select state from study") == "completed"
    assert (await world.count(study))["finished"] == 60
    await world.check()
    await asyncio.to_thread(check_acknowledged, world.url, heard)


async def work(world: World, study: Any, heard: Acknowledged, seed: int) -> None:
    """A worker that sometimes gives its trial back, until the study ends."""
    rng = random.Random(seed)
    while True:
        lease = uuid.uuid4()
        try:
            run = await insist(lambda lease=lease: world.ask(study, lease=lease, worker=f"w{seed}"))
        except StudyEnded:
            return
        if run is None:
            await asyncio.sleep(0.01)
            continue
        heard.claim(lease, run.trial.public_id, run.attempt)
        await _drive(run, heard, rng)


async def _drive(run: Run, heard: Acknowledged, rng: random.Random) -> None:
    trial = run.trial.public_id
    if rng.random() < 0.1:
        # Lost: the first one was heard, though its answer was not.
        with contextlib.suppress(LeaseLost):
            await insist(run.release)
        return
    for step in range(4):
        loss = rng.random()
        receipt = await insist(lambda step=step, loss=loss: run.report(step, loss=loss))
        assert (receipt.accepted, receipt.already, receipt.conflicting) in {(1, 0, 0), (0, 1, 0)}
        heard.point(trial, run.attempt, "loss", step, loss)
        if receipt.decision.kind == "stop":
            break
    verdict = await insist(run.tell)
    assert verdict.state == "completed"
    heard.tell(trial, run.attempt, run.lease, verdict.state)


async def test_our_downtime_costs_nobody_a_lease_but_the_dead_are_found_after_it(
    world: World,
) -> None:
    study = await world.study(lease_seconds=1.5)
    settings = Settings(database_url=world.url, reap_seconds=0.2)
    resources = Resources(
        settings=settings, engine=make_engine(settings), hot=world.pool, storage="", keyring=None
    )  # type: ignore[arg-type]
    alive, dead = await world.begin(study), await world.begin(study)
    reaper = asyncio.create_task(reap_for_ever(resources))
    await _until(world, "select 1 from liveness")
    reaper.cancel()  # every replica is down, for longer than any lease
    await asyncio.gather(reaper, return_exceptions=True)
    await _until(world, "select 1 having not exists (select from lease where expires_at > now())")
    reaper = asyncio.create_task(reap_for_ever(resources))
    try:
        beats = asyncio.create_task(_keep_beating(alive))
        await _until(world, f"select 1 from trial where id = {dead.trial.id} and state = 'queued'")
        assert await world.state(alive) == "running"
        assert await world.one("select attempt from trial where id = %s", alive.trial.id) == 1
    finally:
        for task in (beats, reaper):
            task.cancel()
        await asyncio.gather(beats, reaper, return_exceptions=True)
        await resources.engine.dispose()


async def _keep_beating(run: Run) -> None:
    while True:
        await asyncio.sleep(0.4)
        await run.beat()


async def _until(world: World, query: str) -> None:
    async with asyncio.timeout(20):
        while not await world.rows(query):
            await asyncio.sleep(0.02)
