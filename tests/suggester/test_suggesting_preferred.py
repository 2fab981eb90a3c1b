"""Answers of people reach the searcher: each is a new result, and none is seen too early."""

import asyncio
from dataclasses import replace
from typing import Any

from search.problem import Objective, Problem
from search.searchers.auto import AutoSearcher
from search.searchers.botorch import BoTorch
from search.searchers.sobol import Sobol
from service.leases.known import KnownStudy
from service.preferences.give import give
from service.preferences.read import rankings
from service.suggester.child import compute
from service.suggester.compute import Lanes
from service.suggester.models import model_from, modules
from service.suggester.plan import plan
from service.suggester.survey import survey
from tests.leases.world import World
from tests.suggester.making import SPACE, ended, fit
from tests.suggester.test_buffer_plan import standing
from tests.suggester.test_process import suggesting

TASTE = {"metric": "taste", "goal": "maximize", "by": "preference"}
PROBLEM = Problem(
    space=SPACE, objectives=[Objective(metric="taste", goal="maximize", by="preference")], seed=3
)


async def judged(world: World, *given: list[int]) -> KnownStudy:
    """A study of three trials that measured nothing, and what was said of them."""
    study = await world.study(objectives=[TASTE], searcher={"kind": "auto"})
    for _ in range(3):
        run = await world.begin(study)
        verdict = await run.tell()
        assert verdict.state == "completed"
    await answer(world, study, *given)
    return study


async def answer(world: World, study: KnownStudy, *given: list[int]) -> None:
    async with world.pool.connection() as connection, connection.transaction():
        if given:
            await give(connection, study.id, given)


def test_an_answer_makes_the_buffer_stale_as_a_result_does() -> None:
    fresh = standing(finished=12, answers=4, seen=16, buffered=8)
    assert plan(fresh, 0.0, learns=True, instant=False) is None
    stale = plan(replace(fresh, answers=5), 0.0, learns=True, instant=False)
    assert stale is not None
    assert stale.refresh


async def test_the_survey_counts_answers(world: World) -> None:
    await judged(world, [2, 0], [1, 2, 0])
    async with world.pool.connection() as connection:
        (found,) = await survey(connection)
    assert (found.finished, found.answers) == (3, 2)


async def test_the_answers_of_a_version_are_those_given_by_then(world: World) -> None:
    study = await judged(world, [2, 0])
    version = await world.one("select version from study_counter")
    await answer(world, study, [0, 1])
    async with world.pool.connection() as connection:
        assert await rankings(connection, study.id, version) == [[2, 0]]
        assert await rankings(connection, study.id, version + 1) == [[2, 0], [0, 1]]
        assert await rankings(connection, study.id, version - 1) == []


def test_the_searcher_is_given_the_answers_and_says_what_it_has_seen() -> None:
    task = fit(BoTorch(candidates=200), problem=PROBLEM, changed=ended(3))
    told = compute(replace(task, preferences=[(2, 1), (1, 0)], answers=1), {})
    assert told.seen == 4
    origins: list[Any] = [origin for _, origin, *_ in told.suggestions]
    assert [(o["by"], o["compare_with"]) for o in origins] == [("botorch", 2)] * 2


def test_what_is_loaded_for_a_study_by_preference() -> None:
    torch = ("search.bayes.preference",)
    assert modules(BoTorch(), PROBLEM) == modules(AutoSearcher(), PROBLEM) == torch
    assert model_from(AutoSearcher(), PROBLEM) == model_from(BoTorch(), PROBLEM) == 0
    assert model_from(Sobol(), PROBLEM) is None


async def test_the_next_suggestion_is_one_to_compare_with_the_best(
    world: World, lanes: Lanes
) -> None:
    study = await judged(world)
    async with suggesting(world, lanes):
        async with asyncio.timeout(60):
            while not await world.one("select count(*) from suggestion"):
                await asyncio.sleep(0.02)
        because = await world.one("select origin ->> 'because' from suggestion limit 1")
        assert because == "fewer than 2 preferences have been given"
        await answer(world, study, [1, 0], [1, 2])
        async with asyncio.timeout(60):
            while not await world.one(
                "select count(*) from suggestion where origin ? 'compare_with'"
            ):
                await asyncio.sleep(0.02)
    origin = await world.one("select origin from suggestion where origin ? 'compare_with' limit 1")
    assert (origin["by"], origin["compare_with"], origin["seen"]) == ("botorch", 1, 5)
