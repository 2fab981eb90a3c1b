"""Learning from earlier studies: what is taken over, how it is weighed, what it is worth."""

import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from search.bayes import transfer
from search.bayes.mixture import Mixture, Part
from search.bayes.ranking import drawn, drawn_left_out, weights, wrong_pairs
from search.bayes.sources import fit_sources, sources
from search.bayes.weighing import weigh
from search.earlier import EarlierStudy, shared_parameters
from search.encoding import Cube, config_key
from search.errors import InvalidProblem
from search.gp.fit import Hyperparameters
from search.gp.kernels import MATERN
from search.gp.posterior import Posterior
from search.parameters import ChoiceParameter, Condition, FloatParameter, IntParameter
from search.problem import Objective, Problem
from search.registry import SEARCHERS
from search.searcher import Aid, History, Memo, unsupported
from search.searchers.botorch import BoTorch
from search.snapshot import snapshot
from search.space import SearchSpace
from search.trial import Trial, TrialState
from tests.contracts.searchers import BATCH, ELSEWHERE, HISTORY
from tests.contracts.spaces import SPACES, space

SMALL = BoTorch(candidates=100, fit_evaluations=40)
LOSS = Objective(metric="loss")


def floats(d: int) -> SearchSpace:
    return SearchSpace(
        parameters=[FloatParameter(name=f"x{j}", low=0.0, high=1.0) for j in range(d)]
    )


def at(config) -> np.ndarray:
    return np.array(list(config.values()))


def completed(number, config, loss, origin=()) -> Trial:
    return Trial(
        number=number,
        config=config,
        state=TrialState.COMPLETED,
        values={"loss": loss},
        origin=dict(origin),
    )


def studied(f, in_space: SearchSpace, count: int, seed: int) -> list[Trial]:
    configs = in_space.sample(np.random.default_rng(seed), count)
    return [completed(k, config, f(at(config))) for k, config in enumerate(configs)]


def problem(d: int = 2, seed: int = 0, **sources_) -> Problem:
    base = Problem(space=floats(d), objectives=[LOSS], seed=seed)
    taken = [
        snapshot(name, base, studied(f, base.space, 30, 100 + seed), base)
        for name, f in sources_.items()
    ]
    return replace(base, earlier=taken)


def bowl(x) -> float:
    return float(np.square(x - 0.3).sum())


def near_bowl(x) -> float:
    return 5.0 + 100.0 * float(np.square(x - 0.35).sum())


def hill(x) -> float:
    return -bowl(x)


# What is taken over


def test_shared_parameters_have_their_parents_shared_too():
    parent = ChoiceParameter(name="kind", choices=["a", "b"])
    child = FloatParameter(
        name="rate", low=0.0, high=1.0, when=[Condition(parameter="kind", values=["a"])]
    )
    free = FloatParameter(name="rate", low=0.0, high=1.0)
    size = IntParameter(name="size", low=1, high=9)
    with_parent = SearchSpace(parameters=[parent, child, size])
    without = SearchSpace(parameters=[free, size])
    assert shared_parameters(with_parent, with_parent) == ["kind", "rate", "size"]
    assert shared_parameters(without, with_parent) == ["size"]
    assert shared_parameters(with_parent, without) == ["rate", "size"]


def test_a_point_that_does_not_fit_is_left_out():
    old = SearchSpace(parameters=[FloatParameter(name="x", low=0.0, high=10.0)])
    new = SearchSpace(
        parameters=[
            FloatParameter(name="x", low=0.0, high=5.0),
            FloatParameter(name="y", low=0.0, high=1.0),
        ]
    )
    trials = [completed(k, {"x": float(k)}, float(k)) for k in range(10)]
    taken = snapshot(
        "old",
        Problem(space=old, objectives=[LOSS]),
        trials,
        Problem(space=new, objectives=[LOSS]),
    )
    assert taken.parameters == ("x",)
    assert [config["x"] for config in taken.configs] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_the_objective_may_be_any_of_the_earlier_ones_with_the_same_goal():
    new = problem(1)
    old = replace(new, objectives=[Objective(metric="time"), LOSS])
    trials = [
        replace(trial, values={**trial.values, "time": 1.0})
        for trial in studied(bowl, new.space, 5, 0)
    ]
    assert snapshot("old", old, trials, new).losses == tuple(t.values["loss"] for t in trials)
    wrong = replace(new, objectives=[Objective(metric="loss", goal="maximize")])
    with pytest.raises(InvalidProblem, match="does not maximize 'loss'"):
        snapshot("old", old, trials, wrong)


def test_only_botorch_takes_earlier_studies_and_auto_by_it():
    asked = problem(before=bowl)
    takers = {kind for kind, searcher in SEARCHERS.items() if Aid.TRANSFER in searcher.aids}
    assert takers == {"auto", "botorch"}
    assert unsupported(asked, BoTorch()) == unsupported(asked, SEARCHERS["auto"]()) == ()
    assert "does not learn from earlier studies" in unsupported(asked, SEARCHERS["gp"]())[0]


def test_losses_that_are_not_finite_are_refused():
    points = {"configs": [{"x0": 0.5}] * 3, "losses": [1.0, math.inf, 0.0]}
    with pytest.raises(InvalidProblem, match="not finite"):
        EarlierStudy(name="old", parameters=["x0"], **points)


# How it is weighed


def test_wrong_pairs_are_counted_once_each():
    y = np.array([1.0, 2.0, 3.0, 3.0])  # five pairs with an order
    draws = np.array([[1, 2, 3, 4], [4, 3, 2, 1], [1, 1, 1, 1], [2, 1, 3, 4]], dtype=float)
    assert wrong_pairs(draws, y).tolist() == [0, 5, 5, 1]
    assert wrong_pairs(draws, np.ones(4)).tolist() == [0, 0, 0, 0]


def test_the_share_of_a_model_is_how_often_it_is_best():
    #                       a tie is the own model's
    losses = np.array([[0, 0, 1, 2], [0, 3, 1, 2], [1, 4, 1, 3]], dtype=float)
    assert weights(losses, 10).tolist() == [0.125 + 0.25 + 0.125, 0.125 + 0.125, 0.25]


def test_a_model_whose_median_is_beyond_the_own_ones_is_left_out():
    own = np.arange(100.0)
    lucky = np.where(np.arange(100) < 49, -1.0, 1000.0)  # best half of the time, median 1000
    assert weights(np.stack([lucky, own]), 5000).tolist() == [0.0, 1.0]
    assert weights(np.stack([np.full(100, 50.0), own]), 5000)[0] == pytest.approx(0.49)


def test_a_model_that_a_coin_would_beat_is_left_out():
    losses = np.array([[6.0] * 10, [9.0] * 10])
    assert weights(losses, 12).tolist() == [1.0, 0.0]
    assert weights(losses, 11).tolist() == [0.0, 1.0]


def test_draws_have_the_models_mean_and_covariance():
    rng = np.random.default_rng(0)
    X, y = rng.random((8, 2)), rng.standard_normal(8)
    model = Posterior.of(MATERN, Hyperparameters((0.5, 0.8), 0.05), X, [0, 1], y)
    new = rng.random((3, 2))
    many = np.concatenate([drawn(model, new, rng) for _ in range(200)])
    belief = model.believe(new)
    assert np.allclose(many.mean(axis=0), belief.mean, atol=0.02)
    assert np.allclose(many.std(axis=0), belief.sd, rtol=0.03)


def test_a_result_left_out_is_predicted_as_by_a_model_without_it():
    rng = np.random.default_rng(1)
    X, y = rng.random((6, 1)), rng.standard_normal(6)
    hyper = Hyperparameters((0.4,), 0.1)
    model = Posterior.of(MATERN, hyper, X, [0], y)
    many = np.concatenate([drawn_left_out(model, y, rng) for _ in range(200)])
    for left in range(6):
        rest = np.delete(np.arange(6), left)
        K = model.L @ model.L.T
        mean = model.mean + K[left, rest] @ np.linalg.solve(
            K[np.ix_(rest, rest)], y[rest] - model.mean
        )
        variance = K[left, left] - K[left, rest] @ np.linalg.solve(
            K[np.ix_(rest, rest)], K[rest, left]
        )
        assert many[:, left].mean() == pytest.approx(mean, abs=0.02)
        assert many[:, left].var() == pytest.approx(variance, rel=0.05)


def shares(asked: Problem, f, count: int) -> dict[str, float]:
    cube = Cube(asked.space)
    found = sources(asked, cube)
    history = History(problem=asked, trials=studied(f, asked.space, count, 7))
    weighed = weigh(history, cube, found, fit_sources(asked, found, 80), 80)
    return {"own": 1.0} if weighed is None else dict(weighed.shares)


@pytest.mark.parametrize("count", [3, 5, 8])
def test_the_same_problem_gets_nearly_all_weight_early(count):
    assert shares(problem(3, same=bowl), bowl, count)["same"] > 0.8


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_a_reversed_problem_gets_none(count):
    assert shares(problem(3, reversed=hill), bowl, count) == {"own": 1.0}


def test_of_two_the_useful_one_is_picked():
    found = shares(problem(3, reversed=hill, same=near_bowl), bowl, 6)
    assert found["reversed"] == 0.0
    assert found["same"] > 0.8


def test_a_mixture_adds_up_and_learns_where_it_has_been():
    rng = np.random.default_rng(2)
    X, new = rng.random((10, 2)), rng.random((4, 2))
    hyper = Hyperparameters((0.5,), 0.01)
    parts = [
        Part(Posterior.of(MATERN, hyper, X[:, [c]], [0], rng.standard_normal(10)), [c], w)
        for c, w in ((0, 0.25), (1, 0.75))
    ]
    mean, variance = Mixture(parts).believe(new)
    beliefs = [part.model.believe(new[:, part.columns]) for part in parts]
    assert np.allclose(mean, 0.25 * beliefs[0].mean + 0.75 * beliefs[1].mean)
    assert np.allclose(variance, 0.0625 * beliefs[0].variance + 0.5625 * beliefs[1].variance)
    been = Mixture(parts).pending(new[:1])
    again = been.believe(new)
    assert np.allclose(again[0], mean)
    assert again[1][0] < 0.5 * variance[0]
    assert been.best == pytest.approx(mean[0])
    assert been.acquisition(new)[0] < been.acquisition(new)[1:].max()


# What it is worth


def loop(asked: Problem, f, budget: int) -> float:
    """The lowest loss after so many trials, one at a time."""
    trials: list[Trial] = []
    memo = None
    for number in range(budget):
        batch = SMALL.suggest(History(problem=asked, trials=trials, batch=number, memo=memo), 1)
        (made,), memo = batch.suggestions, batch.memo
        trials.append(completed(number, made.config, f(at(made.config)), made.origin))
    return min(trial.values["loss"] for trial in trials)


def valley(x) -> float:
    """A curved valley, on a scale on which its depth counts."""
    z = 3 * x - 1
    return math.log10(1e-3 + (1 - z[0]) ** 2 + 20 * (z[1] - z[0] ** 2) ** 2)


def near_valley(x) -> float:
    return 3.0 * valley(np.clip(x + 0.03, 0, 1)) + 7.0


def against_valley(x) -> float:
    return -valley(x)


@pytest.fixture(scope="module")
def played() -> dict[str, np.ndarray]:
    """The best of 15 trials for 12 seeds: cold, with a helpful and with a misleading study."""
    asked = {
        "cold": lambda seed: problem(2, seed),
        "helped": lambda seed: problem(2, seed, near=near_valley),
        "misled": lambda seed: problem(2, seed, against=against_valley),
    }
    return {
        name: np.array([loop(of(seed), valley, 15) for seed in range(12)])
        for name, of in asked.items()
    }


def test_a_helpful_study_gives_a_clearly_better_result(played):
    gain = played["cold"] - played["helped"]
    assert gain.mean() > 2 * gain.std(ddof=1) / math.sqrt(len(gain))
    assert gain.mean() > 0.2


def test_a_misleading_study_does_no_harm_beyond_noise(played):
    """Paired over the seeds: the mean loss is at most two standard errors above a cold start's."""
    harm = played["misled"] - played["cold"]
    assert harm.mean() < 2 * harm.std(ddof=1) / math.sqrt(len(harm))


# The same again, and whatever may come


def driven(asked: Problem, f=lambda config: 1.0) -> History:
    trials: list[Trial] = []
    memo = None
    for number, count in enumerate((1, 3, 2, 1)):
        batch = SMALL.suggest(History(problem=asked, trials=trials, batch=number, memo=memo), count)
        memo = batch.memo
        for made in batch.suggestions:
            trials.append(completed(len(trials), made.config, f(made.config), made.origin))
    return History(problem=asked, trials=trials, batch=9, memo=memo)


def test_another_process_suggests_the_same():
    history = driven(problem(2, before=near_bowl), lambda config: bowl(at(config)))
    here = SMALL.suggest(history, 5)
    assert "transfer" in here.suggestions[0].origin
    sent = "\n".join(
        [
            '{"kind": "botorch", "candidates": 100, "fit_evaluations": 40}',
            HISTORY.dump_json(history).decode(),
        ]
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=sent,
        env={**os.environ, "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "3"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert elsewhere.stdout == BATCH.dump_json(here).decode()


@pytest.mark.parametrize(
    "memo",
    [
        None,
        Memo(version=101, data={"earlier": [[1.0, -1.0]], "alone": None}),
        Memo(version=101, data={"earlier": [["a", None]], "alone": 7}),
        Memo(version=101, data=[]),
        Memo(version=2, data={"lengths": [1.0], "noise": 0.1}),
    ],
)
def test_a_lost_or_strange_memo_changes_nothing(memo):
    history = driven(problem(2, before=near_bowl), lambda config: bowl(at(config)))
    history = replace(history, trials=history.trials[:3], batch=4)
    expected = SMALL.suggest(history, 1)
    assert "transfer" in expected.suggestions[0].origin
    assert SMALL.suggest(replace(history, memo=memo), 1).suggestions == expected.suggestions


@pytest.mark.parametrize("name", SPACES)
def test_every_space_gets_legal_configs_that_are_all_different(name):
    base = Problem(space=space(name), objectives=[LOSS], seed=3)
    configs = base.space.sample(np.random.default_rng(0), 12)
    trials = [completed(k, config, float(k % 5)) for k, config in enumerate(configs)]
    asked = replace(base, earlier=[snapshot("before", base, trials, base)])
    history = driven(asked, lambda config: float(len(config_key(config)) % 3))
    batch = SMALL.suggest(history, 4)
    made = [s.config for s in batch.suggestions]
    assert all(base.space.check(config) == config for config in made)
    keys = [config_key(c) for c in [*(t.config for t in history.trials), *made]]
    assert len(set(keys)) == len(keys)
    assert batch.exhausted == (len(made) < 4)


def test_where_a_model_of_an_earlier_study_breaks_down_the_search_goes_on(monkeypatch):
    def broken(*_):
        raise np.linalg.LinAlgError("not positive definite")

    history = driven(problem(2, before=near_bowl), lambda config: bowl(at(config)))
    monkeypatch.setattr(transfer, "weigh", broken)
    batch = SMALL.suggest(history, 3)
    assert {s.origin["by"] for s in batch.suggestions} == {"botorch"}
    assert all("earlier studies failed" in s.origin["because"] for s in batch.suggestions)


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e12, 1e300])
def test_losses_of_any_size_are_taken(scale):
    base = problem(2)
    points = base.space.sample(np.random.default_rng(0), 10)
    losses = [scale * (k - 5) for k in range(10)]
    earlier = EarlierStudy(
        name="before", parameters=["x0", "x1"], configs=[*points[:9], points[0]], losses=losses
    )
    history = driven(replace(base, earlier=[earlier]), lambda config: scale * bowl(at(config)))
    assert len(SMALL.suggest(history, 3).suggestions) == 3
