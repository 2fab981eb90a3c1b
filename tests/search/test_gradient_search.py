"""Searching with derivatives: what every searcher promises, what they gain, what is refused."""

import math
from dataclasses import replace
from functools import cache

import pytest

from search.bayes import gradient_memo as memos
from search.bayes.gradient_model import Shape
from search.choices import choose
from search.earlier import EarlierStudy
from search.fidelity import Fidelity
from search.foresight import foresees
from search.parameters import ChoiceParameter, FloatParameter
from search.problem import Objective, OutcomeConstraint, Problem
from search.registry import SEARCHERS
from search.searcher import History, Memo, unsupported
from search.searchers.aims import Cost
from search.searchers.auto import AutoSearcher
from search.searchers.botorch import BoTorch
from search.searchers.gp import GP
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.space import SearchSpace
from search.surrogates.saas import Saas
from search.trial import Trial, TrialState
from tests.contracts.searchers import SearcherContract

QUICK = BoTorch(fit_evaluations=20, candidates=200)
LOSS = (Objective(metric="loss", gradients=True),)


class TestGradients(SearcherContract):
    searcher = QUICK
    objectives = LOSS
    spaces = ("log", "step", "nested", "slice", "priors", "permutation")


class TestGradientsOfWhatIsMaximised(SearcherContract):
    searcher = Phased(first=Sobol(), then=QUICK, after=4)
    objectives = (Objective(metric="loss", goal="maximize", gradients=True),)
    spaces = ("nested",)


@pytest.mark.parametrize(
    "name", ["float", "log", "step", "nested", "slice", "priors", "permutation"]
)
def test_the_model_answers_on_every_kind_of_space(name):
    driven = TestGradients().study(name)
    batch = QUICK.suggest(driven.history(), 3)
    told = sum(len(t.gradients) for t in driven.trials if t.state is TrialState.COMPLETED)
    for s in batch.suggestions:
        assert (s.origin["by"], s.origin.get("because")) == ("botorch", None)
        assert 0 < s.origin["derivatives"] <= told
        assert s.origin["sd"] > 0
        assert math.isfinite(s.origin["mean"])
        assert s.origin["expected_gain"] >= 0
        assert driven.trials[s.origin["nearest"]].number == s.origin["nearest"]
    assert foresees(QUICK, driven.problem) is (name != "priors")


def box(d: int) -> SearchSpace:
    return SearchSpace(parameters=[FloatParameter(name=f"x{j}", low=-5, high=5) for j in range(d)])


def valley(config) -> tuple[float, dict[str, float]]:
    """A narrow quadratic and its gradient; 0 at 1, 1, ..."""
    weights = {name: 10.0**k for k, name in enumerate(config)}
    value = sum(w * (config[name] - 1) ** 2 for name, w in weights.items())
    return value, {name: 2 * w * (config[name] - 1) for name, w in weights.items()}


@cache
def reached(seed: int, *, gradients: bool, wrong: float = 1.0, sign: float = 1.0) -> float:
    """The best value after 18 trials."""
    goal = "minimize" if sign > 0 else "maximize"
    objective = Objective(metric="y", goal=goal, gradients=gradients)
    problem = Problem(space=box(4), objectives=[objective], seed=seed)
    searcher = Phased(first=Sobol(), then=BoTorch(candidates=1000), after=8)
    trials: list[Trial] = []
    memo = None
    for number in range(18):
        history = History(problem=problem, trials=trials, batch=number, memo=memo)
        batch = searcher.suggest(history, 1)
        memo, config = batch.memo, batch.suggestions[0].config
        value, slopes = valley(config)
        told = {name: sign * wrong * slope for name, slope in slopes.items()}
        trials.append(
            Trial(
                number=number,
                config=config,
                state=TrialState.COMPLETED,
                values={"y": sign * value},
                gradients=told if gradients else {},
            )
        )
    return min(sign * trial.values["y"] for trial in trials)


def test_derivatives_help():
    """Measured: 1e-5 with them, 28 without; the quadratic is all but known after a few trials."""
    assert reached(0, gradients=True) < 0.01 * reached(0, gradients=False)


def test_wrong_derivatives_do_little_harm():
    """Of the wrong sign, and twice as steep: 4 with them, 28 without; without a model hundreds."""
    assert reached(0, gradients=True, wrong=-2.0) < 40


def test_to_maximise_is_to_minimise_the_negated_metric():
    there = reached(0, gradients=True, sign=-1.0)
    assert there == pytest.approx(reached(0, gradients=True), rel=1e-6)


def hostile(slope: float) -> History:
    space = box(3)
    trials = [
        Trial(
            number=k,
            config={f"x{j}": math.sin(k * (j + 1)) * 4 for j in range(3)},
            state=TrialState.COMPLETED,
            values={"loss": math.cos(k)},
            gradients=dict.fromkeys(("x0", "x2", "x7"), slope if k % 3 else 0.1),
        )
        for k in range(12)
    ]
    return History(problem=Problem(space=space, objectives=LOSS), trials=trials, batch=3)


@pytest.mark.parametrize(
    "slope", [math.nan, math.inf, -math.inf, 1e308, -1e300, 1e150, 1e12, 1e3, 1e-300, 0.0, -0.0]
)
def test_slopes_of_any_size_do_no_harm(slope):
    history = hostile(slope)
    batch = QUICK.suggest(history, 3)
    for s in batch.suggestions:
        assert s.origin["by"] == "botorch"
        assert "because" not in s.origin
        assert all(map(math.isfinite, (s.origin["mean"], s.origin["sd"])))


@pytest.mark.parametrize("scale", [1e-140, 1e-12, 1e12, 1e140])
def test_the_scale_of_the_metric_changes_nothing(scale):
    history = hostile(0.3)
    scaled = [
        replace(
            t,
            values={"loss": scale * t.values["loss"]},
            gradients={name: scale * slope for name, slope in t.gradients.items()},
        )
        for t in history.trials
    ]
    here = QUICK.suggest(history, 2).suggestions
    there = QUICK.suggest(replace(history, trials=scaled), 2).suggestions
    for a, b in zip(here, there, strict=True):
        assert a.config == pytest.approx(b.config, abs=1e-4)
        assert b.origin["mean"] == pytest.approx(scale * a.origin["mean"], rel=1e-3)


def test_without_any_derivative_it_goes_on_all_the_same():
    history = hostile(0.3)
    bare = [replace(trial, gradients={}) for trial in history.trials]
    batch = QUICK.suggest(replace(history, trials=bare), 2)
    assert all(s.origin["derivatives"] == 0 for s in batch.suggestions)
    assert "because" not in batch.suggestions[0].origin


def test_a_memo_spares_the_fit_until_more_is_known():
    history = hostile(0.3)
    first = QUICK.suggest(history, 1)
    known = memos.read(first.memo)
    assert known is not None
    assert known.polished == known.sought == 12 + 24
    again = QUICK.suggest(replace(history, memo=first.memo, batch=4), 1)
    assert again.memo == first.memo
    kept = memos.plan_fit(replace(history, memo=first.memo), 3, 37, 80)
    assert (kept.evaluations, list(kept.starts)) == (0, [known.at])
    polished = memos.plan_fit(replace(history, memo=first.memo), 3, 39, 80)
    assert (polished.evaluations, polished.polished, polished.sought) == (16, 39, 36)
    sought = memos.plan_fit(replace(history, memo=first.memo), 3, 45, 80)
    assert (sought.evaluations, len(sought.starts), sought.sought) == (80, 2, 45)
    cold = memos.plan_fit(replace(history, memo=first.memo), 4, 37, 80)
    assert known.at not in cold.starts


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"shape": [1.0, 1.0, 1.0], "known": [3]},
        {"shape": [1.0, 1.0, 1.0], "known": [3, 3.0]},
        {"shape": [1.0, 1.0], "known": [3, 3]},
        {"shape": [1.0, -1.0, 1.0], "known": [3, 3]},
        {"shape": [1.0, math.nan, 1.0], "known": [3, 3]},
        {"shape": ["1", 1.0, 1.0], "known": [3, 3]},
        {"shape": 3, "known": [3, 3]},
    ],
)
def test_a_memo_that_makes_no_sense_is_none(data):
    assert memos.read(Memo(version=memos.VERSION, data=data)) is None
    assert memos.read(None) is None
    written = memos.write(memos.Last(Shape((1.0, 2.0), 0.1, 0.2), 5, 4))
    assert memos.read(written) == memos.Last(Shape((1.0, 2.0), 0.1, 0.2), 5, 4)
    assert memos.read(replace(written, version=2)) is None


EARLIER = EarlierStudy(
    name="old",
    parameters=["x0", "x1"],
    configs=[{"x0": k / 10, "x1": 0.0} for k in range(10)],
    losses=[float(k) for k in range(10)],
)


@pytest.mark.parametrize(
    ("settings", "changes", "reason"),
    [
        (
            {},
            {"constraints": [OutcomeConstraint(metric="m", at_most=1)]},
            "constraints on outcomes",
        ),
        ({}, {"earlier": [EARLIER]}, "earlier studies"),
        ({}, {"context": [ChoiceParameter(name="task", choices=["a"])]}, "context"),
        ({"acquisition": "kg"}, {}, "'kg'"),
        ({"cost": Cost()}, {}, "cost"),
        ({"input_noise": {"x0": 0.1}}, {}, "input_noise"),
        ({"fidelity": Fidelity(low=1, high=9)}, {}, "fidelity"),
        ({"surrogate": Saas()}, {}, "surrogate"),
    ],
)
def test_what_botorch_does_not_serve_with_them_is_refused(settings, changes, reason):
    problem = Problem(space=box(2), objectives=LOSS, **changes)
    assert any(reason in each for each in unsupported(problem, BoTorch(**settings)))
    if not settings:
        assert any(reason in each for each in unsupported(problem, AutoSearcher()))


def test_whoever_would_leave_them_aside_refuses_the_study():
    problem = Problem(space=box(2), objectives=LOSS)
    sentence = "it does not learn from derivatives of the objective"
    for kind, searcher in SEARCHERS.items():
        if kind == "phased":
            continue
        # What looks at no results leaves nothing aside.
        served = kind in ("auto", "botorch", "grid", "random", "sobol")
        assert (unsupported(problem, searcher()) == ()) is served, kind
        assert served or sentence in unsupported(problem, searcher())
    assert unsupported(problem, Phased(first=Random(), then=GP(), after=3)) == (sentence,)


def test_auto_takes_botorch_for_them():
    problem = Problem(space=box(2), objectives=LOSS)
    choice = choose(problem, 20)
    assert choice is not None
    assert choice.searcher == BoTorch()
    assert "derivatives" in choice.because
    assert foresees(AutoSearcher(), problem)


def test_a_model_takes_no_more_than_its_rows(monkeypatch):
    monkeypatch.setattr("search.bayes.gradients.MODEL_ROWS", 20)
    (suggestion,) = QUICK.suggest(hostile(0.3), 1).suggestions
    assert suggestion.origin["derivatives"] == 8  # beside 12 values, of four trials
    assert suggestion.origin["seen"] == 12
