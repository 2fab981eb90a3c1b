"""Batches made by hand, for the tests of what makes them."""

from dataclasses import replace

from search.parameters import FloatParameter
from search.problem import Objective, Problem
from search.schedulers.full import Full
from search.searcher import Searcher
from search.space import SearchSpace
from search.trial import Trial, TrialState
from service.leases.known import KnownStudy
from service.studies.spec import Spec
from service.suggester.compute import Computing, Lanes
from service.suggester.plan import Plan
from service.suggester.serve import Serving
from service.suggester.task import Fit
from tests.leases.world import World

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
