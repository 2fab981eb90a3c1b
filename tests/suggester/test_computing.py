"""Children: what they compute, and what becomes of a batch when they fail."""

import asyncio
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.searcher import Memo, Searcher
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.trial import Trial, TrialState
from service.suggester.children import Child, ChildDied, TookTooLong
from service.suggester.compute import Lanes
from service.suggester.models import QUICK, modules
from service.suggester.task import Answer, read_answer, write_answer
from tests.leases.world import World
from tests.suggester.making import ended, fit, make
from tests.suggester.searchers import Broken, Slow


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
        assert answer.suggestions == [({"x": 0.5}, {"by": "broken"}, None)]


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
from tests.suggester.making import ended, fit
for searcher in (Random(), Sobol(), Grid(), AutoSearcher()):
    assert len(compute(fit(searcher), {}).suggestions) == 2
for searcher in (GP(), AutoSearcher()):
    answer = compute(fit(searcher, changed=ended(12), modules=modules(searcher)), {})
    assert [origin["by"] for _, origin, _ in answer.suggestions] == ["gp", "gp"]
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
        suggestions=[({"x": 0.5}, {"by": "gp", "mean": -1.5}, 9)],
        memo=Memo(version=2, data=[1, {}]), exhausted=True,
        seen=3, pending=[{"x": 1}], seconds=0.5, error="because",
    )  # fmt: skip
    assert read_answer(write_answer(answer)) == answer
    with pytest.raises(ValueError, match="JSON"):
        write_answer(Answer(suggestions=[({"x": float("nan")}, {}, None)]))
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
