"""Preferences: what answers say, what the model makes of them, and what is suggested from them."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import norm

import search.bayes.preference
from search.bayes.preference import expected_best
from search.bayes.preference_model import Ahead, ahead, fit_preferences
from search.bayes.suggest import alone
from search.encoding import config_key
from search.errors import InvalidProblem
from search.parameters import ChoiceParameter, Condition, FloatParameter
from search.preferences import favourite, pairs_of, utilities
from search.problem import Objective, OutcomeConstraint, Problem
from search.registry import SEARCHERS, unsupported
from search.searcher import History
from search.searchers.auto import AutoSearcher
from search.searchers.botorch import BoTorch
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.space import SearchSpace
from search.trial import Trial, TrialState
from tests.contracts.searchers import BATCH, ELSEWHERE, HISTORY, SETTINGS

QUICK = BoTorch(candidates=1600)
TASTE = Objective(metric="taste", goal="maximize", by="preference")
CUBE = tuple(FloatParameter(name=name, low=0, high=1) for name in "abcd")
PEAK = (0.3, 0.7, 0.5, 0.2)


def problem(*parameters, seed=0):
    return Problem(space=SearchSpace(parameters=parameters), objectives=[TASTE], seed=seed)


def completed(number, config, origin=None):
    return Trial(number=number, config=config, state=TrialState.COMPLETED, origin=origin or {})


def utility(config):
    return -10 * sum((config[name] - at) ** 2 for name, at in zip("abcd", PEAK, strict=True))


def drive(searcher, study, judge, comparisons):
    """A study whose every trial is compared with the best so far, by `judge(new, old)`."""
    trials, pairs = [], []
    for number in range(comparisons + 1):
        history = History(problem=study, trials=trials, preferences=pairs, batch=number)
        (suggestion,) = searcher.suggest(history, 1).suggestions
        trials.append(completed(number, suggestion.config, suggestion.origin))
        if number:
            best = favourite(pairs)[0] if pairs else 0
            wins = judge(suggestion.config, trials[best].config)
            pairs.append((number, best) if wins else (best, number))
    return History(problem=study, trials=trials, preferences=pairs, batch=comparisons + 1)


def sure(new, old):
    return utility(new) > utility(old)


def best_of(history):
    return history.trials[favourite(history.preferences)[0]].config


@pytest.fixture(scope="module")
def driven():
    return drive(QUICK, problem(*CUBE, seed=3), sure, 12)


# What answers say


def test_a_ranking_is_its_neighbours():
    assert pairs_of([[3, 1, 2], [0, 3]]) == [(3, 1), (1, 2), (0, 3)]
    assert pairs_of([]) == []


def test_one_answer_has_the_utilities_that_solve_its_equation():
    def negative(u):  # u and -u, by symmetry
        return math.log1p(math.exp(-2 * u)) + u**2 / 25

    expected = minimize_scalar(negative, bounds=(0, 20), method="bounded").x
    found = utilities([(7, 2)])
    assert found[7] == pytest.approx(expected, abs=1e-4)
    assert found[2] == pytest.approx(-expected, abs=1e-4)


def test_who_was_beaten_is_not_the_favourite_however_often_it_won():
    pairs = [(1, n) for n in range(2, 9)]
    assert favourite(pairs)[0] == 1
    assert favourite([*pairs, (9, 1)])[0] == 9


def test_majorities_decide_and_ties_go_to_the_lower_number():
    assert favourite([(5, 4), (4, 5), (5, 4)])[0] == 5
    assert favourite([(5, 4), (4, 5)])[0] == 4
    assert favourite([(2, 3), (3, 4), (4, 2)])[0] == 2
    assert favourite([]) is None


def test_noisy_answers_on_many_trials_rank_them_as_they_are():
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(2000):
        a, b = rng.choice(40, 2, replace=False)
        wins = rng.random() < 1 / (1 + math.exp((b - a) / 4))
        pairs.append((int(a), int(b)) if wins else (int(b), int(a)))
    found = utilities(pairs)
    assert favourite(pairs)[0] >= 36
    assert np.corrcoef(range(40), [found[n] for n in range(40)])[0, 1] > 0.97


# The model and the acquisition


@pytest.fixture(scope="module")
def model():
    X = torch.tensor([[0.1], [0.5], [0.9]], dtype=torch.double)
    return fit_preferences(X, torch.tensor([[1, 0], [1, 2]]), [0], 40)


def two(model, x, other):
    posterior = model.posterior(torch.tensor([[x], [other]], dtype=torch.double))
    return posterior.mean.detach().flatten().numpy(), posterior.covariance_matrix.detach().numpy()


@pytest.mark.parametrize("x", [0.2, 0.45, 0.7, 1.0])
def test_the_expected_best_of_two_is_clarks_formula(model, x):
    """E max(a, b) = m_a Phi(z) + m_b Phi(-z) + s phi(z), z = (m_a - m_b) / s."""
    (m_a, m_b), K = two(model, x, 0.5)
    s = math.sqrt(K[0, 0] + K[1, 1] - 2 * K[0, 1])
    z = (m_a - m_b) / s
    clark = m_a * norm.cdf(z) + m_b * norm.cdf(-z) + s * norm.pdf(z)
    rows = torch.tensor([[[x]]], dtype=torch.double)
    other = torch.tensor([[0.5]], dtype=torch.double)
    with torch.no_grad(), alone(seed=0):
        exact = float(expected_best(model, other)(rows))
        assert exact + m_b == pytest.approx(clark, rel=1e-5)
        sampled = float(expected_best(model, torch.cat([other, other]))(rows))
    assert sampled == pytest.approx(clark, abs=0.03 * s)


def test_the_model_prefers_what_was_preferred(model):
    point = [torch.tensor([[x]], dtype=torch.double) for x in (0.5, 0.1)]
    found = ahead(model, *point)
    (m_a, m_b), K = two(model, 0.5, 0.1)
    assert found.mean == pytest.approx(m_a - m_b)
    assert found.sd == pytest.approx(math.sqrt(K[0, 0] + K[1, 1] - 2 * K[0, 1]))
    assert found.chance > 0.6
    assert ahead(model, *point[::-1]).chance == pytest.approx(1 - found.chance)


def test_the_chance_is_that_of_a_noisy_answer():
    assert Ahead(0.0, 1.0).chance == 0.5
    assert Ahead(1.0, 0.0).chance == pytest.approx(norm.cdf(1 / math.sqrt(2)))
    assert Ahead(1.0, 1.0).chance == pytest.approx(norm.cdf(1 / math.sqrt(3)))


# What is suggested


def test_answers_lead_to_better_configs_than_covering_the_space():
    """Both have the best of 21 picked by 20 comparisons."""
    found, blind = [], []
    for seed in range(5):
        study = problem(*CUBE, seed=seed)
        found.append(utility(best_of(drive(QUICK, study, sure, 20))))
        blind.append(utility(best_of(drive(Sobol(), study, sure, 20))))
    assert np.median(found) > np.median(blind)
    assert np.mean(found) > np.mean(blind)


def test_a_person_who_errs_on_close_calls_still_leads_somewhere_good():
    rng = np.random.default_rng(5)

    def erring(new, old):
        return utility(new) + rng.normal(scale=0.5) > utility(old) + rng.normal(scale=0.5)

    history = drive(QUICK, problem(*CUBE, seed=1), erring, 20)
    drawn = Random().suggest(History(problem=problem(*CUBE)), 500).suggestions
    assert utility(best_of(history)) > np.quantile([utility(s.config) for s in drawn], 0.9)


def test_it_says_what_to_compare_with_and_how_that_may_end(driven):
    first, *_, last = driven.trials
    assert (first.origin["by"], first.origin["because"]) == (
        "sobol",
        "fewer than 5 preferences have been given",
    )
    before = driven.preferences[:-1]
    assert last.origin["by"] == "botorch"
    assert last.origin["compare_with"] == favourite(before)[0]
    assert 0 < last.origin["chance"] < 1
    assert last.origin["seen"] == len(before) + last.number
    assert math.isfinite(last.origin["acquisition"])


def test_another_process_suggests_the_same(driven):
    waiting = replace(driven.trials[-1], state=TrialState.RUNNING, number=len(driven.trials))
    history = replace(driven, trials=[*driven.trials, waiting], preferences=driven.preferences)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=SETTINGS.dump_json(QUICK) + b"\n" + HISTORY.dump_json(history),
        env={**os.environ, "PYTHONHASHSEED": "123"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    here = QUICK.suggest(history, 5)
    assert json.loads(done.stdout) == json.loads(BATCH.dump_json(here))
    configs = [config_key(s.config) for s in here.suggestions]
    assert len({*configs, *(config_key(t.config) for t in history.trials)}) == 5 + 13
    assert {s.origin["by"] for s in here.suggestions} == {"botorch"}


def test_another_answer_changes_what_is_suggested(driven):
    turned = [(worse, better) for better, worse in driven.preferences]
    now = QUICK.suggest(driven, 1)
    then = QUICK.suggest(replace(driven, preferences=turned), 1)
    assert now.suggestions[0].config != then.suggestions[0].config


def test_contradictions_repeats_and_very_many_answers_do_no_harm(driven):
    back = [(worse, better) for better, worse in driven.preferences]
    for pairs in ([*driven.preferences, *back], driven.preferences[:1] * 300, back * 40):
        batch = QUICK.suggest(replace(driven, preferences=pairs), 2)
        assert [s.origin["by"] for s in batch.suggestions] == ["botorch"] * 2


def test_the_same_config_twice_can_be_compared_with_itself():
    config = dict.fromkeys("abcd", 0.5)
    trials = [completed(n, config) for n in range(2)]
    history = History(problem=problem(*CUBE), trials=trials, preferences=[(1, 0)] * 5)
    (suggestion,) = QUICK.suggest(history, 1).suggestions
    assert suggestion.config != config
    assert suggestion.origin["because"] == "no preference tells two configs apart"


def test_conditional_spaces_are_searched_and_small_ones_used_up():
    parameters = (
        ChoiceParameter(name="kind", choices=("x", "y")),
        ChoiceParameter(
            name="m", choices=(1, 2, 3), when=[Condition(parameter="kind", values=["y"])]
        ),
    )
    history = History(problem=problem(*parameters))
    trials = [
        completed(n, s.config, s.origin)
        for n, s in enumerate(QUICK.suggest(history, 2).suggestions)
    ]
    history = replace(history, trials=trials, preferences=[(0, 1)] * 3, batch=1)
    batch = QUICK.suggest(history, 10)
    assert batch.exhausted
    assert (
        len(
            {config_key(s.config) for s in batch.suggestions}
            | {config_key(t.config) for t in trials}
        )
        == 4
    )


def test_a_model_that_breaks_down_is_answered_by_sobol(driven, monkeypatch):
    def broken(*_):
        raise FloatingPointError("no")

    monkeypatch.setattr(search.bayes.preference, "fit_preferences", broken)
    (suggestion,) = QUICK.suggest(driven, 1).suggestions
    assert suggestion.origin["by"] == "sobol"
    assert suggestion.origin["because"] == "the model failed: FloatingPointError: no"


def test_auto_takes_answers_too(driven):
    (suggestion,) = AutoSearcher().suggest(driven, 1).suggestions
    assert suggestion.origin["by"] == "botorch"
    assert suggestion.origin["auto"] == "botorch: a person's answers instead of a metric"


# Who serves it, and what goes with it


def test_who_learns_from_metrics_refuses():
    study = problem(*CUBE)
    reason = ("it learns from metrics, not from preferences",)
    for searcher in (GP(), Grid(), Phased(first=Sobol(), then=GP(), after=3)):
        assert unsupported(study, searcher) == reason
    for searcher in (AutoSearcher(), BoTorch(), Random(), Sobol()):
        assert unsupported(study, searcher) == ()
    assert {"auto", "botorch", "random", "sobol"} <= set(SEARCHERS)


@pytest.mark.parametrize("changes", [{"goal": "minimize"}, {"read": "best"}, {"reference": 1.0}])
def test_a_preference_measures_nothing(changes):
    with pytest.raises(InvalidProblem, match="by preference"):
        replace(TASTE, **changes)


def test_a_preference_stands_alone():
    space = SearchSpace(parameters=CUBE)
    with pytest.raises(InvalidProblem, match="only objective"):
        Problem(space=space, objectives=[TASTE, Objective(metric="loss")])
    with pytest.raises(InvalidProblem, match="only objective"):
        Problem(
            space=space,
            objectives=[TASTE],
            constraints=[OutcomeConstraint(metric="ms", at_most=1)],
        )
