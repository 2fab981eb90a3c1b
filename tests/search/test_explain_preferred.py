"""Explanations of studies by preference: the utility that answers speak for."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from search.explain.explain import explain
from search.explain.explanation import Explanation
from search.explain.preferred import Taste
from search.parameters import ChoiceParameter, Condition, FloatParameter
from search.problem import Objective, Problem
from search.space import SearchSpace
from search.trial import Trial, TrialState

WIRE = TypeAdapter(Explanation)
TASTE = [Objective(metric="taste", goal="maximize", by="preference")]
SQUARE = [FloatParameter(name=name, low=0, high=1) for name in "xyz"]


def asked(parameters=SQUARE, seed=0):
    return Problem(space=SearchSpace(parameters=parameters), objectives=TASTE, seed=seed)


def completed(problem, count, seed=0):
    configs = problem.space.sample(np.random.default_rng(seed), count)
    return [Trial(number=n, config=c, state=TrialState.COMPLETED) for n, c in enumerate(configs)]


def answered(trials, utility):
    """Each trial compared with the one before it."""
    order = [sorted(two, key=lambda t: -utility(t.config)) for two in pairwise(trials)]
    return [(better.number, worse.number) for better, worse in order]


def liked(config):
    return 6 * config["x"] - 3 * config["y"]


@pytest.fixture(scope="module")
def found():
    trials = completed(asked(), 43)  # three of which nobody has compared
    return explain(asked(), trials, "taste", answered(trials[:40], liked))


def test_what_answers_turn_on_is_said_to_matter(found):
    assert [one.parameter for one in found.importance] == ["x", "y", "z"]
    x, y, z = found.importance
    # Of 6 x - 3 y: 36 of 45, and 9 of 45.
    assert x.total == pytest.approx(0.8, abs=0.15)
    assert y.total == pytest.approx(0.2, abs=0.15)
    assert z.total < 0.05
    assert x.share > y.share > z.share
    assert {one.model_trials for one in found.importance} == {40}


def test_curves_are_utilities_less_that_of_the_best(found):
    curves = {one.parameter: np.array(one.mean) for one in found.dependence}
    assert np.corrcoef(curves["x"], np.arange(21))[0, 1] > 0.97
    assert np.corrcoef(curves["y"], -np.arange(21))[0, 1] > 0.97
    assert np.ptp(curves["z"]) < 0.3 * np.ptp(curves["x"])
    assert abs(max(curves["x"])) < 0.2 * np.ptp(curves["x"])
    assert found.goal == "maximize"
    assert found.because is None


def test_answers_of_somebody_who_knows_are_foretold(found):
    assert found.answers is not None
    assert (found.answers.answers, found.answers.warning) == (39, None)
    assert found.answers.foretold > 0.9
    assert found.diagnostics is None


def test_a_coin_is_called_one():
    rng, trials = np.random.default_rng(1), completed(asked(), 41)
    pairs = answered(trials, lambda _: rng.random())
    told = explain(asked(), trials, "taste", pairs).answers
    assert told is not None
    assert told.foretold < 0.65
    assert "hardly more than a coin does" in told.warning


def test_an_answer_is_not_foretold_from_itself_nor_from_its_repetition():
    """Against the fit of the others, which the answer contradicts."""
    trials = completed(asked(), 20)
    pairs = answered(trials, liked)
    best, worst = (f(trials, key=lambda t: liked(t.config)).number for f in (max, min))
    lie = (worst, best)
    taste = Taste.of(asked(), trials, [*pairs, lie, lie])
    assert taste.checked().foretold <= len(pairs) / (len(pairs) + 2)


def test_the_spread_is_that_of_the_difference():
    trials = completed(asked(), 15)
    taste = Taste.of(asked(), trials, answered(trials, liked))
    rows = np.concatenate([taste.answered.incumbent, np.random.default_rng(2).random((300, 3))])
    mean, sd = taste.moments(rows)
    assert mean[0] == pytest.approx(0.0, abs=1e-9)
    assert sd[0] < 0.02  # what is added to the diagonal
    two = torch.from_numpy(np.concatenate([rows[[280]], rows[[0]]]))
    with torch.no_grad():
        posterior = taste.model.posterior(two)
        drawn = posterior.rsample(torch.Size([20_000])).squeeze(-1).numpy()
    difference = drawn[:, 0] - drawn[:, 1]
    assert mean[280] == pytest.approx(difference.mean(), abs=0.05 * sd[280])
    assert sd[280] == pytest.approx(difference.std(), rel=0.03)


@pytest.mark.parametrize(
    ("pairs", "because"),
    [
        ([], "fewer than 4 preferences have been given"),
        ([(0, 1), (1, 2), (2, 3)], "fewer than 4 preferences have been given"),
        ([(0, 1), (1, 0), (0, 1), (1, 0)], None),
        ([(0, 4), (4, 0), (0, 4), (0, 4)], "no preference tells two configs apart"),
    ],
)
def test_too_few_answers_are_no_model(pairs, because):
    trials = completed(asked(), 4)
    trials.append(Trial(number=4, config=trials[0].config, state=TrialState.COMPLETED))
    told = explain(asked(), trials, "taste", pairs)
    assert told.because == because
    assert told.measured == len({number for pair in pairs for number in pair})
    assert len(told.importance) == 3
    json.dumps(WIRE.dump_python(told, mode="json"), allow_nan=False)


def test_spaces_with_conditions_and_of_one_point():
    nested = asked([
        ChoiceParameter(name="c", choices=("a", "b")),
        FloatParameter(name="x", low=0, high=1, when=(Condition(parameter="c", values=("a",)),)),
    ])  # fmt: skip
    trials = completed(nested, 20, seed=3)
    told = explain(nested, trials, "taste", answered(trials, lambda c: c.get("x", 0.5)))
    curve = next(one for one in told.dependence if one.parameter == "x")
    assert curve.mean[0] < curve.mean[-1]
    assert all(map(math.isfinite, curve.mean))
    point = asked([FloatParameter(name="x", low=1, high=1)])
    assert explain(point, completed(point, 2), "taste", [(0, 1)] * 9).because == (
        "no parameter has more than one value"
    )


def test_it_is_a_function_of_the_answers():
    trials = completed(asked(), 12)
    pairs = answered(trials, liked)
    torch.manual_seed(5)
    first = explain(asked(), trials, "taste", pairs)
    torch.manual_seed(6)
    np.random.seed(7)
    assert explain(asked(), trials, "taste", pairs) == first
