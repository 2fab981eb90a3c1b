"""report: what is stored, what is counted, and what a repeat gets."""

import asyncio
import math
import random
from dataclasses import replace

import pytest

from service.errors import LeaseLost, LimitExceeded
from service.leases import metrics
from service.leases.known import Known
from service.leases.metrics import Measured
from service.leases.report import report
from tests.leases.world import World


def batch(*steps: int, offset: float = 0.0) -> list[Measured]:
    return [Measured(step=s, values={"loss": s + offset, "acc": -s + offset}) for s in steps]


async def points(world: World, trial_id: int) -> list[tuple[str, int, int, float]]:
    return await world.rows(
        "select n.name, m.step, m.attempt, m.value from metric m join trial t on t.id = m.trial_id"
        " join metric_name n on n.study_id = t.study_id and n.id = m.metric_id"
        " where t.id = %s order by 1, 2",
        trial_id,
    )


async def test_a_batch_sent_again_in_any_order_stores_each_point_once(world: World) -> None:
    run = await world.begin(await world.study())
    first = await run.send(batch(0, 1, 2))
    assert (first.accepted, first.already, first.conflicting) == (6, 0, 0)
    shuffled = batch(0, 1, 2)
    random.Random(1).shuffle(shuffled)
    second = await run.send(shuffled)
    assert (second.accepted, second.already, second.conflicting) == (0, 6, 0)
    third = await run.send([*batch(2, 3), *batch(1, offset=0.5)])
    assert (third.accepted, third.already, third.conflicting) == (2, 2, 2)
    stored = await points(world, run.trial.id)
    assert [(s, v) for name, s, _, v in stored if name == "loss"] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 3),
    ]


async def test_the_same_point_twice_in_one_batch_counts_once(world: World) -> None:
    run = await world.begin(await world.study())
    found = await run.send([*batch(1), *batch(1), *batch(1, offset=9)])
    assert (found.accepted, found.already, found.conflicting) == (2, 2, 2)
    assert await points(world, run.trial.id) == [("acc", 1, 1, -1.0), ("loss", 1, 1, 1.0)]


async def test_many_reports_of_the_same_points_at_once(world: World) -> None:
    run = await world.begin(await world.study())
    found = await asyncio.gather(*(run.send(batch(0, 1, 2)) for _ in range(12)))
    assert sum(receipt.accepted for receipt in found) == 6
    assert sum(receipt.already for receipt in found) == 66
    assert sum(receipt.conflicting for receipt in found) == 0


async def test_numbers_that_are_not_finite_are_stored_as_they_came(world: World) -> None:
    run = await world.begin(await world.study())
    await run.report(0, loss=math.nan)
    await run.report(1, loss=math.inf)
    again = await run.report(0, loss=math.nan)
    assert (again.already, again.conflicting) == (1, 0)
    assert [math.isnan(p[3]) for p in await points(world, run.trial.id)] == [True, False]


async def test_a_later_attempt_overwrites_and_then_its_first_value_stays(world: World) -> None:
    study = await world.study()
    run = await world.begin(study)
    await run.send(batch(0, 1))
    await world.expire(run)
    await world.now(run)
    again = await world.ask(study)
    assert again is not None
    found = await again.report(1, loss=7.0)
    assert (found.accepted, found.already, found.conflicting) == (1, 0, 0)
    found = await again.report(1, loss=8.0)
    assert (found.accepted, found.already, found.conflicting) == (0, 0, 1)
    stored = {(name, step): (a, v) for name, step, a, v in await points(world, run.trial.id)}
    assert stored["loss", 1] == (2, 7.0)
    assert stored["loss", 0] == (1, 0.0)


async def test_a_worker_that_was_replaced_changes_nothing(world: World) -> None:
    study = await world.study()
    run = await world.begin(study, worker="old")
    await world.expire(run)
    with pytest.raises(LeaseLost):  # nobody has it yet, but the reaper has taken it back
        await run.report(0, loss=1.0)
    await world.now(run)
    again = await world.ask(study, worker="new")
    assert again is not None
    for _ in range(2):
        with pytest.raises(LeaseLost):
            await run.report(5, loss=1.0)
        with pytest.raises(LeaseLost):
            await run.report(5, loss=1.0, surprise=2.0)
        with pytest.raises(LeaseLost):
            await run.beat()
        with pytest.raises(LeaseLost):
            await run.tell(loss=1.0)
    assert await points(world, run.trial.id) == []
    assert await world.rows("select 1 from metric_name where name = 'surprise'") == []
    assert (await world.one("select last_step from lease")) is None


async def test_a_report_renews_the_lease_however_late_it_comes(world: World) -> None:
    run = await world.begin(await world.study())
    await world.lapse(run, 3600)
    await run.report(0, loss=1.0)
    assert await world.one("select expires_at > clock_timestamp() + interval '50 s' from lease")
    await world.lapse(run, 3600)
    await run.beat()
    assert await world.one("select expires_at > clock_timestamp() + interval '50 s' from lease")


async def test_processes_that_learn_metrics_at_once_agree_on_their_ids(world: World) -> None:
    study = await world.study()
    runs = [await world.begin(study) for _ in range(8)]

    async def learn(place: int) -> None:
        async with runs[place].call() as call:
            strange = replace(call, known=Known())
            values = {"loss": 1.0, f"m{place}": 2.0, f"m{(place + 1) % 8}": 3.0}
            await report(strange, [Measured(step=0, values=values)])

    await asyncio.gather(*(learn(place) for place in range(8)))
    names = await world.rows("select name, id from metric_name where study_id = %s", study.id)
    assert {name for name, _ in names} == {"loss", *(f"m{n}" for n in range(8))}
    for place, run in enumerate(runs):
        stored = {name: value for name, _, _, value in await points(world, run.trial.id)}
        assert stored == {"loss": 1.0, f"m{place}": 2.0, f"m{(place + 1) % 8}": 3.0}


async def test_a_study_has_at_most_two_hundred_metrics(world: World) -> None:
    run = await world.begin(await world.study())
    await run.send([Measured(step=0, values={f"m{n}": 0.0 for n in range(199)})])
    with pytest.raises(LimitExceeded):
        await run.report(0, loss=1.0, one_more=2.0)
    assert (await run.report(0, loss=1.0)).accepted == 1


async def test_a_trial_has_a_limited_number_of_points(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MAX_POINTS", 20)
    run = await world.begin(await world.study())
    for step in range(20):
        await run.report(step, loss=1.0)
    with pytest.raises(LimitExceeded):
        await run.report(20, loss=1.0)
    assert (await run.tell()).state == "completed"
