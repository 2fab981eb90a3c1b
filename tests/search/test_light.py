"""What a process that only reads settings must not pay for."""

import subprocess
import sys

import pytest

HEAVY = {"numpy", "scipy", "sklearn", "torch", "botorch", "gpytorch", "pydantic"}


@pytest.mark.parametrize(
    "module",
    ["search.registry", "search.best", "search.pareto", "search.outcomes", "search.fallback"],
)
def test_importing_it_loads_nothing_heavy(module):
    script = f"import sys, {module}; print(*{HEAVY!r} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=60
    )
    assert done.stdout.split() == []


def test_sobol_points_load_no_torch():
    script = """
import sys
from search.parameters import FloatParameter
from search.problem import Objective, Problem
from search.registry import SEARCHERS
from search.searcher import History
from search.space import SearchSpace
space = SearchSpace(parameters=[FloatParameter(name="x", low=0, high=1)])
problem = Problem(space=space, objectives=[Objective(metric="loss")])
SEARCHERS["sobol"]().suggest(History(problem=problem), 3)
print("torch" in sys.modules, "scipy" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("searcher", "by"),
    [
        ("GP()", "gp"),
        ("BoTorch(surrogate=InfiniteWidth())", "botorch"),
        ("TuRBO(initial=3)", "turbo"),
    ],
)
def test_models_in_numpy_load_scipy_and_no_torch(searcher, by):
    script = f"""
import sys
from search.parameters import FloatParameter
from search.problem import Objective, Problem
from search.searcher import History
from search.searchers.botorch import BoTorch
from search.searchers.gp import GP
from search.searchers.turbo import TuRBO
from search.space import SearchSpace
from search.surrogates.ibnn import InfiniteWidth
from search.trial import Trial, TrialState
space = SearchSpace(parameters=[FloatParameter(name="x", low=0, high=1)])
problem = Problem(space=space, objectives=[Objective(metric="loss")])
trials = [
    Trial(number=n, config={{"x": 0.1 * n}}, state=TrialState.COMPLETED, values={{"loss": n * n}})
    for n in range(5)
]
batch = {searcher}.suggest(History(problem=problem, trials=trials), 2)
heavy = {{"torch", "botorch", "gpytorch", "sklearn", "pandas"}} & set(sys.modules)
print(*[s.origin["by"] for s in batch.suggestions], "scipy" in sys.modules, *heavy)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=60
    )
    assert done.stdout.split() == [by, by, "True"]
