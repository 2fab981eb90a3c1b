"""A suggestion after 5,000 trials, cold: legal, new, and from no more rows than a model may see."""

from functools import cache

import numpy as np
import pytest

from search.bayes import suggest as bayes
from search.evolution import ageing, survivors
from search.forest import suggest as forest
from search.parameters import ChoiceParameter, FloatParameter, IntParameter
from search.problem import Objective, Problem
from search.searcher import History
from search.searchers.botorch import BoTorch
from search.searchers.cmaes import CMAES
from search.searchers.evolution import Evolution
from search.searchers.forest import Forest
from search.searchers.nsga2 import NSGA2
from search.searchers.tpe import TPE
from search.space import SearchSpace
from search.surrogates import suggest as surrogates
from search.surrogates.ibnn import InfiniteWidth
from search.surrogates.networks import HMC, DeepEnsemble, DeepKernel, Laplace
from search.surrogates.saas import Saas
from search.tpe import mixture
from search.tpe import suggest as tpe
from search.trial import Trial, TrialState
from tests.contracts.searchers import keys, proposed

SPACE = SearchSpace(
    parameters=[
        *(FloatParameter(name=f"x{k}", low=0, high=1) for k in range(6)),
        IntParameter(name="n", low=1, high=1000, log=True),
        ChoiceParameter(name="c", choices=tuple("pqrs")),
    ]
)


def loss(config):
    numbers = [(value - 0.3) ** 2 for value in config.values() if isinstance(value, float)]
    return sum(numbers) + 0.001 * abs(config["n"] - 40) + (config["c"] != "r")


@cache
def history():
    configs = SPACE.sample(np.random.default_rng(0), 5000)
    trials = [
        Trial(number=n, config=c, state=TrialState.COMPLETED, values={"loss": loss(c)})
        for n, c in enumerate(configs)
    ]
    problem = Problem(space=SPACE, objectives=[Objective(metric="loss")], seed=1)
    return History(problem=problem, trials=trials, batch=3)


def suggested(searcher):
    """Three suggestions, no trial's config among them, none of which stands in for a model's."""
    batch = searcher.suggest(history(), 3)
    assert len(set(proposed(batch)) - set(keys(t.config for t in history().trials))) == 3
    for s in batch.suggestions:
        assert SPACE.check(s.config) == s.config
        assert "because" not in s.origin
    return batch


def counting(monkeypatch, owner, name, rows):
    """What rows() says of the arguments of every call; the call goes on as before."""
    called, counts = getattr(owner, name), []

    def spy(*arguments, **named):
        counts.append(rows(*arguments))
        return called(*arguments, **named)

    # A method bound to its class is called without it.
    bound = hasattr(called, "__self__")
    monkeypatch.setattr(owner, name, staticmethod(spy) if bound else spy)
    return counts


@pytest.mark.parametrize(
    "surrogate",
    [
        Saas(fit_evaluations=160),
        InfiniteWidth(fit_evaluations=10),
        DeepKernel(steps=10),
        DeepEnsemble(members=2, steps=10),
        Laplace(steps=10),
        HMC(warm=10, keep=4, leaps=5),
    ],
    ids=lambda surrogate: surrogate.kind,
)
def test_a_surrogate_sees_three_hundred_of_them(surrogate, monkeypatch):
    seen = counting(monkeypatch, type(surrogate), "fit", lambda _, observed, *__: len(observed.y))
    batch = suggested(BoTorch(candidates=100, surrogate=surrogate))
    assert seen == [surrogates.MODEL_POINTS]
    told = {(s.origin["seen"], s.origin["model_trials"]) for s in batch.suggestions}
    assert told == {(5_000, 300)}


@pytest.mark.parametrize(
    ("searcher", "owner", "name", "rows", "most"),
    [
        (
            BoTorch(candidates=100, fit_evaluations=10),
            *(bayes, "build", lambda X, *_: len(X), bayes.MODEL_POINTS),
        ),
        (
            BoTorch(candidates=100, fit_evaluations=10),
            *(bayes, "fit", lambda X, *_: len(X), bayes.FIT_POINTS),
        ),
        (
            Forest(trees=8, candidates=400),
            *(forest.Forest, "of", lambda X, *_: len(X), forest.MODEL_POINTS + 3),
        ),
        (
            TPE(),
            *(mixture.Mixture, "of", lambda _, X, *__: len(X), tpe.MAX_ABOVE + 3),
        ),
        (NSGA2(), survivors, "select", lambda members, _: len(members), 2 * NSGA2().population),
        (Evolution(), ageing, "_children", lambda _, parents, __: len(parents), 100),
    ],
    ids=lambda given: getattr(given, "kind", None),
)
def test_no_model_sees_more_than_its_bound(searcher, owner, name, rows, most, monkeypatch):
    seen = counting(monkeypatch, owner, name, rows)
    batch = suggested(searcher)
    assert seen
    assert 0.5 * most < max(seen) <= most
    assert searcher.kind in {s.origin["by"] for s in batch.suggestions}


def test_cmaes_begins_at_the_best_of_them():
    found = suggested(CMAES(sigma=0.01)).suggestions
    best = min(history().trials, key=lambda trial: trial.values["loss"]).config
    for name in ("x0", "x1", "x2"):
        assert [s.config[name] for s in found] == pytest.approx([best[name]] * 3, abs=0.1)
