"""CMA-ES: generations, runs and their beginnings, memos, and what it refuses."""

import math
from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from search.cma.distribution import distribution
from search.cma.layout import Layout
from search.cma.run import Run, first_run, next_run
from search.encoding import Cube
from search.parameters import ChoiceParameter, IntParameter
from search.problem import Objective, OutcomeConstraint
from search.registry import SearcherSettings, unsupported
from search.searcher import MAX_MEMO_BYTES, History, Memo
from search.searchers.cmaes import CMAES
from search.searchers.random import Random
from search.trial import Trial, TrialState
from tests.contracts.searchers import proposed
from tests.search.cma_studies import (
    MIXED,
    ask,
    asynchronous,
    best,
    completed,
    floats,
    mixed,
    play,
    problem,
    rows,
    sphere,
    vector,
)


def test_draws_beyond_the_population_are_told_with_the_next_generation():
    study, searcher = problem(floats(3)), CMAES(population=6)
    first = ask(searcher, study, [], 9)
    assert [s.origin["draw"] for s in first.suggestions] == list(range(9))
    told = [completed(k, s, sphere(s.config)) for k, s in enumerate(first.suggestions)]
    beyond = [replace(t, state=TrialState.RUNNING, values={}) for t in told[6:]]
    second = ask(searcher, study, [*told[:6], *beyond], 3)
    assert [s.origin["generation"] for s in second.suggestions] == [1] * 3
    # Their results do not change the generation that they were too late for ...
    assert rows(ask(searcher, study, told, 3)) == rows(second)
    own = [completed(9 + k, s, sphere(s.config)) for k, s in enumerate(second.suggestions)]
    # ... and are waited for by the next, of which three own draws are enough then.
    assert ask(searcher, study, [*told[:6], *beyond, *own], 1).suggestions[0].origin["draw"] == 3
    third = ask(searcher, study, [*told, *own], 3)
    assert [s.origin["generation"] for s in third.suggestions] == [2] * 3
    better = [replace(t, values={"loss": -1e9}) for t in told[6:]]
    assert rows(ask(searcher, study, [*told[:6], *better, *own], 3)) != rows(third)
    # One that became a trial after the first of the next generation is too late for that as well.
    last = completed(12, ask(searcher, study, told[:5], 10).suggestions[9], -1e9)
    assert (last.origin["generation"], last.origin["draw"]) == (0, 14)
    assert rows(ask(searcher, study, [*told, *own, last], 3)) == rows(third)


@pytest.mark.parametrize("parameters", [floats(5), MIXED])
def test_workers_who_never_wait_for_each_other_lose_little(parameters):
    loss = sphere if len(parameters) == 5 else mixed
    found = [asynchronous(CMAES(), problem(parameters, seed=s), loss, 300, 4) for s in range(3)]
    lowest = [min(t.values.get("loss", math.inf) for t in trials) for trials, _ in found]
    drawn = [best(play(Random(), problem(parameters, seed=s), loss, 300, 100)[0]) for s in range(3)]
    assert np.median(lowest) < 0.05 * np.median(drawn)
    trials, memo = found[0]
    now = History(problem=problem(parameters), trials=trials, batch=999, memo=memo)
    straight, replayed = CMAES().suggest(now, 6), CMAES().suggest(replace(now, memo=None), 6)
    assert straight.suggestions == replayed.suggestions
    assert straight.memo == replayed.memo


def test_a_late_draw_is_brought_near_and_a_near_one_left_alone():
    layout = Layout.of(Cube(problem(floats(4)).space))
    own = distribution(
        layout, np.full(4, 0.5), sigma=0.1, population=6, separable_above=40, lean=False
    )
    near, far = np.full(4, 0.6), np.array([0.5, 0.5, 0.5, 0.9])
    assert own.near(near).tolist() == near.tolist()
    most = 2 + 8 / 6  # in standard deviations
    assert own.near(far) == pytest.approx([0.5, 0.5, 0.5, 0.5 + 0.1 * most])


def test_failed_trials_are_the_worst_and_cancelled_ones_are_drawn_again():
    study, searcher = problem(floats(3)), CMAES(population=6)
    told = [
        completed(k, s, sphere(s.config))
        for k, s in enumerate(ask(searcher, study, [], 6).suggestions)
    ]
    worst = max(told, key=lambda t: t.values["loss"]).number
    failed = [
        replace(t, state=TrialState.FAILED, values={}) if t.number == worst else t for t in told
    ]
    assert rows(ask(searcher, study, failed, 3)) == rows(ask(searcher, study, told, 3))
    top = min(told, key=lambda t: t.values["loss"]).number
    lost = [
        replace(t, state=TrialState.INFEASIBLE, values={}) if t.number == top else t for t in told
    ]
    assert rows(ask(searcher, study, lost, 3)) != rows(ask(searcher, study, told, 3))
    gone = [replace(t, state=TrialState.CANCELLED, values={}) if t.number == 2 else t for t in told]
    (again,) = ask(searcher, study, gone, 1).suggestions
    assert (again.origin["generation"], again.origin["draw"]) == (0, 6)


def test_a_config_that_was_tried_before_counts_without_being_tried_again():
    study = problem([IntParameter(name="n", low=0, high=9), IntParameter(name="m", low=0, high=9)])
    found, _ = play(CMAES(population=6), study, lambda c: c["n"] + c["m"], 60)
    assert len({(t.config["n"], t.config["m"]) for t in found}) == 60
    assert best(found) == 0
    draws = [t.origin["draw"] for t in found if t.origin["by"] == "cmaes"]
    assert max(t.origin["generation"] for t in found if t.origin["by"] == "cmaes") > 3
    assert len(draws) > 40


def test_the_first_run_begins_at_the_best_trial_there_is_and_stays_with_it():
    study = problem(floats(3))
    brought = [
        Trial(
            number=k,
            config=dict.fromkeys(("x0", "x1", "x2"), x),
            state=TrialState.COMPLETED,
            values={"loss": loss},
        )
        for k, (x, loss) in enumerate([(4.0, 5.0), (2.5, 1.0), (-3.0, 9.0)])
    ]
    searcher = CMAES(sigma=0.01, population=4)
    first = ask(searcher, study, brought, 4)
    assert {s.origin["start"] for s in first.suggestions} == {1}
    assert np.mean([vector(s.config) for s in first.suggestions]) == pytest.approx(2.5, abs=0.2)
    told = [completed(3 + k, s, 8.0 + k) for k, s in enumerate(first.suggestions)]
    late = [*brought[:2], replace(brought[2], values={"loss": -1.0}), *told[:2]]
    held = [s.config for s in first.suggestions[2:]]
    again = ask(searcher, study, late, 4, reserved=held)
    assert [s.origin["draw"] for s in again.suggestions] == [4, 5, 6, 7]
    assert {s.origin["start"] for s in again.suggestions} == {1}
    plain = ask(replace(searcher, x0="defaults"), study, brought, 4)
    assert {s.origin["start"] for s in plain.suggestions} == {None}
    assert np.mean([vector(s.config) for s in plain.suggestions]) == pytest.approx(0, abs=0.2)


def test_the_first_run_begins_at_the_defaults():
    parameters = [replace(p, default=-4.0) for p in floats(3)]
    batch = ask(CMAES(sigma=0.01), problem(parameters), [], 6)
    assert {s.origin["start"] for s in batch.suggestions} == {"defaults"}
    assert np.mean([vector(s.config) for s in batch.suggestions]) == pytest.approx(-4, abs=0.2)


def test_a_run_that_has_converged_is_followed_by_a_larger_one():
    found, _ = play(CMAES(), problem(floats(2)), sphere, 500, 6)
    restarts = [t.origin["restart"] for t in found]
    assert sorted(restarts) == restarts
    first, second = ([t for t in found if t.origin["restart"] == r] for r in (0, 1))
    assert best(first) < 1e-9
    generation = [t for t in second if t.origin["generation"] == 1]
    assert len(generation) == 12  # the first had six


def test_a_flat_objective_restarts_and_does_no_harm():
    found, _ = play(CMAES(), problem(floats(2)), lambda _: 1.0, 400, 6)
    assert found[-1].origin["restart"] >= 1


def test_bipop_lets_the_small_runs_have_as_many_draws_as_the_large_ones():
    settings = CMAES(restarts="bipop", population=10)
    layout = Layout.of(Cube(problem(floats(2)).space))
    run = replace(first_run(settings, layout), spent=(500, 0), best=(0.0, np.array([0.2, 0.3])))
    second = next_run(settings, layout, run, 0)
    assert (second.small, second.population, second.sigma) == (False, 20, 0.25)
    third = next_run(settings, layout, second, 0)
    assert third.small
    assert 10 <= third.population <= 20
    assert 0.0025 <= third.sigma <= 0.25
    fourth = next_run(settings, layout, replace(third, spent=(500, 501)), 0)
    assert (fourth.small, fourth.population, fourth.sigma) == (False, 40, 0.25)
    assert [fourth.number, fourth.barren] == [3, 3]


def test_populations_stop_growing():
    layout = Layout.of(Cube(problem(floats(2)).space))
    run = Run(number=40, large=40, sigma=0.25, population=4096, fresh=True)
    assert next_run(CMAES(), layout, run, 0).population == 4096


def test_the_memo_of_a_hundred_parameters_fits():
    study = problem(
        [*floats(60), *(ChoiceParameter(name=f"c{j}", choices=range(40)) for j in range(40))]
    )
    _, memo = play(CMAES(), study, lambda c: float(c["x0"]), 40, 20)
    assert len(TypeAdapter(Memo).dump_json(memo)) < MAX_MEMO_BYTES
    wide = problem([ChoiceParameter(name=f"c{j}", choices=range(1000)) for j in range(40)])
    trials, memo = play(CMAES(), wide, lambda c: float(c["c0"]), 40, 20)
    assert memo is None  # too much for one; the history is replayed
    assert len(set(proposed(ask(CMAES(), wide, trials, 3)))) == 3


def test_a_strange_origin_is_passed_over():
    study = problem(floats(3))
    trials, _ = play(CMAES(population=4), study, sphere, 8)
    for changes in (
        {"row": None},
        {"row": [1]},
        {"draw": -1},
        {"draw": "x"},
        {"start": 77},
        {"start": {}},
    ):
        odd = [replace(trials[0], origin={**trials[0].origin, **changes}), *trials[1:]]
        assert len(set(proposed(ask(CMAES(population=4), study, odd, 4)))) == 4


def test_what_it_cannot_serve_is_refused():
    study = problem(floats(2))
    two = replace(study, objectives=[Objective(metric="a"), Objective(metric="b")])
    bounded = replace(study, constraints=[OutcomeConstraint(metric="c", at_most=1)])
    assert unsupported(study, CMAES()) == ()
    assert len(unsupported(two, CMAES())) == len(unsupported(bounded, CMAES())) == 1


@pytest.mark.parametrize(
    "settings", [{"sigma": 0}, {"population": 3}, {"restarts": "never"}, {"x0": 3}, {"popsize": 9}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        TypeAdapter(SearcherSettings).validate_python({"kind": "cmaes", **settings})
