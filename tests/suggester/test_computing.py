"""Children: what they compute, and what becomes of a batch when they fail."""

import asyncio
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from search.parameters import FloatParameter
from search.problem import Objective, Problem
from search.schedulers.full import Full
from search.searcher import Memo, Searcher
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.space import SearchSpace
from search.trial import Trial, TrialState
from service.leases.known import KnownStudy
from service.studies.spec import Spec
from service.suggester import serve as serving
from service.suggester.children import Child, ChildDied, Lane, TookTooLong
from service.suggester.compute import Computing, Lanes
from service.suggester.models import QUICK, modules
from service.suggester.plan import Plan
from service.suggester.serve import Serving, Waiting
from service.suggester.task import Answer, Fit, read_answer, write_answer
from tests.leases.world import World
from tests.suggester.searchers import Broken, Slow

SPACE = SearchSpace(parameters=[FloatParameter(name="x", low=0, high=1)])
PROBLEM = Problem(space=SPACE, objectives=[Objective(metric="loss")], seed=3)


def fit(searcher: Searcher, count: int = 2, **changes: object) -> Fit:
    task = Fit(
        study_id=1, version=0, changed={}, anew=True, forget=(), problem=PROBLEM,
        searcher=searcher, batch=0, memo=None, reserved=(), count=count,
    )  # fmt: skip
    return replace(task, **changes)  # type: ignore[arg-type]


def ended(count: int) -> dict[int, Trial]:
    """As many trials, completed."""
    return {
        n: Trial(
            number=n, config={"x": n / 100}, state=TrialState.COMPLETED, values={"loss": n * n}
        )
        for n in range(count)
    }


def spec(searcher: Searcher) -> Spec:
    return Spec(problem=PROBLEM, searcher=searcher, scheduler=Full())


async def make(
    world: World,
    lanes: Lanes,
    study: KnownStudy,
    searcher: Searcher,
    *,
    count: int = 3,
    model: bool = False,
    seconds: float = 20.0,
) -> bool:
    computing = Computing(world.pool, lanes, fit_seconds=seconds)
    plan = Plan(count=count, refresh=False, soon_taken=0)
    serves = Serving(world.pool, computing, batch_seconds=30)
    return await serves.serve(study.id, spec(searcher), plan, model=model)


async def test_a_child_answers_and_remembers_a_study(lanes: Lanes) -> None:
    trial = Trial(number=0, config={"x": 0.5}, state=TrialState.COMPLETED, values={"loss": 1.0})
    async with lanes.quick.child(1) as child:
        first = await child.fit(fit(Sobol(), changed={0: trial}, version=4), 30)
        assert (first.seen, len(first.suggestions)) == (1, 2)
        later = fit(Sobol(), anew=False, version=5, reserved=[{"x": 0.25}])
        second = await child.fit(later, 30)
        assert second.seen == 1  # it still knows the trial
        assert {"x": 0.25} in second.pending
        assert child.versions == {1: 5}
    async with lanes.quick.child(1) as again:
        assert again is child


async def test_a_child_forgets_what_it_is_told_to(lanes: Lanes) -> None:
    async with lanes.quick.child(1) as child:
        await child.fit(fit(Sobol()), 30)
        await child.fit(fit(Sobol(), study_id=2, forget=[1]), 30)
        assert list(child.versions) == [2]
        # Had it kept the study, this would not fail.
        with pytest.raises(AssertionError):
            assert (await child.fit(fit(Sobol(), anew=False), 30)).error is None


@pytest.mark.parametrize("how", ["raises", "outside", "nan"])
async def test_a_searcher_that_fails_is_told_and_harms_nobody(lanes: Lanes, how: str) -> None:
    async with lanes.quick.child(1) as child:
        answer = await child.fit(fit(Broken(how=how)), 30)
        assert answer.suggestions == []
        assert answer.error is not None
        assert (await child.fit(fit(Sobol()), 30)).error is None


async def test_what_a_library_prints_does_not_reach_the_answers(lanes: Lanes) -> None:
    async with lanes.quick.child(1) as child:
        answer = await child.fit(fit(Broken(how="prints")), 30)
        assert answer.suggestions == [({"x": 0.5}, {"by": "broken"})]


async def test_a_child_that_dies_or_takes_too_long_is_replaced(lanes: Lanes) -> None:
    with pytest.raises(ChildDied, match="code 3"):
        async with lanes.quick.child(1) as child:
            await child.fit(fit(Broken(how="dies")), 30)
    begun = time.monotonic()
    async with lanes.quick.child(1) as child:
        await child.warm_up(QUICK)
        with pytest.raises(TookTooLong):
            await child.fit(fit(Slow(seconds=60)), 0.2)
    assert time.monotonic() - begun < 30
    assert not child.alive
    async with lanes.quick.child(1) as child:
        assert (await child.fit(fit(Sobol()), 30)).error is None


async def test_a_child_ends_with_its_suggester_even_in_the_middle_of_a_fit() -> None:
    child = await Child.start()
    await child.warm_up(QUICK)
    running = asyncio.create_task(child._exchange(pickle.dumps(fit(Slow(seconds=60)))))
    await asyncio.sleep(0)
    assert child.process.stdin is not None
    child.process.stdin.close()  # as when the suggester is killed
    async with asyncio.timeout(10):
        await child.process.wait()
    with pytest.raises(asyncio.IncompleteReadError):
        await running


def test_only_botorch_loads_torch() -> None:
    script = """
import sys
from search.searchers.auto import AutoSearcher
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from service.suggester.child import compute
from service.suggester.models import modules
from tests.suggester.test_computing import ended, fit
for searcher in (Random(), Sobol(), Grid(), AutoSearcher()):
    assert len(compute(fit(searcher), {}).suggestions) == 2
for searcher in (GP(), AutoSearcher()):
    answer = compute(fit(searcher, changed=ended(12), modules=modules(searcher)), {})
    assert [origin["by"] for _, origin in answer.suggestions] == ["gp", "gp"]
import service.suggester.process
sys.exit("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=Path.cwd(), timeout=60, check=False)
    assert done.returncode == 0


async def test_a_child_loads_what_a_fit_needs_once(lanes: Lanes) -> None:
    async with lanes.models.child(1) as child:
        await child.fit(fit(GP(), changed=ended(5), modules=modules(GP())), 30)
        assert child.loaded == {"search.gp.suggest"}
        await child.warm_up(["json"])
        assert child.loaded == {"search.gp.suggest", "json"}


def test_answers_travel_as_they_are_and_only_as_json() -> None:
    answer = Answer(
        suggestions=[({"x": 0.5}, {"by": "gp", "mean": -1.5})], memo=Memo(version=2, data=[1, {}]),
        exhausted=True, seen=3, pending=[{"x": 1}], seconds=0.5, error="because",
    )  # fmt: skip
    assert read_answer(write_answer(answer)) == answer
    with pytest.raises(ValueError, match="JSON"):
        write_answer(Answer(suggestions=[({"x": float("nan")}, {})]))
    with pytest.raises(ValueError, match="memo"):
        write_answer(Answer(memo=Memo(version=1, data="x" * 2**20)))


@pytest.mark.parametrize(
    ("searcher", "because"),
    [
        (Broken(how="raises"), "the searcher failed: ZeroDivisionError: no more ideas"),
        (Broken(how="dies"), "the fit died with exit code 3"),
        (Slow(seconds=60), "the fit took more than 1.5 s"),
    ],
)
async def test_sobol_answers_where_a_searcher_fails_and_everybody_can_see_why(
    world: World, lanes: Lanes, searcher: Searcher, because: str
) -> None:
    study = await world.study()
    await lanes.quick.warm_up(QUICK)
    seconds = 1.5 if isinstance(searcher, Slow) else 20.0
    assert await make(world, lanes, study, searcher, seconds=seconds)
    origins = [o for (o,) in await world.rows("select origin from suggestion order by position")]
    assert [(o["by"], o["because"]) for o in origins] == [("sobol", because)] * 3
    assert await world.one("select error from batch") == because
    event = await world.one("select detail from event where kind = 'suggest_fallback'")
    assert event == {"batch": 0, "because": because}
    assert await world.ask(study) is not None
    assert await make(world, lanes, study, searcher, seconds=seconds)  # told once
    assert await world.one("select count(*) from event where kind = 'suggest_fallback'") == 1


async def test_a_space_at_its_end_is_noticed_and_ends_the_study(world: World, lanes: Lanes) -> None:
    study = await world.study()
    assert await make(world, lanes, study, Grid(points=3), count=8)
    assert await world.one("select exhausted from batch") == "search space exhausted"
    runs = [await world.ask(study) for _ in range(4)]
    assert [run is not None for run in runs] == [True, True, True, False]
    for run in runs[:3]:
        assert run is not None
        await run.tell(loss=1.0)
    state = await world.one("select state, state_reason from study where id = %s", study.id)
    assert state == ("completed", "exhausted")


async def test_the_inputs_of_a_batch_are_stored(world: World, lanes: Lanes) -> None:
    study = await world.study()
    run = await world.begin(study)
    await world.suggest(study, 1, x=0.125)
    await make(world, lanes, study, Random())
    row = await world.one(
        "select watermark, pending, count, seconds >= 0 from batch where watermark is not null"
    )
    assert row == (1, [run.taken.claimed.config, {"x": 0.125}], 3, True)


async def test_nobody_waits_long_for_a_fit_and_other_studies_do_not_wait_at_all(
    world: World, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "PATIENCE_AT_FIRST", 0.1)
    monkeypatch.setattr(serving, "LOOK_SECONDS", 0.05)
    # Two processes for models, both busy for long.
    busy, waiting, quick = await world.study(), await world.study(), await world.study()
    await lanes.quick.warm_up(QUICK)
    fits = [
        asyncio.create_task(make(world, lanes, study, Slow(seconds=60), model=True, seconds=60))
        for study in (busy, waiting)
    ]
    asks = [asyncio.create_task(world.ask(waiting, wait=20)) for _ in range(5)]
    runs = await asyncio.wait_for(asyncio.gather(*asks), 15)
    origins = await world.rows("select origin from trial where study_id = %s", waiting.id)
    assert len({run.number for run in runs if run}) == 5
    assert all("had waited" in origin["because"] for (origin,) in origins)
    assert await asyncio.wait_for(make(world, lanes, quick, Sobol()), 10)
    assert await world.ask(quick) is not None
    for task in fits:
        task.cancel()
    await asyncio.gather(*fits, return_exceptions=True)
    # What was left behind is free for others at once.
    free = "select count(*) from batch where state = 'running' and expires_at <= clock_timestamp()"
    assert await world.one(free) == 2


def waiting(**changes: object) -> Waiting:
    values: dict[str, object] = {
        "demands": 4, "waited": 0.3, "left": None, "finished": 60, "trial_seconds": 2.0,
        "bridged": 0,
    }  # fmt: skip
    return Waiting(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "seconds", "count"),
    [
        ({}, 0.1, 2),  # a twentieth of a trial, and two of fifty
        ({"bridged": 1}, 0.1, 1),
        ({"bridged": 2}, 5.0, 0),  # often enough: now they wait for the fit
        ({"bridged": 2, "waited": 6.0}, 5.0, 4),
        ({"finished": 30}, 0.1, 1),
        ({"finished": 24}, 5.0, 0),
        ({"finished": 1}, 0.5, 0),
        ({"finished": 1, "waited": 0.6}, 0.5, 4),
        ({"trial_seconds": None}, 5.0, 0),
        ({"trial_seconds": 0.01}, 0.02, 2),
        ({"trial_seconds": 3600.0}, 5.0, 2),
        ({"left": 1}, 0.1, 1),
        ({"left": 0}, 0.1, 0),
        ({"left": -1}, 0.1, 0),
    ],
)
def test_a_few_are_bridged_soon_and_the_others_only_when_a_fit_takes_long(
    changes: dict[str, object], seconds: float, count: int
) -> None:
    assert waiting(**changes).patience == pytest.approx(seconds)
    assert waiting(**changes).count == count


async def test_an_ask_that_comes_during_a_fit_is_bridged_at_once(
    world: World, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Looking by itself it would come too late.
    monkeypatch.setattr(serving, "PATIENCE_AT_FIRST", 0.0)
    monkeypatch.setattr(serving, "LOOK_SECONDS", 60.0)
    study = await world.study()
    await lanes.quick.warm_up(QUICK)
    serves = Serving(world.pool, Computing(world.pool, lanes, fit_seconds=60), batch_seconds=30)
    plan = Plan(count=1, refresh=False, soon_taken=0)
    fit = asyncio.create_task(serves.serve(study.id, spec(Slow(seconds=60)), plan, model=True))
    serves.wake(study.id)  # nobody listens yet: not an error
    async with asyncio.timeout(30):
        while not await world.one("select count(*) from batch where state = 'running'"):
            await asyncio.sleep(0.01)
        ask = asyncio.create_task(world.ask(study, wait=20))
        while not await world.one("select count(*) from demand"):
            await asyncio.sleep(0.01)
        while not ask.done():  # the suggester hears of each demand once, when it listens
            serves.wake(study.id)
            await asyncio.sleep(0.05)
    run = await ask
    assert run is not None
    origin = await world.one("select origin from trial")
    assert "had waited" in origin["because"]
    assert origin["waited"] >= 0
    fit.cancel()
    await asyncio.gather(fit, return_exceptions=True)


async def test_a_lane_serves_as_many_at_once_as_it_may() -> None:
    lane = Lane(2)
    try:
        async with lane.child(1) as one, lane.child(2) as two:
            assert one is not two
            third = asyncio.create_task(_borrow(lane))
            done, _ = await asyncio.wait({third}, timeout=0.05)
            assert not done
        assert await asyncio.wait_for(third, 5)
    finally:
        await lane.close()


async def test_whoever_waits_gets_an_old_process_while_a_new_one_still_loads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loading, loaded = asyncio.Event(), asyncio.Event()

    async def load(child: Child, modules: Sequence[str]) -> None:
        loading.set()
        await loaded.wait()

    lane = Lane(2)
    try:
        async with lane.child(1) as old:
            monkeypatch.setattr(Child, "warm_up", load)
            waiting = asyncio.create_task(_taken(lane))
            await asyncio.wait_for(loading.wait(), 10)
            assert not waiting.done()
        assert await asyncio.wait_for(waiting, 5) is old
        loaded.set()
        async with lane.child(1), lane.child(2) as new:
            assert new is not old
    finally:
        loaded.set()
        await lane.close()


async def test_a_process_that_dies_while_it_loads_is_handed_over_and_then_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def dies(child: Child, modules: Sequence[str]) -> None:
        await child.kill()
        raise ChildDied("died with exit code -9")

    lane = Lane(1)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Child, "warm_up", dies)
            async with lane.child(1, modules=QUICK) as dead:
                assert not dead.alive
        async with lane.child(1) as fresh:
            assert (await fresh.fit(fit(Sobol()), 30)).error is None
    finally:
        await lane.close()


async def test_closing_ends_a_process_that_is_still_loading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loading = asyncio.Event()
    begun: list[Child] = []

    async def load(child: Child, modules: Sequence[str]) -> None:
        begun.append(child)
        loading.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Child, "warm_up", load)
    lane = Lane(1)
    taking = asyncio.create_task(_taken(lane))
    await asyncio.wait_for(loading.wait(), 10)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    await lane.close()
    assert not begun[0].alive


async def _taken(lane: Lane) -> Child:
    async with lane.child(1, modules=QUICK) as child:
        return child


async def _borrow(lane: Lane) -> bool:
    async with lane.child(1) as child:
        return child.alive
