"""Trials that are planned to run so far: from the suggestion to the stop, whoever asks when."""

import uuid
from typing import Any

import pytest

from service.errors import UnsupportedStudy
from service.leases.known import KnownStudy
from service.schemas.trials import Completed
from service.studies.spec import load_spec
from service.suggester.batches import Made, Proposal, begin, finish
from service.suggester.history import read_changed
from service.trials.cancel import retry
from service.trials.enqueue import enqueue
from tests.leases.world import Run, World

FIDELITY = {
    "searcher": {"kind": "botorch", "fidelity": {"low": 1, "high": 27}},
    "scheduler": {"kind": "full"},
}
REASON = "as far as planned: 9 of 27 steps"


async def planned(world: World, study: KnownStudy, *steps: int | None) -> None:
    """Put a suggestion for each of the steps in the buffer, the way a suggester does."""
    async with world.pool.connection() as connection, connection.transaction():
        lease = await begin(connection, study.id, count=len(steps), seconds=60)
        assert lease is not None
        proposals = [
            Proposal(config={"x": 0.1 + 0.01 * k}, origin={"by": "test"}, until=step)
            for k, step in enumerate(steps)
        ]
        made = Made(
            proposals=proposals,
            superseded=(),
            seen=0,
            watermark=0,
            pending=(),
            memo=None,
            exhausted=None,
            error=None,
            seconds=0.0,
        )
        assert await finish(connection, lease, made)


async def taken(world: World, steps: int | None = 9, **options: Any) -> Run:
    study = await world.study(**{**FIDELITY, **options})
    await planned(world, study, steps)
    run = await world.ask(study)
    assert run is not None
    return run


async def test_the_plan_is_the_first_milestone_and_ends_the_trial(world: World) -> None:
    run = await taken(world)
    assert run.taken.until == 9
    before = await run.report(8, loss=0.5)
    assert (before.decision.kind, before.decision.until) == ("continue", 9)
    there = await run.report(9, loss=0.4)
    assert (there.decision.kind, there.request, there.decision.reason) == ("stop", "stop", REASON)
    again = await run.report(9, loss=0.4)
    assert (again.decision, again.request) == (there.decision, "stop")
    verdict = await run.tell()  # the worker takes the end of its loop for the end of training
    assert (verdict.state, verdict.reason, verdict.values) == ("stopped", REASON, {"loss": 0.4})
    assert await run.tell() == verdict
    await world.check()


async def test_a_full_run_is_stopped_by_nobody(world: World) -> None:
    run = await taken(world, None)
    assert run.taken.until is None
    assert (await run.report(27, loss=0.4)).decision.kind == "continue"
    assert (await run.tell()).state == "completed"


async def test_who_ran_on_to_the_end_has_completed(world: World) -> None:
    run = await taken(world)
    for step in (9, 27):
        assert (await run.report(step, loss=0.1)).decision.kind == "stop"
    assert (await run.tell()).state == "completed"


async def test_a_program_that_ends_before_its_plan_has_completed(world: World) -> None:
    run = await taken(world)
    await run.report(5, loss=0.1)
    assert (await run.tell(Completed(values={"loss": 0.1}))).state == "completed"


async def test_another_attempt_keeps_the_plan(world: World) -> None:
    run = await taken(world)
    await run.report(4, loss=0.5)
    await run.release()
    await world.now(run)
    world.known.trials._entries.clear()  # another process, which knows nothing
    again = await world.ask(run.study)
    assert again is not None
    assert (again.number, again.attempt, again.taken.until) == (run.number, 2, 9)
    assert (await again.report(9, loss=0.5)).decision.reason == REASON


async def test_the_same_lease_id_hears_the_same_plan(world: World) -> None:
    study = await world.study(**FIDELITY)
    await planned(world, study, 3)
    lease = uuid.uuid4()
    answers = [await world.ask(study, lease=lease) for _ in range(2)]
    assert [answer.taken.until for answer in answers if answer] == [3, 3]


async def test_a_process_that_has_not_met_the_trial_finds_its_plan(world: World) -> None:
    run = await taken(world)
    world.known.trials._entries.clear()
    async with world.pool.connection() as connection:
        found = await world.known.trial(connection, world.project, run.trial.public_id)
    assert found.planned == 9


async def test_what_a_person_queues_is_a_full_run_and_a_retry_is_as_planned(world: World) -> None:
    run = await taken(world)
    await run.report(9, loss=0.5)
    await run.tell()
    async with world.pool.connection() as connection, connection.transaction():
        await enqueue(connection, run.study.id, [{"x": 0.9}], False, {"by": "user"})
    queued = await world.ask(run.study)
    assert queued is not None
    assert queued.taken.until is None
    async with world.pool.connection() as connection, connection.transaction():
        await retry(connection, run.trial)
    retried = await world.ask(run.study)
    assert retried is not None
    assert (retried.taken.claimed.config, retried.taken.until) == ({"x": 0.1}, 9)


async def test_a_searcher_reads_how_far_a_trial_was_to_run(world: World) -> None:
    run = await taken(world)
    async with world.pool.connection() as connection:
        _, trials = await read_changed(connection, run.study.id, -1)
    assert trials[0].until == 9


@pytest.mark.parametrize("kind", ["auto", "median"])
async def test_a_scheduler_that_stops_on_its_own_is_refused(world: World, kind: str) -> None:
    with pytest.raises(UnsupportedStudy, match='use "full"'):
        await world.study(**{**FIDELITY, "scheduler": {"kind": kind}})


async def test_the_spec_comes_back_as_it_was(world: World) -> None:
    study = await world.study(**FIDELITY)
    async with world.pool.connection() as connection:
        spec = await load_spec(connection, study.id, 1)
    assert spec.searcher.planned_steps() == (1, 27)
