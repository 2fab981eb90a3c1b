"""What suggestions say of themselves: the same keys, with the same meaning, of every model."""

from dataclasses import replace

import numpy as np
import pytest

import search.forest.suggest
import search.surrogates.suggest
import search.turbo.suggest
from search.earlier import EarlierStudy
from search.fidelity import Fidelity
from search.origin import origin_of
from search.parameters import FloatParameter
from search.problem import Objective, OutcomeConstraint, Problem
from search.searcher import History, Searcher, Suggestion
from search.searchers.botorch import BoTorch
from search.searchers.forest import Forest
from search.searchers.gp import GP
from search.searchers.tpe import TPE
from search.searchers.turbo import TuRBO
from search.space import SearchSpace
from search.surrogates.saas import Saas
from search.trial import Trial, TrialState

SPACE = SearchSpace(parameters=[FloatParameter(name=name, low=0, high=1) for name in "xy"])
ONE = Problem(space=SPACE, objectives=[Objective(metric="loss", goal="maximize")], seed=3)
TWO = replace(ONE, objectives=[*ONE.objectives, Objective(metric="cost")])
BOUND = replace(ONE, constraints=[OutcomeConstraint(metric="cost", at_most=0.9)])
COMMON = {"by", "mean", "sd", "seen", "model_trials", "nearest"}
SAAS = BoTorch(surrogate=Saas(fit_evaluations=160))


def history(problem: Problem, count: int = 16) -> History:
    """All completed but two, of which one failed and one runs."""
    configs = SPACE.sample(np.random.default_rng(1), count + 2)
    trials = [
        Trial(number=n, config=config, state=TrialState.COMPLETED,
              values={"loss": -((config["x"] - 0.3) ** 2) - config["y"], "cost": config["y"]})
        for n, config in enumerate(configs[:count])
    ]  # fmt: skip
    failed = Trial(number=count, config=configs[count], state=TrialState.FAILED)
    running = Trial(number=count + 1, config=configs[count + 1], state=TrialState.RUNNING)
    return History(problem=problem, trials=[*trials, failed, running], batch=3)


def first(searcher: Searcher, problem: Problem) -> Suggestion:
    return searcher.suggest(history(problem), 1).suggestions[0]


BEFORE = SPACE.sample(np.random.default_rng(2), 30)
EARLIER = EarlierStudy(
    name="before",
    parameters=("x", "y"),
    configs=BEFORE,
    losses=[float((config["x"] - 0.3) ** 2 + config["y"]) for config in BEFORE],
)


@pytest.mark.parametrize(("searcher", "problem"), [
    (GP(fit_evaluations=100), ONE),
    (BoTorch(fit_evaluations=40), ONE),
    (BoTorch(fit_evaluations=40), BOUND),
    (BoTorch(fit_evaluations=40, acquisition="mes"), ONE),
    (BoTorch(fit_evaluations=40, input_noise={"x": 0.05}), ONE),
    (BoTorch(fit_evaluations=40, fidelity=Fidelity(low=1, high=9)), ONE),
    (BoTorch(fit_evaluations=40), replace(ONE, earlier=[EARLIER])),
    (SAAS, ONE),
    (Forest(), ONE),
    (TuRBO(initial=4), ONE),
], ids=lambda one: getattr(one, "kind", ""))  # fmt: skip
def test_every_model_says_what_it_expects_and_what_it_rests_on(
    searcher: Searcher, problem: Problem
) -> None:
    made = first(searcher, problem)
    origin = made.origin
    expected = COMMON if origin["by"] == "turbo" else COMMON | {"acquisition"}
    assert expected <= origin.keys(), origin
    assert ("transfer" in origin) == bool(problem.earlier)
    # 17 have ended; a maximised value that is negative everywhere keeps its sign.
    assert (origin["seen"], origin["model_trials"]) in {(17, 17), (17, 16)}
    assert -3 < float(str(origin["mean"])) < 0.3
    x = np.array([[t.config["x"], t.config["y"]] for t in history(problem).trials[:17]], float)
    away = np.abs(x - [float(str(made.config[name])) for name in "xy"]).max(axis=1)
    assert away[int(str(origin["nearest"]))] <= sorted(away)[4]


def test_several_objectives_tell_their_expectations_by_metric() -> None:
    origin = first(BoTorch(fit_evaluations=40), TWO).origin
    assert {"by", "acquisition", "predicted", "seen", "model_trials", "nearest"} <= origin.keys()
    assert origin["seen"] == 17


@pytest.mark.parametrize(("module", "searcher"), [
    (search.forest.suggest, Forest()),
    (search.turbo.suggest, TuRBO(initial=4)),
    (search.surrogates.suggest, SAAS),
], ids=["forest", "turbo", "saas"])  # fmt: skip
def test_a_model_of_some_of_the_results_says_of_how_many(module, searcher, monkeypatch) -> None:
    monkeypatch.setattr(module, "MODEL_POINTS", 10)
    origin = first(searcher, ONE).origin
    assert (origin["seen"], origin["model_trials"]) == (17, 10)


def test_densities_say_how_many_trials_they_are_made_of(monkeypatch) -> None:
    monkeypatch.setattr("search.tpe.suggest.MAX_ABOVE", 10)
    monkeypatch.setattr("search.tpe.suggest.LATEST", 5)
    origin = first(TPE(initial=4), ONE).origin
    assert origin["seen"] == 17
    assert origin["model_trials"] == 10 + int(str(origin["good"]))


def test_numbers_that_are_not_finite_are_left_out() -> None:
    numbers = {"acquisition": -np.inf, "sd": 2.0}
    origin = origin_of("gp", history(ONE), numbers, model_trials=3, nearest=None, loss=1.5)
    assert origin == {"by": "gp", "sd": 2.0, "mean": -1.5, "seen": 17, "model_trials": 3}


def test_results_are_trials_that_ended_and_answers() -> None:
    given = history(ONE, 4)
    assert given.seen == 5
    assert replace(given, preferences=[(0, 1), (2, 1)]).seen == 7
