"""Proposing how far to run: what trials teach, what is proposed, and what it is worth."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from search.bayes.fidelity import first_trials
from search.bayes.fidelity_points import Points
from search.encoding import Cube, config_key
from search.errors import InvalidSettings, UnsupportedProblem
from search.fidelity import Fidelity
from search.outcomes import lessons
from search.parameters import FloatParameter, IntParameter
from search.problem import Objective, Problem
from search.registry import check_supported
from search.searcher import History
from search.searchers.botorch import BoTorch
from search.searchers.phased import Phased
from search.searchers.sobol import Sobol
from search.space import SearchSpace
from search.trial import Measurement, Trial, TrialState
from tests.contracts.searchers import BATCH, ELSEWHERE, HISTORY, SearcherContract
from tests.contracts.spaces import SPACES, TINY, space

STEPS = Fidelity(low=1, high=27)
SMALL = BoTorch(candidates=100, fit_evaluations=40, fidelity=STEPS)


def floats(d: int) -> SearchSpace:
    return SearchSpace(
        parameters=[FloatParameter(name=f"x{j}", low=0.0, high=1.0) for j in range(d)]
    )


def problem(d: int = 2, seed: int = 0, **more) -> Problem:
    return Problem(space=floats(d), objectives=[Objective(metric="loss", **more)], seed=seed)


def ran(number, config, curve, steps=27, origin=()) -> Trial:
    """A trial that ran so many steps and measured curve(step) at each."""
    return Trial(
        number=number,
        config=config,
        state=TrialState.COMPLETED if steps == 27 else TrialState.STOPPED,
        measurements=[Measurement(step=k, values={"loss": curve(k)}) for k in range(1, steps + 1)],
        values={"loss": curve(steps)},
        origin=dict(origin),
        until=None if steps == 27 else steps,
    )


class TestFidelity(SearcherContract):
    searcher = BoTorch(candidates=100, fit_evaluations=40, fidelity=Fidelity(high=3))
    refuses = ("choice", "fixed", "int", "ordered", "step", *TINY)  # of few configs


# Settings


def test_rungs_are_a_geometric_grid_that_ends_at_a_full_run():
    assert Fidelity(high=27).rungs() == [1, 3, 9, 27]
    assert Fidelity(low=2, high=20, factor=4).rungs() == [2, 8, 20]
    assert Fidelity(low=5, high=6).rungs() == [5, 6]
    assert [STEPS.depth(step) for step in (0, 1, 27, 99)] == [0.0, 0.0, 1.0, 1.0]
    assert STEPS.depth(3) == pytest.approx(1 / 3)
    assert Fidelity(high=27, fixed_cost=2.5).cost(9) == 11.5


@pytest.mark.parametrize(
    "settings",
    [
        {"high": 1},
        {"low": 0, "high": 9},
        {"low": 9, "high": 9},
        {"high": 2**31},
        {"high": 9, "factor": 1},
        {"high": 9, "fixed_cost": -1.0},
        {"high": 9, "fixed_cost": math.inf},
        {"high": 9, "full_every": 0},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InvalidSettings):
        Fidelity(**settings)


def test_a_space_with_few_configs_and_earlier_studies_are_refused():
    few = SearchSpace(parameters=[IntParameter(name="n", low=1, high=2000)])
    many = SearchSpace(parameters=[IntParameter(name="n", low=1, high=2001)])
    objectives = [Objective(metric="loss")]
    with pytest.raises(UnsupportedProblem, match="more than 2000 configs"):
        check_supported(Problem(space=few, objectives=objectives), SMALL)
    check_supported(Problem(space=many, objectives=objectives), SMALL)
    with pytest.raises(UnsupportedProblem, match="more than 2000 configs"):
        check_supported(
            Problem(space=few, objectives=objectives), Phased(first=Sobol(), then=SMALL, after=3)
        )


# Points


def test_a_trial_teaches_its_end_and_the_rungs_before():
    asked = problem(1)
    curve = lambda k: 1.0 / k  # noqa: E731
    trials = [
        ran(0, {"x0": 0.1}, curve, 27),
        ran(1, {"x0": 0.2}, curve, 9),
        ran(2, {"x0": 0.3}, curve, 1),
    ]
    cube = Cube(asked.space)
    found = Points.of(asked, trials, STEPS, cube, np.random.default_rng(0))
    points = sorted(
        zip(
            found.rows[:, 0].round(3),
            found.depths.round(3),
            found.aims.losses.round(3),
            strict=True,
        )
    )
    assert points == [
        (0.1, 0.333, 0.333),
        (0.1, 0.667, 0.111),
        (0.1, 1.0, 0.037),
        (0.2, 0.0, 1.0),
        (0.2, 0.333, 0.333),
        (0.2, 0.667, 0.111),
        (0.3, 0.0, 1.0),
    ]


def test_a_bad_point_teaches_the_worst_of_a_full_run_and_a_pending_one_nothing():
    asked = problem(1)
    trials = [ran(0, {"x0": 0.1}, lambda k: 1.0 / k, 27), ran(1, {"x0": 0.2}, lambda k: 2.0, 3)]
    trials.append(Trial(number=2, config={"x0": 0.5}, state=TrialState.INFEASIBLE))
    trials.append(Trial(number=3, config={"x0": 0.6}, state=TrialState.RUNNING, until=9))
    found = Points.of(asked, trials, STEPS, Cube(asked.space), np.random.default_rng(0))
    places = found.rows[:, 0].round(3).tolist()
    assert 0.6 not in places
    bad = places.index(0.5)
    assert found.depths[bad] == 1.0
    # The worst that lessons know: the stopped trial, with what it would still have gained.
    assert found.aims.losses[bad] == max(le.loss for le in lessons(asked, trials))


# What all of it is worth


def worth(config) -> float:
    """The logarithm of a curved valley in 2 or 3 dimensions, 0 where it is lowest."""
    z = 4 * np.array(list(config.values())) - 2
    steep = float(np.sum(100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2))
    return math.log1p(steep) / 7


def curve_of(config):
    x = list(config.values())
    size = 0.4 + 0.4 * abs(math.sin(5 * x[0] + 2 * x[-1]))
    return lambda step: worth(config) + size * (step**-0.7 - 27**-0.7)


def spend(searcher: BoTorch, seed: int, steps: int) -> tuple[float, list[int]]:
    """The best full run for so many steps in all, and how far each trial ran."""
    asked, trials, memo, lengths = problem(3, seed), [], None, []
    while True:
        batch = searcher.suggest(
            History(problem=asked, trials=trials, batch=len(trials), memo=memo), 1
        )
        (made,), memo = batch.suggestions, batch.memo
        length = made.until or 27
        if sum(lengths) + length > steps:
            break
        lengths.append(length)
        curve = curve_of(made.config)
        trials.append(ran(len(trials), made.config, curve, length, made.origin))
    return min(worth(t.config) for t in trials if t.state is TrialState.COMPLETED), lengths


def test_it_beats_full_runs_at_equal_steps():
    plain = BoTorch(candidates=100, fit_evaluations=40)
    gains = []
    for seed in range(5):
        best, lengths = spend(SMALL, seed, 7 * 27)
        gains.append(spend(plain, seed, 7 * 27)[0] - best)
        assert sum(length == 27 for length in lengths) >= 3
    assert np.mean(gains) > 2 * np.std(gains, ddof=1) / math.sqrt(len(gains))
    assert np.mean(gains) > 0.15


def test_every_fourth_is_a_full_run_once_the_space_is_covered():
    _, lengths = spend(SMALL, 1, 6 * 27)
    first = first_trials(Cube(floats(3)))
    assert lengths[:first] == [1, 1, 3, 1, 1, 3, 1, 1]
    assert [k for k, length in enumerate(lengths[first:]) if length == 27][:3] == [3, 7, 11]


def test_steps_that_cost_nothing_are_all_taken():
    """With a fixed cost that dwarfs the steps there is no reason to stop early."""
    dear = BoTorch(candidates=100, fit_evaluations=40, fidelity=Fidelity(high=27, fixed_cost=1e9))
    _, lengths = spend(dear, 0, 8 * 27)
    assert set(lengths[first_trials(Cube(floats(3))) :]) == {27}


# The same again, and whatever may come


def driven(in_space: SearchSpace, curve_for) -> History:
    asked = Problem(space=in_space, objectives=[Objective(metric="loss")], seed=5)
    trials: list[Trial] = []
    for number, count in enumerate((5, 3, 2, 1)):
        batch = SMALL.suggest(History(problem=asked, trials=trials, batch=number), count)
        for made in batch.suggestions:
            steps, k = made.until or 27, len(trials)
            trials.append(ran(k, made.config, curve_for(made.config), steps, made.origin))
    return History(problem=asked, trials=trials, batch=9)


def test_another_process_suggests_the_same():
    history = driven(floats(2), curve_of)
    here = SMALL.suggest(history, 5)
    assert {s.until for s in here.suggestions} != {None}
    settings = (
        '{"kind": "botorch", "candidates": 100, "fit_evaluations": 40, "fidelity": {"high": 27}}'
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=f"{settings}\n{HISTORY.dump_json(history).decode()}",
        env={**os.environ, "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "3"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert elsewhere.stdout == BATCH.dump_json(here).decode()


@pytest.mark.parametrize("name", SPACES)
def test_every_space_gets_legal_configs_that_are_all_different(name):
    history = driven(space(name), lambda config: lambda step: len(config_key(config)) + 1.0 / step)
    batch = SMALL.suggest(history, 4)
    made = [s.config for s in batch.suggestions]
    assert all(history.problem.space.check(config) == config for config in made)
    keys = [config_key(c) for c in [*(t.config for t in history.trials), *made]]
    assert len(set(keys)) == len(keys)
    assert batch.exhausted == (len(made) < 4)
    assert all(s.until in (None, 1, 3, 9) for s in batch.suggestions)


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e12, 1e300, math.inf, math.nan])
def test_losses_of_any_size_are_taken(scale):
    history = driven(floats(2), lambda config: lambda step: scale * (worth(config) + 1.0 / step))
    assert len(SMALL.suggest(history, 3).suggestions) == 3
