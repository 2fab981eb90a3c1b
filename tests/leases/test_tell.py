"""tell: how trials end, once."""

import asyncio
import math
from typing import Any

import pytest

from service.errors import AlreadyTold, InvalidRequest, LeaseLost, LimitExceeded
from service.leases.metrics import Measured
from service.schemas.trials import Completed, Failed, Infeasible, Stopped
from tests.leases.world import Run, World

TWO = [{"metric": "loss"}, {"metric": "size", "goal": "maximize", "read": "best"}]


async def trial(world: World, run: Run) -> dict[str, Any]:
    names = ("state", "reason", "message", "values", "objective", "finished_at is not null")
    row = await world.one(f"select {', '.join(names)} from trial where id = %s", run.trial.id)
    return dict(
        zip(("state", "reason", "message", "values", "objective", "final"), row, strict=True)
    )


async def test_a_completed_trial_has_what_was_told_else_what_was_measured_last(
    world: World,
) -> None:
    run = await world.begin(await world.study(objectives=TWO))
    for step, size in enumerate((3.0, 9.0, math.nan, 5.0)):
        await run.report(step, loss=1.0 / (1 + step), size=size, other=float(step))
    told = await run.tell(loss=0.125)
    assert (told.state, told.reason) == ("completed", None)
    assert told.values == {"loss": 0.125, "size": 9.0, "other": 3.0}
    assert (await trial(world, run))["objective"] == 0.125
    assert await world.rows("select 1 from lease") == []
    assert (await world.count(run.study))["finished"] == 1


async def test_the_same_tell_twice_is_one_effect_and_another_is_refused(world: World) -> None:
    run = await world.begin(await world.study())
    first = await run.tell(loss=1.0)
    assert await run.tell(loss=1.0) == first
    with pytest.raises(AlreadyTold):
        await run.tell(loss=2.0)
    with pytest.raises(AlreadyTold):
        await run.tell(Failed())
    assert await world.count(run.study) == {
        "next_number": 1, "running": 0, "finished": 1, "failed": 0, "imported": 0,
    }  # fmt: skip
    ends = "select count(*) from event where kind = 'trial_completed'"
    assert await world.one(ends) == 1


async def test_what_was_measured_last_comes_with_the_tell_and_is_stored_first(
    world: World,
) -> None:
    run = await world.begin(await world.study())
    await run.report(0, loss=2.0)
    last = [Measured(step=step, values={"loss": 1.0 / step}) for step in (1, 2)]
    first = await run.tell(measured=last)
    assert first.values == {"loss": 0.5}
    assert await run.tell(measured=last) == first  # the answer was lost: sent again
    with pytest.raises(AlreadyTold):
        await run.tell(Failed(), measured=last)
    stored = await world.rows("select step, value from metric order by step")
    assert stored == [(0, 2.0), (1, 1.0), (2, 0.5)]
    await world.check()


async def test_where_the_measurements_are_refused_nothing_is_told(world: World) -> None:
    run = await world.begin(await world.study())
    many = [Measured(step=0, values={f"m{n}": 1.0 for n in range(201)})]
    with pytest.raises(LimitExceeded):
        await run.tell(measured=many, loss=1.0)
    assert (await trial(world, run))["state"] == "running"
    assert await world.one("select count(*) from metric") == 0
    assert (await run.tell(loss=1.0)).state == "completed"


async def test_a_late_tell_with_measurements_is_not_adopted_without_them(world: World) -> None:
    run = await world.begin(await world.study())
    assert await world.expire(run) == "queued"
    with pytest.raises(LeaseLost):
        await run.tell(measured=[Measured(step=0, values={"loss": 1.0})])
    assert (await trial(world, run))["state"] == "queued"
    assert await world.one("select count(*) from metric") == 0


async def test_many_tells_at_once_end_the_trial_once(world: World) -> None:
    run = await world.begin(await world.study())
    found = await asyncio.gather(
        *(run.tell(loss=float(n % 2)) for n in range(16)), return_exceptions=True
    )
    values = {tuple(f.values.values()) for f in found if not isinstance(f, BaseException)}
    assert len(values) == 1
    refused = [f for f in found if isinstance(f, BaseException)]
    assert len(refused) == 8
    assert all(isinstance(f, AlreadyTold) for f in refused)
    assert (await world.count(run.study))["finished"] == 1


async def test_an_objective_that_is_not_finite_makes_the_trial_infeasible(world: World) -> None:
    run = await world.begin(await world.study())
    await run.report(0, loss=math.nan)
    told = await run.tell()
    assert (told.state, told.reason, told.values) == ("infeasible", "non_finite", {"loss": "NaN"})
    assert (await trial(world, run))["objective"] is None
    assert await run.tell() == told


async def test_a_missing_objective_is_named_and_nothing_changes(world: World) -> None:
    run = await world.begin(await world.study(objectives=TWO))
    await run.report(0, loss=1.0)
    with pytest.raises(InvalidRequest, match="size"):
        await run.tell()
    assert await world.state(run) == "running"
    assert (await run.beat()).attempt == 1
    assert (await run.tell(size=1.0)).state == "completed"


async def test_a_stopped_trial_keeps_its_measurements(world: World) -> None:
    run = await world.begin(await world.study())
    await run.report(3, loss=0.25)
    told = await run.tell(Stopped(reason="worse than the median"))
    assert (told.state, told.reason, told.values) == (
        "stopped", "worse than the median", {"loss": 0.25},
    )  # fmt: skip
    assert (await trial(world, run))["objective"] == 0.25


async def test_failed_and_infeasible_say_why(world: World) -> None:
    study = await world.study()
    run = await world.begin(study)
    await run.tell(Failed(reason="oom", message="CUDA out of memory"))
    found = await trial(world, run)
    assert (found["state"], found["reason"], found["message"], found["final"]) == (
        "failed", "oom", "CUDA out of memory", True,
    )  # fmt: skip
    run = await world.begin(study)
    told = await run.tell(Infeasible(reason="width x depth is too large"))
    assert (told.state, told.reason) == ("infeasible", "width x depth is too large")
    assert (await world.count(study))["failed"] == 1


async def test_a_later_attempt_that_ends_earlier_drops_what_lies_beyond(world: World) -> None:
    study = await world.study()
    run = await world.begin(study)
    await run.send([Measured(step=s, values={"loss": 9.0}) for s in range(6)])
    await world.expire(run)
    await world.now(run)
    again = await world.ask(study)
    assert again is not None
    await again.send([Measured(step=s, values={"loss": 5.0}) for s in range(1, 4)])
    assert (await again.tell()).values == {"loss": 5.0}
    stored = await world.rows("select step, attempt, value from metric order by step")
    assert stored == [(0, 1, 9.0), (1, 2, 5.0), (2, 2, 5.0), (3, 2, 5.0)]


async def test_an_attempt_that_measured_nothing_ends_with_nothing_of_the_one_before(
    world: World,
) -> None:
    study = await world.study()
    run = await world.begin(study)
    await run.report(4, loss=9.0)
    await world.expire(run)
    await world.now(run)
    again = await world.ask(study)
    assert again is not None
    with pytest.raises(InvalidRequest):
        await again.tell()
    await again.tell(loss=1.0)
    assert await world.rows("select 1 from metric") == []


async def test_a_late_tell_is_adopted_once_while_nobody_has_the_trial(world: World) -> None:
    study = await world.study()
    run = await world.begin(study)
    await run.report(0, loss=4.0)
    assert await world.expire(run) == "queued"
    first = await run.tell()
    assert (first.state, first.values) == ("completed", {"loss": 4.0})
    assert await run.tell() == first
    await world.now(run)
    assert await world.ask(study) is None
    assert await world.count(study) == {
        "next_number": 1, "running": 0, "finished": 1, "failed": 0, "imported": 0,
    }  # fmt: skip
    assert await world.rows("select number, end_reason from attempt") == [(1, "told")]


async def test_a_late_tell_and_a_new_claim_race_and_one_wins(world: World) -> None:
    for _ in range(25):
        study = await world.study()
        run = await world.begin(study)
        await world.expire(run)
        await world.now(run)
        barrier = asyncio.Barrier(2)

        async def late(run: Run = run, barrier: asyncio.Barrier = barrier) -> bool:
            await barrier.wait()
            try:
                await run.tell(loss=1.0)
            except LeaseLost:
                return False
            return True

        async def claim(study: Any = study, barrier: asyncio.Barrier = barrier) -> bool:
            await barrier.wait()
            return await world.ask(study) is not None

        told, claimed = await asyncio.gather(late(), claim())
        assert told != claimed
        state = await world.state(run)
        assert state == ("completed" if told else "running")


async def test_who_gave_a_trial_back_cannot_tell_it(world: World) -> None:
    run = await world.begin(await world.study())
    assert await run.release() == "queued"
    with pytest.raises(LeaseLost):
        await run.tell(loss=1.0)


async def test_a_tell_and_reports_at_once_never_lose_a_point(world: World) -> None:
    for _ in range(10):
        run = await world.begin(await world.study())
        await run.report(0, loss=0.0)

        async def keep_reporting(run: Run = run) -> int:
            last = 0
            for step in range(1, 50):
                try:
                    await run.report(step, loss=float(step))
                except LeaseLost:
                    break
                last = step
            return last

        last, told = await asyncio.gather(keep_reporting(), run.tell())
        assert told.values == {"loss": float(last)}


async def test_the_target_completes_the_study(world: World) -> None:
    objectives = [{"metric": "acc", "goal": "maximize"}]
    study = await world.study(objectives=objectives, budget={"target": 0.9})
    first, second = await world.begin(study), await world.begin(study)
    await first.tell(acc=0.89)
    assert await world.one("select state from study where id = %s", study.id) == "active"
    await second.tell(acc=0.9)
    state = await world.one("select state, state_reason from study where id = %s", study.id)
    assert state == ("completed", "target")


async def test_a_study_pauses_after_too_many_failures_and_again_after_as_many(world: World) -> None:
    study = await world.study(max_failed=2)
    state = "select state, state_reason from study where id = %s"
    await (await world.begin(study)).tell(loss=1.0)
    for expected in ("active", "paused"):
        await (await world.begin(study)).tell(Failed(reason="oom"))
        assert (await world.one(state, study.id))[0] == expected
    assert (await world.one(state, study.id))[1] == "2 trials have failed"
    await world.rows("update study set state = 'active' where id = %s", study.id)
    for expected in ("active", "paused"):
        await (await world.begin(study)).tell(Failed(reason="oom"))
        assert (await world.one(state, study.id))[0] == expected


async def test_a_study_whose_first_three_trials_fail_in_their_program_pauses(world: World) -> None:
    for reason, expected in (("user_error", "paused"), ("oom", "active")):
        study = await world.study()
        for _ in range(3):
            run = await world.begin(study)
            await run.tell(Failed(reason=reason))  # type: ignore[arg-type]
        assert await world.one("select state from study where id = %s", study.id) == expected


async def test_told_values_may_name_any_metric(world: World) -> None:
    run = await world.begin(await world.study())
    told = await run.tell(Completed(values={"loss": 1.0, "final_only": math.inf}))
    assert (told.state, told.values) == ("completed", {"loss": 1.0, "final_only": "Infinity"})
