"""CMA-ES: the library's own run, whatever order results come in; and what it finds."""

from dataclasses import replace

import numpy as np
import pytest
from cmaes import CMA, CatCMAwM

from search.cma.layout import Layout
from search.cma.run import draw_seed
from search.encoding import Cube
from search.errors import UnsupportedProblem
from search.parameters import ChoiceParameter, Condition, FloatParameter, PermutationParameter
from search.registry import check_supported
from search.searcher import History, Memo
from search.searchers.cmaes import CMAES
from search.searchers.random import Random
from search.trial import TrialState
from tests.search.cma_studies import (
    MIXED,
    best,
    ellipsoid,
    floats,
    mixed,
    play,
    problem,
    rosenbrock,
    rows,
    sphere,
)


@pytest.mark.parametrize("at_a_time", [1, 8])
def test_it_is_the_librarys_own_run(at_a_time):
    study = problem(floats(5), seed=3)
    trials, _ = play(CMAES(), study, ellipsoid, 96, at_a_time)
    bounds = np.tile([0.0, 1.0], (5, 1))
    own = CMA(mean=np.full(5, 0.5), sigma=0.25, bounds=bounds)
    space = Cube(study.space)
    assert own.population_size == 8
    for generation in range(12):
        drawn = []
        for k in range(8):
            own.reseed_rng(draw_seed(3, 0, generation, k))
            row = own.ask()
            trial = trials[8 * generation + k]
            assert trial.origin["row"] == row.tolist()  # to the last bit
            assert trial.config == space.decode(row)
            drawn.append((row, ellipsoid(trial.config)))
        own.tell(drawn)


def test_it_is_the_librarys_own_run_on_mixed_spaces_too():
    study = problem(MIXED, seed=3)
    trials, _ = play(CMAES(), study, mixed, 72)
    layout = Layout.of(Cube(study.space))
    own = CatCMAwM(
        x_space=[[0, 1]] * 3,
        z_space=[layout.centres(j).tolist() for j in layout.wholes],
        c_space=[4, 2],
        sigma=0.25,
        mean=np.full(5, 0.5),
        cov=np.eye(5),
    )
    assert own.population_size == 9
    own._z_lim[0, 10:] = own._z_lim[0, 9]  # what the library pads with is no limit
    for generation in range(8):
        drawn = []
        for k in range(9):
            own.reseed_rng(draw_seed(3, 0, generation, k))
            found = own.ask()
            trial = trials[9 * generation + k]
            assert trial.origin["row"][:5] == pytest.approx(found._v_raw, abs=1e-9)
            assert trial.config["act"] == MIXED[5].choices[int(np.argmax(found.c[0]))]
            assert trial.config["n"] == round(found.z[0] * 11 - 0.5)
            drawn.append((found, mixed(trial.config)))
        own.tell(drawn)


@pytest.mark.parametrize(
    ("loss", "width", "count", "target"),
    [(sphere, 5, 500, 1e-5), (ellipsoid, 5, 1400, 1e-3), (rosenbrock, 4, 1400, 1e-3)],
)
def test_it_reaches_the_target(loss, width, count, target):
    found, _ = play(CMAES(), problem(floats(width), seed=1), loss, count, 8)
    assert best(found) < target


def test_it_finds_the_optimum_of_a_mixed_space():
    found, _ = play(CMAES(), problem(MIXED, seed=1), mixed, 400, 3)
    drawn, _ = play(Random(), problem(MIXED, seed=1), mixed, 400, 100)
    assert best(found) < 0.1
    assert best(found) < 0.1 * best(drawn)


def test_without_covariances_it_learns_many_scales_sooner():
    study = problem(floats(30), seed=1)
    apart, _ = play(CMAES(separable_above=20), study, ellipsoid, 900, 14)
    together, _ = play(CMAES(separable_above=40), study, ellipsoid, 900, 14)
    assert best(apart) < 0.5 * best(together)


def test_permutations_are_refused():
    order = PermutationParameter(name="order", items="abc")
    with pytest.raises(UnsupportedProblem, match="does not take permutations, such as 'order'"):
        check_supported(problem([*floats(2), order]), CMAES())
    check_supported(problem(floats(2)), CMAES())


def test_conditional_parameters_are_served():
    when = (Condition(parameter="kind", values=["deep"]),)
    parameters = [
        ChoiceParameter(name="kind", choices=("flat", "deep")),
        FloatParameter(name="x", low=-5, high=5),
        FloatParameter(name="y", low=-5, high=5, when=when),
    ]

    def loss(config):
        return (config["x"] - 1) ** 2 + (config["y"] - 2) ** 2 if "y" in config else 30.0

    found, _ = play(CMAES(), problem(parameters), loss, 250)
    assert best(found) < 1e-3


@pytest.mark.parametrize("parameters", [floats(4), MIXED])
def test_the_order_of_results_does_not_matter_nor_does_a_dropped_memo(parameters):
    study, searcher = problem(parameters), CMAES(population=8)
    loss = mixed if len(parameters) > 4 else sphere
    trials, memo = play(searcher, study, loss, 40, 8)
    now = History(problem=study, trials=trials, batch=9, memo=memo)
    straight = searcher.suggest(now, 8)
    assert {s.origin["generation"] for s in straight.suggestions} == {5}
    for order in ([39, 33, 36], [32, 34, 38]):
        # Batches made while these were still running leave other memos behind.
        late = [
            replace(t, state=TrialState.RUNNING, values={}) if t.number in order else t
            for t in trials
        ]
        between = searcher.suggest(replace(now, trials=late), 2)
        assert {s.origin["generation"] for s in between.suggestions} == {4}
        after = searcher.suggest(replace(now, memo=between.memo), 8)
        assert rows(after) == rows(straight)
    for dropped in (None, Memo(version=2, data={}), Memo(version=1, data={"number": 0})):
        assert searcher.suggest(replace(now, memo=dropped), 8).suggestions == straight.suggestions


def test_a_whole_memo_is_what_a_replay_comes_to():
    study, searcher = problem(MIXED), CMAES(population=6)
    trials, memo = play(searcher, study, mixed, 150, 5)
    now = History(problem=study, trials=trials, batch=99, memo=memo)
    remembered, replayed = searcher.suggest(now, 6), searcher.suggest(replace(now, memo=None), 6)
    assert remembered.suggestions == replayed.suggestions
    assert remembered.memo == replayed.memo
