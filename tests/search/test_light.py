"""What a process that only reads settings must not pay for."""

import subprocess
import sys

import pytest

HEAVY = {"numpy", "scipy", "torch", "botorch", "gpytorch", "pydantic"}


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
