"""Explanations as a whole: known functions, every kind of space, hostile values; and the best of
noisy trials."""

import json
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from pydantic import TypeAdapter

import search.gp.known
from search.best import best_trial
from search.encoding import Cube
from search.explain.explain import explain
from search.explain.explanation import Explanation
from search.explain.posterior_best import posterior_best
from search.gp.posterior import Posterior
from search.parameters import (
    ChoiceParameter,
    Condition,
    FloatParameter,
    IntParameter,
    PermutationParameter,
)
from search.problem import Objective, OutcomeConstraint, Problem
from search.space import SearchSpace
from search.trial import Trial, TrialState
from search.values import Config
from tests.contracts.spaces import SPACES, TINY, space

WIRE = TypeAdapter(Explanation)
X, Y = FloatParameter(name="x", low=-2, high=2), FloatParameter(name="y", low=-2, high=2)


def problem(*parameters: object, **more: object) -> Problem:
    more = {"objectives": [Objective(metric="loss")], "seed": 7} | more
    return Problem(space=SearchSpace(parameters=parameters), **more)


def completed(asked: Problem, count: int, function: Callable[[Config], float], seed: int = 0):
    configs = asked.space.sample(np.random.default_rng(seed), count)
    return [
        Trial(
            number=n, config=config, state=TrialState.COMPLETED, values={"loss": function(config)}
        )
        for n, config in enumerate(configs)
    ]


def numbers(value: object) -> Iterator[float]:
    """Every number in a JSON document."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


def travelled(found: Explanation) -> dict[str, object]:
    """As JSON, and the same when it is read again."""
    body = json.loads(json.dumps(WIRE.dump_python(found, mode="json"), allow_nan=False))
    assert WIRE.dump_python(WIRE.validate_python(body), mode="json") == body
    assert all(math.isfinite(number) for number in numbers(body))
    return body


def test_what_matters_is_said_to_matter() -> None:
    asked = problem(
        X, Y, FloatParameter(name="z", low=0, high=1), IntParameter(name="one", low=3, high=3)
    )
    trials = completed(asked, 60, lambda c: 3 * c["x"] ** 2 + c["y"])
    found = explain(asked, trials)
    assert [one.parameter for one in found.importance] == ["x", "y", "z", "one"]
    # Var(3 x^2) = 9 * 64 / 45, Var(y) = 4 / 3 on [-2, 2].
    x, y = 9 * 64 / 45, 4 / 3
    assert found.importance[0].first_order == pytest.approx(x / (x + y), abs=0.03)
    assert found.importance[1].total == pytest.approx(y / (x + y), abs=0.03)
    assert found.importance[2].total < 0.02
    assert found.importance[3].total == found.importance[3].share == 0.0
    x_share, y_share, z_share, _ = (one.share for one in found.importance)
    assert min(x_share, y_share) > 2 * z_share
    assert sum(one.share for one in found.importance) == pytest.approx(1.0)
    assert {one.model_trials for one in found.importance} == {60}
    assert {(one.share_trials, one.share_best) for one in found.importance} == {(60, 6)}


def test_curves_are_those_of_the_function() -> None:
    asked = problem(X, Y)
    trials = completed(asked, 60, lambda c: 3 * c["x"] ** 2 + c["y"])
    found = explain(asked, trials)
    curve = next(one for one in found.dependence if one.parameter == "x")
    values = np.array(curve.values)
    np.testing.assert_allclose(values, np.linspace(-2, 2, 21))
    np.testing.assert_allclose(curve.mean, 3 * values**2, atol=0.25)  # y averages to 0
    assert max(curve.sd) < 0.5
    pair = found.pair
    assert pair is not None
    assert (pair.row_parameter, pair.column_parameter) == ("x", "y")
    exact = 3 * np.array(pair.rows)[:, None] ** 2 + np.array(pair.columns)
    np.testing.assert_allclose(np.array(pair.mean), exact, atol=0.4)


def test_what_is_maximised_is_told_in_its_own_units() -> None:
    asked = problem(X, objectives=[Objective(metric="score", goal="maximize")])
    trials = [
        Trial(number=n, config={"x": x}, state=TrialState.COMPLETED, values={"score": 100 - x * x})
        for n, x in enumerate(np.linspace(-2, 2, 15).tolist())
    ]
    found = explain(asked, trials)
    assert max(found.dependence[0].mean) == pytest.approx(100, abs=0.1)
    assert found.diagnostics is not None
    point = found.diagnostics.points[0]
    assert (point.trial, point.measured) == (0, 96.0)
    assert point.predicted == pytest.approx(96, abs=1)
    assert point.residual == pytest.approx((point.measured - point.predicted) / point.sd, rel=1e-6)


def test_a_conditional_parameter_is_followed_where_it_exists() -> None:
    when = (Condition(parameter="c", values=("a",)),)
    asked = problem(
        ChoiceParameter(name="c", choices=("a", "b")),
        FloatParameter(name="x", low=0, high=1, when=when),
    )
    trials = completed(asked, 50, lambda c: 4 * c["x"] if "x" in c else 2.0, seed=1)
    found = explain(asked, trials)
    curve = next(one for one in found.dependence if one.parameter == "x")
    np.testing.assert_allclose(curve.mean, 4 * np.linspace(0, 1, 21), atol=0.4)
    bar = next(one for one in found.dependence if one.parameter == "c")
    assert list(bar.values) == ["a", "b"]
    np.testing.assert_allclose(bar.mean, [2.0, 2.0], atol=0.3)
    assert found.pair is not None
    table = np.array(found.pair.mean, dtype=object)
    missing = table[list(found.pair.rows).index("b")] if found.pair.row_parameter == "c" else None
    missing = table[:, list(found.pair.columns).index("b")] if missing is None else missing
    assert set(missing) == {None}
    assert table.size - 9 == np.sum(table != None)  # noqa: E711


def test_a_good_model_is_trusted_and_a_poor_one_is_not() -> None:
    asked = problem(X, Y)
    good = explain(asked, completed(asked, 40, lambda c: 3 * c["x"] ** 2 + c["y"])).diagnostics
    assert good is not None
    assert good.warning is None
    assert good.r_squared > 0.95
    assert good.rank_correlation > 0.95
    noise = np.random.default_rng(2)
    poor = explain(asked, completed(asked, 40, lambda _: float(noise.normal())))
    assert poor.diagnostics is not None
    assert poor.diagnostics.r_squared < 0.1
    assert poor.diagnostics.warning is not None
    assert "hardly better than their mean" in poor.diagnostics.warning
    assert poor.diagnostics.warning in poor.warnings


def test_intervals_hold_as_much_as_they_say() -> None:
    asked, held, total = problem(X, Y), 0, 0
    for seed in range(8):
        noise = np.random.default_rng(seed)
        trials = completed(asked, 30, lambda c: c["x"] ** 2 + c["y"] + 0.5 * noise.normal(), seed)  # noqa: B023
        found = explain(asked, trials).diagnostics
        assert found is not None
        held, total = held + round(found.coverage * 30), total + 30
    assert 0.82 <= held / total <= 0.96


def test_crowding_at_a_bound_is_warned_of() -> None:
    asked = problem(FloatParameter(name="lr", low=1e-5, high=0.1, log=True))
    trials = completed(asked, 120, lambda c: -math.log(c["lr"]))
    found = explain(asked, trials)
    assert len(found.edges) == 1
    assert found.edges[0].message in found.warnings
    assert "within 5% of the upper bound 0.1: consider widening" in found.edges[0].message


@pytest.mark.parametrize("name", sorted(SPACES | TINY))
def test_every_kind_of_space_is_explained(name: str) -> None:
    asked, rng = (
        Problem(space=space(name), objectives=[Objective(metric="loss")]),
        np.random.default_rng(3),
    )
    trials = completed(asked, 25, lambda _: float(rng.normal()))
    found = explain(asked, trials)
    travelled(found)
    free = len(Cube(asked.space).free)
    assert len(found.importance) == len(asked.space.parameters)
    assert len({curve.parameter for curve in found.dependence}) == free
    assert (found.because is None) == bool(free)
    for curve in found.dependence:
        parameter = asked.space[curve.parameter]
        if isinstance(parameter, PermutationParameter):
            assert curve.item in map(str, parameter.items)
            assert curve.values == list(range(1, len(parameter.items) + 1))
        else:
            assert [parameter.check(value) for value in curve.values] == list(curve.values)
        assert len(curve.values) == len(curve.mean) == len(curve.sd) > 1


@pytest.mark.parametrize("losses", [
    [], [1.0], [1.0, 1.0], [1.0] * 30, [math.nan] * 30, [1e300] * 12 + [-1e300] * 12,
    [1e-12 * k for k in range(30)], [1e12 + k for k in range(30)],
    [1.0, math.inf, math.nan, -math.inf, 2.0] * 6,
], ids=lambda losses: f"{len(losses)} from {losses[:1]}")  # fmt: skip
def test_any_losses_are_explained(losses: list[float]) -> None:
    asked = problem(X, Y)
    trials = [
        Trial(number=n, config=config, state=TrialState.COMPLETED, values={"loss": loss})
        for n, (config, loss) in enumerate(
            zip(asked.space.sample(np.random.default_rng(4), len(losses)), losses, strict=True)
        )
    ]
    found = explain(asked, trials)
    travelled(found)
    finite = sum(math.isfinite(loss) for loss in losses)
    assert found.measured == finite
    assert (found.because is not None) == (finite < 2)
    chosen = posterior_best(asked, trials)
    assert (chosen is None) == (finite < 2)


def test_bad_points_are_in_the_model_but_not_in_its_marks() -> None:
    asked = problem(X, Y)
    trials = completed(asked, 20, lambda c: c["x"] ** 2)
    bad = [
        Trial(number=20 + n, config=config, state=state)
        for n, (config, state) in enumerate(
            zip(asked.space.sample(np.random.default_rng(5), 3),
                [TrialState.INFEASIBLE, TrialState.FAILED, TrialState.RUNNING], strict=True)
        )
    ]  # fmt: skip
    found = explain(asked, [*trials, *bad])
    assert (found.trials, found.measured) == (22, 20)
    assert found.diagnostics is not None
    assert [point.trial for point in found.diagnostics.points] == list(range(20))
    assert {one.share_trials for one in found.importance} == {20}


def test_any_metric_of_the_problem_is_explained_and_no_other() -> None:
    asked = problem(
        X,
        objectives=[Objective(metric="loss"), Objective(metric="score", goal="maximize")],
        constraints=[OutcomeConstraint(metric="memory", at_most=5)],
    )
    trials = [
        Trial(number=n, config={"x": x}, state=TrialState.COMPLETED,
              values={"loss": x, "score": x * x, "memory": -x})
        for n, x in enumerate(np.linspace(-2, 2, 12).tolist())
    ]  # fmt: skip
    ends = {
        metric: explain(asked, trials, metric).dependence[0].mean
        for metric in ("loss", "score", "memory")
    }
    np.testing.assert_allclose(ends["loss"][::10], [-2, 0, 2], atol=0.2)
    np.testing.assert_allclose(ends["score"][::10], [4, 0, 4], atol=0.2)
    np.testing.assert_allclose(ends["memory"][::10], [2, 0, -2], atol=0.2)
    assert explain(asked, trials).metric == "loss"
    assert explain(asked, trials, "memory").goal == "minimize"
    with pytest.raises(KeyError):
        explain(asked, trials, "other")


def test_an_explanation_is_a_function_of_the_history() -> None:
    asked = Problem(space=space("nested"), objectives=[Objective(metric="loss")], seed=1)
    trials = completed(asked, 30, lambda c: float(c["lr"]))
    assert explain(asked, trials) == explain(asked, trials)
    other = Problem(space=space("nested"), objectives=[Objective(metric="loss")], seed=2)
    assert explain(asked, trials).dependence != explain(other, trials).dependence


def test_a_large_history_costs_no_more_than_a_full_model(monkeypatch) -> None:
    """What takes the time: the rows that are fitted to, and covariances of what is predicted."""
    monkeypatch.setattr(search.gp.known, "MODEL_POINTS", 60)
    monkeypatch.setattr(search.gp.known, "FIT_POINTS", 20)
    fitted: list[int] = []
    covariances: list[int] = []
    believe, means, fit_members = Posterior.believe, Posterior.means, search.gp.known.fit_members

    def counted(method):
        def count(self, features):
            covariances.append(len(features) * len(self.a))
            return method(self, features)

        return count

    def counted_fit(features, *rest):
        fitted.append(len(features))
        return fit_members(features, *rest)

    monkeypatch.setattr(Posterior, "believe", counted(believe))
    monkeypatch.setattr(Posterior, "means", counted(means))
    monkeypatch.setattr(search.gp.known, "fit_members", counted_fit)
    asked, costs = problem(X, Y), []
    for count in (60, 240):
        covariances.clear()
        found = explain(asked, completed(asked, count, lambda c: 3 * c["x"] ** 2 + c["y"]))
        costs.append(sum(covariances))
        assert found.trials == found.importance[0].share_trials == count
        assert found.importance[0].model_trials == 60
    assert fitted == [20, 20]
    assert 0 < costs[1] == costs[0]


# The best of noisy trials


def regret(chosen: Trial | None) -> float:
    assert chosen is not None
    return float(chosen.config["x"]) ** 2


def test_the_posterior_mean_is_less_often_fooled_by_luck() -> None:
    asked = problem(X, objectives=[Objective(metric="loss", noisy=True)])
    ours, theirs = [], []
    for seed in range(60):
        noise = np.random.default_rng(100 + seed)
        trials = completed(asked, 40, lambda c: c["x"] ** 2 + noise.normal(), seed)  # noqa: B023
        found = posterior_best(asked, trials)
        assert found is not None
        ours.append(regret(trials[found.number]))
        theirs.append(regret(best_trial(asked, trials)))
    assert np.mean(ours) < 0.75 * np.mean(theirs)
    assert np.mean(np.array(ours) <= np.array(theirs)) >= 0.6


def test_only_completed_and_feasible_trials_can_be_best() -> None:
    asked = problem(X, constraints=[OutcomeConstraint(metric="memory", at_most=5)])

    def trial(n: int, x: float, memory: float, state: TrialState = TrialState.COMPLETED) -> Trial:
        return Trial(number=n, config={"x": x}, state=state, values={"loss": x, "memory": memory})

    trials = [trial(n, 0.2 * n, 1.0) for n in range(8)]
    trials += [trial(8, -1.0, 9.0), trial(9, -2.0, 1.0, TrialState.STOPPED)]
    found = posterior_best(asked, trials)
    assert found is not None
    assert found.number == 0
    assert found.mean == pytest.approx(0.0, abs=0.3)
    assert found.sd > 0
    assert posterior_best(asked, trials[8:]) is None


def test_a_config_tried_twice_is_the_first_of_both() -> None:
    asked = problem(X)
    trials = completed(asked, 10, lambda c: c["x"] ** 2)
    again = [
        Trial(number=10 + t.number, config=t.config, state=t.state, values=t.values) for t in trials
    ]
    found = posterior_best(asked, [*trials, *again])
    assert found is not None
    assert found.number < 10


def test_in_units_of_the_metric_when_maximised() -> None:
    asked = problem(X, objectives=[Objective(metric="loss", goal="maximize", noisy=True)])
    found = posterior_best(asked, completed(asked, 30, lambda c: 50 - c["x"] ** 2))
    assert found is not None
    assert found.mean == pytest.approx(50, abs=0.2)
