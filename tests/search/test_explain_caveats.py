"""Where an explanation says little: contexts that differ, few results, guesses, mere noise."""

from collections.abc import Callable

import numpy as np
import pytest

from search.encoding import Cube
from search.explain.explain import explain
from search.explain.explanation import Explanation
from search.explain.ped_anova import divergences, shares
from search.explain.within import in_company, quantiles, variance
from search.parameters import (
    ChoiceParameter,
    FloatParameter,
    IntParameter,
    PermutationParameter,
)
from search.problem import Objective, Problem
from search.space import SearchSpace
from search.trial import Trial, TrialState

SPACE = SearchSpace(parameters=[FloatParameter(name=f"x{k}", low=0, high=1) for k in range(3)])
TASK = ChoiceParameter(name="task", choices=("a", "b"))
PLAIN = Problem(space=SPACE, objectives=[Objective(metric="loss")], seed=1)
BY_TASK = Problem(space=SPACE, objectives=[Objective(metric="loss")], context=[TASK], seed=1)
Loss = Callable[[np.ndarray, str], float]


def in_two_tasks(loss: Loss, count: int = 60, elsewhere: bool = False) -> list[Trial]:
    """`elsewhere`: x0 is in the lower half of its range in task a, in the upper half in b."""
    rng, trials = np.random.default_rng(0), []
    for n in range(count):
        x, task = rng.random(3), "ab"[n % 2]
        if elsewhere:
            x[0] = 0.5 * x[0] + (0.5 if task == "b" else 0.0)
        config = {f"x{k}": float(u) for k, u in enumerate(x)}
        trials.append(
            Trial(number=n, config=config, context={"task": task}, state=TrialState.COMPLETED,
                  values={"loss": loss(x, task)})
        )  # fmt: skip
    return trials


def plain(losses: list[float | None]) -> list[Trial]:
    """Trials without a context; None: one that failed."""
    rng = np.random.default_rng(3)
    return [
        Trial(number=n, config=config, state=TrialState.COMPLETED, values={"loss": loss})
        if loss is not None
        else Trial(number=n, config=config, state=TrialState.FAILED)
        for n, (config, loss) in enumerate(zip(SPACE.sample(rng, len(losses)), losses, strict=True))
    ]


def share(found: Explanation, parameter: str) -> float:
    return next(one.share or 0.0 for one in found.importance if one.parameter == parameter)


# Contexts


def test_telling_contexts_apart_does_not_make_a_model_good() -> None:
    noise = np.random.default_rng(5)
    trials = in_two_tasks(lambda _, task: 10.0 * (task == "a") + float(noise.normal()))
    check = explain(BY_TASK, trials).diagnostics
    assert check is not None
    assert check.r_squared < 0.1
    assert abs(check.rank_correlation) < 0.35
    assert "hardly better than their mean" in str(check.warning)


def test_what_is_known_within_contexts_makes_it_good() -> None:
    trials = in_two_tasks(lambda x, task: 10.0 * (task == "a") + x[1])
    check = explain(BY_TASK, trials).diagnostics
    assert check is not None
    assert check.warning is None
    assert min(check.r_squared, check.rank_correlation) > 0.95


def test_a_parameter_that_was_tried_elsewhere_in_each_context_does_not_seem_to_matter() -> None:
    loss: Loss = lambda x, task: 10.0 * (task == "a") + x[1]  # noqa: E731
    found = explain(BY_TASK, in_two_tasks(loss, elsewhere=True))
    assert share(found, "x0") < 0.05
    assert share(found, "x1") > 0.8
    assert {one.share_trials for one in found.importance} == {60}


def test_bounds_are_those_at_which_the_best_of_each_context_crowd() -> None:
    """The few trials of an easy task were all near a bound: nothing says to widen it."""

    def moved(trial: Trial) -> Trial:
        easy = trial.number >= 52
        config = {**trial.config, "x0": 0.97} if easy else trial.config
        loss, task = x1(trial) - 10.0 * easy, "b" if easy else "a"
        return Trial(number=trial.number, config=config, context={"task": task},
                     state=trial.state, values={"loss": loss})  # fmt: skip

    def x1(trial: Trial) -> float:
        return float(str(trial.config["x1"]))

    trials = [moved(trial) for trial in plain([0.0] * 60)]
    assert "x0" not in [edge.parameter for edge in explain(BY_TASK, trials).edges]


def test_trials_alone_in_their_contexts_are_compared_with_nothing() -> None:
    size = FloatParameter(name="size", low=0, high=1)
    asked = Problem(space=SPACE, objectives=[Objective(metric="loss")], context=[size], seed=1)
    trials = [
        Trial(number=t.number, config=t.config, context={"size": t.number / 30}, state=t.state,
              values=t.values)
        for t in plain([float(k) for k in range(20)])
    ]  # fmt: skip
    found = explain(asked, trials)
    assert found.diagnostics is None
    assert {one.share for one in found.importance} == {None}
    assert any("20 of 20 trials are the only ones" in warning for warning in found.warnings)


def test_within_one_group_all_is_as_without_groups() -> None:
    y, one = np.random.default_rng(6).normal(size=20), np.zeros(20, int)
    assert variance(y, one) == pytest.approx(y.var(ddof=1))
    assert np.argsort(quantiles(y, one)).tolist() == np.argsort(y).tolist()
    two = np.arange(20) % 2
    assert variance(y + 100 * two, two) == pytest.approx(variance(y, two))
    assert quantiles(y + 100 * two, two) == pytest.approx(quantiles(y, two))
    assert in_company(np.array([0, 1, 0, 2])).tolist() == [True, False, True, False]


# Little to go by


def test_two_results_are_said_to_be_few() -> None:
    found = explain(PLAIN, plain([0.3, 0.7]))
    assert found.because is None
    assert any("rests on 2 measured trials: fewer than 8" in one for one in found.warnings)


def test_a_model_of_failed_trials_is_said_to_be_one() -> None:
    found = explain(PLAIN, plain([0.3, 0.7] + [None] * 18))
    assert {one.model_trials for one in found.importance} == {20}
    assert any("only 2 of the 20 trials" in one for one in found.warnings)
    few_failed = explain(PLAIN, plain([float(k) for k in range(12)] + [None] * 10))
    assert not any("have a value" in one for one in few_failed.warnings)


def test_equal_results_are_said_to_explain_nothing() -> None:
    found = explain(PLAIN, plain([0.1] * 30))
    assert found.warnings == ["all measured values are equal: there is nothing to explain"]
    trials = in_two_tasks(lambda _, task: 10.0 * (task == "a"))
    (warning,) = explain(BY_TASK, trials).warnings
    assert "equal within each context" in warning


# Orders


ORDER = Cube(
    SearchSpace(
        parameters=[
            PermutationParameter(name="order", items=tuple("abcdef")),
            IntParameter(name="n", low=1, high=6),
        ]
    )
)


def test_noise_does_not_make_an_order_seem_to_matter_more_than_a_number() -> None:
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = ORDER.snap(rng.random((60, 2)))
        found.append(shares(divergences(ORDER, rows, rng.random(60)))[0])
    assert 0.4 < np.mean(found) < 0.6


def test_one_item_in_its_place_is_enough_for_an_order_to_matter() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rows = ORDER.snap(rng.random((120, 2)))
        first = np.array([ORDER.decode(row)["order"].index("c") for row in rows])  # type: ignore[union-attr]
        assert (shares(divergences(ORDER, rows, first + 0.01 * rng.random(120)))[0] or 0.0) > 0.7
