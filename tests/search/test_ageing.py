"""Ageing evolution: who lives, who is a parent, and what comes of it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from search.evolution.ageing import living, youngest
from search.parameters import ChoiceParameter, FloatParameter
from search.problem import Objective, Problem
from search.registry import SearcherSettings
from search.searcher import History
from search.searchers.evolution import Evolution
from search.searchers.random import Random
from search.space import SearchSpace
from search.trial import Trial, TrialState
from tests.contracts.searchers import proposed

NUMBERS = [FloatParameter(name=f"x{j}", low=-5, high=5) for j in range(5)]


def problem(parameters=NUMBERS, seed=0):
    made = SearchSpace(parameters=parameters)
    return Problem(space=made, objectives=[Objective(metric="loss")], seed=seed)


def sphere(config):
    return sum((value - 1.2) ** 2 for value in config.values())


def play(searcher, study, loss, count, at_a_time=1):
    trials = []
    for batch in range(count // at_a_time):
        made = searcher.suggest(History(problem=study, trials=trials, batch=batch), at_a_time)
        for s in made.suggestions:
            state, values = TrialState.COMPLETED, {"loss": loss(s.config)}
            number, origin = len(trials), s.origin
            trials.append(
                Trial(number=number, config=s.config, state=state, values=values, origin=origin)
            )
    return trials


def best(trials):
    return min(trial.values["loss"] for trial in trials)


def test_an_old_trial_dies_however_good_it_is():
    study = problem()
    trials = play(Random(), study, sphere, 30)
    trials[0] = replace(trials[0], values={"loss": -1e9})
    searcher = Evolution(population=25, sample=25)  # the best of all draws: all but surely the best
    young = searcher.suggest(History(problem=study, trials=trials[:20]), 10)
    assert Counter(s.origin["parent"] for s in young.suggestions).most_common(1)[0][0] == 0
    old = searcher.suggest(History(problem=study, trials=trials), 10)
    assert {s.origin["parent"] for s in old.suggestions} <= set(range(10, 30))


def test_the_living_are_the_latest_half_up_to_the_population():
    assert [living(100, n) for n in (0, 30, 60, 150, 200, 9999)] == [20, 20, 30, 75, 100, 100]
    assert living(6, 9999) == 6


def test_a_sample_of_one_makes_every_living_trial_a_parent():
    study = problem()
    trials = play(Random(), study, sphere, 20)
    searcher = Evolution(population=20, sample=1)
    batch = searcher.suggest(History(problem=study, trials=trials), 200)
    assert {s.origin["parent"] for s in batch.suggestions} == set(range(20))


def test_only_finite_losses_are_parents_and_stopped_trials_count_as_they_were():
    study = problem()
    trials = play(Random(), study, sphere, 8)
    trials[3] = replace(trials[3], state=TrialState.FAILED)
    trials[4] = replace(trials[4], state=TrialState.STOPPED, values={"loss": 7.5})
    trials[5] = replace(trials[5], values={"loss": float("nan")})
    trials[7] = replace(trials[7], state=TrialState.RUNNING, values={})
    found = youngest(study, trials, 4)
    assert [trial.number for trial, _ in found] == [6, 4, 2, 1]
    assert found[1][1] == 7.5


def test_children_differ_from_their_parents_in_a_little():
    study = problem()
    trials = play(Random(), study, sphere, 20)
    batch = Evolution(population=20, sample=20).suggest(History(problem=study, trials=trials), 50)
    for s in batch.suggestions:
        parent = trials[s.origin["parent"]].config
        changed = [name for name in parent if abs(parent[name] - s.config[name]) > 1e-9]
        assert 1 <= len(changed) <= 5
    moves = [
        len([n for n in s.config if abs(trials[s.origin["parent"]].config[n] - s.config[n]) > 1e-9])
        for s in batch.suggestions
    ]
    assert np.mean(moves) < 3


@pytest.mark.parametrize("at_a_time", [1, 10])
def test_it_beats_random_search_on_a_sphere(at_a_time):
    searcher = Evolution(population=30, sample=8)
    found = [best(play(searcher, problem(seed=s), sphere, 200, at_a_time)) for s in range(3)]
    drawn = [best(play(Random(), problem(seed=s), sphere, 200, 200)) for s in range(3)]
    assert np.median(found) < 0.1 * np.median(drawn)


def test_it_searches_choices():
    """Ten switches of four choices each: as many as are right count."""
    parameters = [ChoiceParameter(name=f"c{j}", choices=tuple("abcd")) for j in range(10)]

    def wrong(config):
        return sum(value != "abcd"[int(name[1:]) % 4] for name, value in config.items())

    found = play(Evolution(population=30, sample=8), problem(parameters), wrong, 250)
    drawn = play(Random(), problem(parameters), wrong, 250, 250)
    assert best(found) <= 1
    assert best(drawn) >= 3


def test_before_there_are_parents_sobol_answers_and_after_the_first_trials_says_why():
    study = problem()
    first = Evolution().suggest(History(problem=study), 25)
    assert [s.origin.get("because") for s in first.suggestions[:20]] == [None] * 20
    assert all("finite result" in s.origin["because"] for s in first.suggestions[20:])
    assert len(set(proposed(first))) == 25


def test_a_sample_larger_than_the_population_is_refused():
    with pytest.raises(ValidationError, match="sample: expected 1 to 10, got 11"):
        TypeAdapter(SearcherSettings).validate_python(
            {"kind": "evolution", "population": 10, "sample": 11}
        )
