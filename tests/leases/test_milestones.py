"""Milestones: who is judged, when, against whom, and what a repeat hears."""

import asyncio
import math
from typing import Any

import pytest

from service.leases.metrics import Measured
from tests.leases.world import Run, World

MEDIAN = {"kind": "median", "warmup_steps": 2, "interval": 2, "min_trials": 2}
ASHA = {"kind": "asha", "min_steps": 1, "max_steps": 27, "reduction_factor": 3}


async def runs(world: World, count: int, **options: Any) -> list[Run]:
    study = await world.study(**{"scheduler": MEDIAN, **options})
    return [await world.begin(study) for _ in range(count)]


async def decisions(world: World, run: Run) -> list[tuple[int, int, str]]:
    query = "select attempt, step, kind from decision where trial_id = %s order by 1, 2"
    return await world.rows(query, run.trial.id)


async def test_below_the_milestone_nothing_is_decided(world: World) -> None:
    (run,) = await runs(world, 1)
    assert run.taken.until == 2
    found = await run.report(1, loss=1.0)
    assert (found.decision.kind, found.decision.until, found.request) == ("continue", 2, None)
    assert await decisions(world, run) == []
    assert await world.rows("select 1 from standing") == []


async def test_the_worst_of_three_is_stopped_and_a_repeat_hears_the_same(world: World) -> None:
    good, fair, bad = await runs(world, 3)
    assert (await good.report(2, loss=1.0)).decision.until == 4
    assert (await fair.report(2, loss=2.0)).decision.until == 4
    first = await bad.report(2, loss=3.0)
    assert (first.decision.kind, first.request) == ("stop", "stop")
    again = await bad.report(2, loss=3.0)
    assert (again.decision, again.request) == (first.decision, "stop")
    assert (await bad.beat()).request == "stop"
    assert await decisions(world, bad) == [(1, 2, "stop")]
    detail = await world.one("select detail from decision where trial_id = %s", bad.trial.id)
    assert (detail["rank"], detail["n"], detail["loss"], detail["median"]) == (3, 3, 3.0, 1.5)
    assert (await bad.report(3, loss=0.0)).decision.kind == "stop"
    assert (await bad.tell()).state == "completed"


async def test_an_old_report_sent_again_hears_its_own_decision(world: World) -> None:
    run, *_ = await runs(world, 1)
    first = await run.report(2, loss=1.0)
    await run.report(4, loss=1.0)
    again = await run.report(2, loss=1.0)
    assert again.decision.until == first.decision.until == 4
    assert (await run.report(4, loss=1.0)).decision.until == 6


async def test_the_first_measurement_past_a_milestone_counts_for_it(world: World) -> None:
    (run,) = await runs(world, 1)
    await run.send([Measured(step=s, values={"loss": float(s)}) for s in (1, 3, 4)])
    assert await world.rows("select step, loss from standing order by step") == [(2, 3.0), (4, 4.0)]
    assert await decisions(world, run) == [(1, 2, "continue"), (1, 4, "continue")]


async def test_only_the_objectives_metric_reaches_a_milestone(world: World) -> None:
    (run,) = await runs(world, 1)
    found = await run.report(5, other=1.0)
    assert found.decision.until == 2
    assert await decisions(world, run) == []
    assert (await run.report(6, loss=1.0)).decision.until == 4 + 4


async def test_maximised_metrics_stand_with_their_sign_turned(world: World) -> None:
    objectives = [{"metric": "loss", "goal": "maximize", "read": "best"}]
    (run,) = await runs(world, 1, objectives=objectives)
    await run.send([Measured(step=s, values={"loss": v}) for s, v in ((0, 5.0), (1, math.nan))])
    await run.report(2, loss=3.0)
    assert await world.rows("select loss from standing") == [(-5.0,)]  # the best so far


async def test_a_loss_that_is_not_finite_stands_as_infinity(world: World) -> None:
    (run,) = await runs(world, 1, objectives=[{"metric": "loss", "goal": "maximize"}])
    found = await run.report(2, loss=math.nan)
    assert found.decision.kind == "stop"
    assert await world.rows("select loss from standing") == [(math.inf,)]


async def test_two_reports_at_once_decide_once(world: World) -> None:
    for _ in range(10):
        (run,) = await runs(world, 1)
        found = await asyncio.gather(*(run.report(2, loss=1.0) for _ in range(6)))
        assert {receipt.decision.until for receipt in found} == {4}
        assert await decisions(world, run) == [(1, 2, "continue")]


async def test_another_attempt_is_judged_by_what_it_measures_itself(world: World) -> None:
    (run,) = await runs(world, 1)
    await run.report(2, loss=1.0)
    await run.report(4, loss=1.0)
    await world.expire(run)
    await world.now(run)
    again = await world.ask(run.study)
    assert again is not None
    assert again.taken.until == 2  # no checkpoint: from the start
    assert (await again.report(1, loss=9.0)).decision.until == 2
    assert (await again.report(2, loss=9.0)).decision.until == 4
    standing = "select attempt, loss from standing order by step"
    assert await world.rows(standing) == [(2, 9.0), (1, 1.0)]


async def test_after_a_checkpoint_what_was_decided_before_it_holds(world: World) -> None:
    (run,) = await runs(world, 1)
    await run.report(2, loss=1.0)
    await world.rows(
        "with c as ("
        "insert into checkpoint (trial_id, attempt, step, sha256, size, key, committed_at)"
        " values (%s, 1, 3, 'x', 1, 'k', clock_timestamp()) returning id, trial_id)"
        " update trial set checkpoint_id = c.id from c where trial.id = c.trial_id",
        run.trial.id,
    )
    await run.report(4, loss=1.0)
    await world.expire(run)
    await world.now(run)
    again = await world.ask(run.study)
    assert again is not None
    assert again.taken.until == 4


async def test_a_study_without_milestones_after_the_last_rung(world: World) -> None:
    (run,) = await runs(world, 1, scheduler=ASHA)
    until: int | None = 1
    for step in range(1, 30):
        found = await run.report(step, loss=1.0)
        until = found.decision.until
    assert until is None
    assert [step for _, step, _ in await decisions(world, run)] == [1, 3, 9]


async def test_a_milestone_costs_the_same_in_a_large_study(world: World) -> None:
    (run,) = await runs(world, 1)
    await world.rows(
        "insert into standing select %s, 0, 2, n, 1, n from generate_series(10, 5009) n",
        run.study.id,
    )
    await run.report(2, loss=1.0)
    detail = await world.one("select detail from decision where trial_id = %s", run.trial.id)
    assert detail["n"] == 1000


@pytest.mark.parametrize("kind", ["full", "median", "asha", "auto"])
async def test_every_scheduler_serves_a_report(world: World, kind: str) -> None:
    (run,) = await runs(world, 1, scheduler=ASHA if kind == "asha" else {"kind": kind})
    for step in range(8):
        assert (await run.report(step, loss=1.0)).decision.kind == "continue"
