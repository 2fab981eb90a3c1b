"""Surrogates behind the `botorch` searcher: the contract, what they find, what is refused."""

import math
from statistics import median

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from search.errors import UnsupportedProblem
from search.parameters import FloatParameter
from search.problem import Objective, OutcomeConstraint, Problem
from search.registry import SearcherSettings, check_supported
from search.searcher import History
from search.searchers.botorch import BoTorch
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.space import SearchSpace
from search.surrogates.ibnn import InfiniteWidth
from search.surrogates.networks import HMC, DeepEnsemble, DeepKernel, Laplace
from search.surrogates.saas import Saas
from search.trial import Trial, TrialState
from tests.contracts.searchers import SCALES, SearcherContract, proposed


def quick(surrogate):
    return BoTorch(candidates=200, surrogate=surrogate)


class TestInfiniteWidth(SearcherContract):
    searcher = quick(InfiniteWidth(fit_evaluations=20))


class TestSaas(SearcherContract):
    searcher = quick(Saas(fit_evaluations=160))
    spoilt = ("nested", "permutation")


class TestDeepEnsemble(SearcherContract):
    searcher = quick(DeepEnsemble(members=4, width=6, steps=30))


class TestLaplace(SearcherContract):
    searcher = quick(Laplace(width=4, steps=30))


class TestDeepKernel(SearcherContract):
    searcher = quick(DeepKernel(width=4, embedding=2, steps=20))


class TestHMC(SearcherContract):
    searcher = quick(HMC(width=4, warm=10, keep=8, leaps=5))
    spoilt = ("nested", "permutation")


def test_the_contract_sees_a_model_that_always_fails(monkeypatch):
    def fails(*_, **__):
        raise np.linalg.LinAlgError("not positive definite")

    class Failing(SearcherContract):
        searcher = quick(Laplace(width=5, steps=31))

    monkeypatch.setattr("search.surrogates.linearised.fit", fails)
    with pytest.raises(AssertionError, match="the laplace model failed"):
        Failing().test_results_of_any_scale_do_no_harm("float", SCALES[2])
    with pytest.raises(AssertionError, match="the laplace model failed"):
        Failing().test_results_that_are_not_finite_do_no_harm("float", math.nan)


SURROGATES = [InfiniteWidth(), Saas(), DeepEnsemble(), Laplace(), DeepKernel(), HMC()]


def problem(c=4, seed=0, **changes):
    made = SearchSpace(parameters=[FloatParameter(name=f"x{k}", low=0, high=1) for k in range(c)])
    return Problem(space=made, objectives=[Objective(metric="loss")], seed=seed, **changes)


def valley(config):
    x = np.array(list(config.values()))
    return float(((x - [0.3, 0.7, 0.5, 0.2]) ** 2 * [4, 2, 1, 0.5]).sum())


def play(searcher, study, count):
    """All values of `count` trials, three at a time."""
    trials = []
    for number in range(0, count, 3):
        history = History(problem=study, trials=trials, batch=number // 3)
        for s in searcher.suggest(history, 3).suggestions:
            assert "because" not in s.origin
            values = {"loss": valley(s.config)}
            trials.append(
                Trial(
                    number=len(trials), config=s.config, state=TrialState.COMPLETED, values=values
                )
            )
    return [trial.values["loss"] for trial in trials]


@pytest.mark.parametrize("surrogate", SURROGATES, ids=lambda s: s.kind)
def test_it_gets_closer_than_searching_blindly(surrogate):
    """On a smooth function: the median over three seeds."""
    searcher = Phased(first=Sobol(), then=BoTorch(candidates=600, surrogate=surrogate), after=9)
    found = [min(play(searcher, problem(seed=seed), 33)) for seed in range(3)]
    blind = [min(play(Random(), problem(seed=seed), 33)) for seed in range(3)]
    assert median(found) < 0.5 * median(blind)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=lambda s: s.kind)
def test_its_origin_names_the_surrogate_and_what_it_expects(surrogate):
    study = problem()
    configs = [s.config for s in Sobol().suggest(History(problem=study), 20).suggestions]
    trials = [
        Trial(number=n, config=c, state=TrialState.COMPLETED, values={"loss": valley(c)})
        for n, c in enumerate(configs)
    ]
    batch = quick(surrogate).suggest(History(problem=study, trials=trials), 1)
    origin, config = batch.suggestions[0].origin, batch.suggestions[0].config
    assert (origin["by"], origin["surrogate"], origin["seen"]) == ("botorch", surrogate.kind, 20)
    assert origin["mean"] == pytest.approx(valley(config), abs=4 * origin["sd"] + 0.2)
    assert 0 < origin["sd"] < 3
    assert math.isfinite(origin["acquisition"])


def test_a_numerical_failure_is_answered_with_sobol_points_that_say_so(monkeypatch):
    def fails(*_):
        raise np.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr("search.surrogates.infinite.fit", fails)
    study = problem()
    configs = [s.config for s in Sobol().suggest(History(problem=study), 9).suggestions]
    trials = [
        Trial(number=n, config=c, state=TrialState.COMPLETED, values={"loss": valley(c)})
        for n, c in enumerate(configs)
    ]
    history = History(problem=study, trials=trials)
    batch = quick(InfiniteWidth()).suggest(history, 2)
    assert proposed(batch) == proposed(Sobol().suggest(history, 2))
    assert "the ibnn model failed: LinAlgError" in batch.suggestions[0].origin["because"]


def test_another_searcher_makes_its_design():
    """As in docs/search.md: `gp` until there are fifty trials, then the deep kernel."""
    searcher = TypeAdapter(SearcherSettings).validate_python(
        {
            "kind": "phased",
            "first": {"kind": "gp"},
            "after": 50,
            "then": {"kind": "botorch", "surrogate": {"kind": "dkl"}},
        }
    )
    study = problem()
    check_supported(study, searcher)
    configs = [s.config for s in Sobol().suggest(History(problem=study), 50).suggestions]
    trials = [
        Trial(number=n, config=c, state=TrialState.COMPLETED, values={"loss": valley(c)})
        for n, c in enumerate(configs)
    ]
    before, after = (
        searcher.suggest(History(problem=study, trials=trials[:count], batch=1), 1).suggestions[0]
        for count in (49, 50)
    )
    assert before.origin["by"] == "gp"
    assert after.origin["surrogate"] == "dkl"
    assert after.origin["seen"] == 50


def test_what_a_surrogate_does_not_serve_is_refused():
    several = Problem(
        space=problem().space, objectives=[Objective(metric="a"), Objective(metric="b")]
    )
    bounded = problem(constraints=[OutcomeConstraint(metric="bytes", at_most=1)])
    for study in (several, bounded):
        with pytest.raises(UnsupportedProblem):
            check_supported(study, BoTorch(surrogate=Saas()))
    check_supported(problem(), BoTorch(surrogate=Saas()))


@pytest.mark.parametrize(
    "surrogate",
    [{"kind": "ibnn", "depth": 0}, {"kind": "saas", "fit_evaluations": 3}, {"kind": "forest"}],
)
def test_settings_out_of_range_are_refused_on_the_wire(surrogate):
    with pytest.raises(ValidationError):
        TypeAdapter(SearcherSettings).validate_python({"kind": "botorch", "surrogate": surrogate})


def test_a_surrogate_reads_as_it_was_written():
    read = TypeAdapter(SearcherSettings).validate_python(
        {"kind": "botorch", "surrogate": {"kind": "ibnn", "depth": 2}}
    )
    assert read == BoTorch(surrogate=InfiniteWidth(depth=2))
