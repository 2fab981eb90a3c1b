"""Contexts: what is declared and given, and what the searchers make of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from search.context import MAX_CONTEXT, check_given, same_context
from search.encoding import config_key
from search.errors import InvalidConfig, InvalidProblem, UnsupportedProblem
from search.gp.joint import Joint
from search.gp.known import Known
from search.outcomes import lessons
from search.parameters import ChoiceParameter, Condition, FloatParameter, IntParameter
from search.problem import Objective, Problem
from search.registry import check_supported, unsupported
from search.searcher import Feature, History
from search.searchers.auto import AutoSearcher
from search.searchers.botorch import BoTorch
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.space import SearchSpace
from search.trial import Trial, TrialState

X, Y = (FloatParameter(name=name, low=0, high=1) for name in "xy")
SIZE = IntParameter(name="size", low=10, high=10_000, log=True)
TASK = ChoiceParameter(name="task", choices=["a", "b"])
SPACE = SearchSpace(parameters=[X])
LOSS = [Objective(metric="loss")]
TWO = Problem(space=SPACE, objectives=LOSS, context=[TASK], seed=3)
SIZED = Problem(space=SPACE, objectives=LOSS, context=[SIZE], seed=3)
OPTIMA = {"a": 0.2, "b": 0.8}


def trial(number, config, context, loss, state=TrialState.COMPLETED):
    values = {"loss": loss} if state is TrialState.COMPLETED else {}
    return Trial(number=number, config=config, context=context, state=state, values=values)


def moved(x, task):
    return (x - OPTIMA[task]) ** 2


def two_tasks(count=12):
    """Trials by turns in the two contexts, spread evenly over x in each."""
    return [
        trial(k, {"x": (k // 2) / (count // 2 - 1)}, {"task": task}, 0.0)
        for k in range(count)
        for task in ["ab"[k % 2]]
    ]


def measured(trials):
    return [replace(t, values={"loss": moved(t.config["x"], t.context["task"])}) for t in trials]


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ([X], "'x' is the name of another parameter"),
        ([TASK, TASK], "'task' is the name of another"),
        ([FloatParameter(name="c", low=0, high=1, default=0.5)], "no default"),
        (
            [
                TASK,
                FloatParameter(
                    name="c", low=0, high=1, when=[Condition(parameter="task", values=["a"])]
                ),
            ],
            "no conditions",
        ),
        ([replace(TASK, name=f"t{k}") for k in range(MAX_CONTEXT + 1)], "at most 20"),
        ([ChoiceParameter(name="c", choices=["a", "b"], weights=[1, 2])], "takes no prior"),
    ],
)
def test_what_cannot_be_a_context_is_refused(context, message):
    with pytest.raises(InvalidProblem, match=message):
        Problem(space=SPACE, objectives=LOSS, context=context)


@pytest.mark.parametrize(
    ("given", "culprit"),
    [
        ({}, "size"),
        ({"size": 10}, "task"),
        ({"size": 9, "task": "a"}, "size"),
        ({"size": 10.5, "task": "a"}, "size"),
        ({"size": True, "task": "a"}, "size"),
        ({"size": math.nan, "task": "a"}, "size"),
        ({"size": 10, "task": "c"}, "task"),
        ({"size": 10, "task": None}, "task"),
        ({"size": 10, "task": "a", "x": 0.5}, "x"),
    ],
)
def test_a_context_is_checked_by_the_rules_of_configs(given, culprit):
    with pytest.raises(InvalidConfig) as raised:
        check_given([SIZE, TASK], given)
    assert raised.value.parameter == culprit


def test_a_context_is_held_as_its_parameters_hold_it():
    checked = check_given([SIZE, TASK], {"task": "a", "size": 10.0})
    assert list(checked.items()) == [("size", 10), ("task", "a")]
    assert type(checked["size"]) is int
    assert check_given([], {}) == {}
    assert same_context({"a": 1, "b": 2}, {"b": 2.0, "a": 1})
    assert not same_context({"a": 1}, {"a": True})


def test_who_takes_contexts_says_so():
    for searcher in (AutoSearcher(), GP(), Grid(), Random(), Sobol()):
        check_supported(TWO, searcher)
    check_supported(TWO, Phased(first=Sobol(), then=GP(), after=3))
    for searcher in (BoTorch(), Phased(first=Sobol(), then=BoTorch(), after=3)):
        assert Feature.CONTEXTS not in searcher.supports()
        with pytest.raises(UnsupportedProblem, match="context"):
            check_supported(TWO, searcher)
        assert unsupported(replace(TWO, context=()), searcher) == ()


def test_a_problem_with_a_context_survives_the_wire():
    adapter = TypeAdapter(Problem)
    assert adapter.validate_json(adapter.dump_json(SIZED)) == SIZED


SEARCHERS = [
    AutoSearcher(initial=4), GP(), Grid(points=40), Random(), Sobol(),
    Phased(first=Random(), then=GP(), after=5),
]  # fmt: skip


@pytest.mark.parametrize("searcher", SEARCHERS, ids=lambda s: s.kind)
def test_a_config_comes_once_in_each_context(searcher):
    """A finite space is offered whole in every context, whatever the others have tried."""
    space = SearchSpace(parameters=[IntParameter(name="n", low=1, high=5)])
    problem = Problem(space=space, objectives=LOSS, context=[TASK], seed=1)
    trials, memo = [], None
    for number in range(30):
        context = {"task": "ab"[number % 2 and number < 8]}
        history = History(problem=problem, trials=trials, batch=number, memo=memo, context=context)
        batch = searcher.suggest(history, 1)
        memo = batch.memo
        for s in batch.suggestions:
            trials.append(trial(len(trials), s.config, context, s.config["n"] / 7))
    made = [(t.context["task"], t.config["n"]) for t in trials]
    assert sorted(made) == [("a", n) for n in range(1, 6)] + [
        ("b", n) for n in sorted(n for task, n in made if task == "b")
    ]
    assert len(set(made)) == len(made)
    assert sum(task == "b" for task, _ in made) == 4
    last = History(problem=problem, trials=trials, batch=30, context={"task": "a"})
    assert searcher.suggest(last, 1).exhausted
    assert not searcher.suggest(replace(last, context={"task": "b"}), 1).exhausted


@pytest.mark.parametrize("searcher", SEARCHERS, ids=lambda s: s.kind)
def test_what_is_reserved_is_of_the_context_that_is_asked_in(searcher):
    history = History(problem=TWO, trials=measured(two_tasks()), context={"task": "b"})
    first = searcher.suggest(history, 3)
    again = searcher.suggest(
        replace(history, reserved=[s.config for s in first.suggestions], batch=1), 3
    )
    keys = [config_key(s.config) for s in (*first.suggestions, *again.suggestions)]
    assert len(set(keys)) == 6


@pytest.mark.parametrize("task", ["a", "b"])
def test_each_context_has_its_optimum(task):
    history = History(problem=TWO, trials=measured(two_tasks()), context={"task": task})
    batch = GP().suggest(history, 2)
    for s in batch.suggestions:
        assert s.origin["by"] == "gp"
        assert abs(s.config["x"] - OPTIMA[task]) < 0.12
    assert batch == GP().suggest(history, 2)


def test_one_context_teaches_the_others():
    """30 trials at sizes up to 1,000; at 10,000, where nothing ran, the trend is followed."""

    def loss(x, size):
        return (x - 0.2 * math.log10(size)) ** 2

    sizes, rng = [10, 100, 1000], np.random.default_rng(0)
    trials = []
    for k in range(30):
        x, size = float(rng.random()), sizes[k % 3]
        trials.append(trial(k, {"x": x}, {"size": size}, loss(x, size)))
    for size, tolerance in ((10, 0.1), (1000, 0.1), (10_000, 0.15)):
        history = History(problem=SIZED, trials=trials, context={"size": size})
        (found,) = GP().suggest(history, 1).suggestions
        assert abs(found.config["x"] - 0.2 * math.log10(size)) < tolerance


def test_a_context_that_does_not_matter_costs_little():
    trials = [
        trial(k, {"x": k / 11}, {"task": "ab"[k % 2]}, (k / 11 - 0.4) ** 2) for k in range(12)
    ]
    for task in "ab":
        history = History(problem=TWO, trials=trials, context={"task": task})
        (found,) = GP().suggest(history, 1).suggestions
        assert abs(found.config["x"] - 0.4) < 0.1


def test_the_incumbent_is_the_lowest_mean_of_a_tried_config_in_the_asked_context():
    taught = [
        replace(t, values={"loss": t.values["loss"] + (t.context["task"] == "b")})
        for t in measured(two_tasks())
    ]
    history = History(problem=TWO, trials=taught, context={"task": "b"})
    joint = Joint.of(TWO)
    told = lessons(TWO, taught)
    rows = joint.cube.encode(t.config for t in taught)
    elsewhere = [not history.here(lesson.context) for lesson in told]
    known = Known.of(joint, told, rows, elsewhere)
    ensemble, _ = known.ensemble(known.fit(200, history.rng()))
    (asked,) = joint.columns([{"task": "b"}], 1)
    there = ensemble.asked_in(asked, joint.cube.features(rows))
    grid = joint.features(rows, [{"task": "b"}] * len(rows))
    for before, member in zip(ensemble.members, there.members, strict=True):
        assert member.best == pytest.approx(before.believe(grid).mean.min(), rel=1e-12)
        assert member.best > before.best + 0.5  # the lowest of all is a's, where losses are lower
    assert known.best(there)[0, 0] == pytest.approx(0.8)
    assert known.best(ensemble.asked_in(joint.columns([{"task": "a"}], 1)[0], rows))[0, 0] == 0.2
    assert len(known.best(there)) == 6


def test_features_of_contexts_stand_after_those_of_configs():
    space = SearchSpace(
        parameters=[
            X,
            ChoiceParameter(name="c", choices=[1, 2, 3]),
            IntParameter(name="k", low=1, high=1),
        ]
    )
    joint = Joint.of(Problem(space=space, objectives=LOSS, context=[TASK, SIZE]))
    assert joint.owners == [0, 1, 1, 1, 2, 2, 3]
    assert joint.free == 4
    row = joint.cube.encode([{"x": 0.25, "c": 2, "k": 1}])
    (found,) = joint.features(row, [{"task": "b", "size": 10_000}])
    half = math.sqrt(0.5)
    np.testing.assert_allclose(found, [0.25, 0, half, 0, 0, half, found[-1]])
    assert found[-1] == pytest.approx(1.0, abs=1e-3)


def test_running_trials_of_every_context_are_pending_points():
    trials = [*measured(two_tasks()), trial(12, {"x": 0.5}, {"task": "a"}, 0, TrialState.RUNNING)]
    history = History(problem=TWO, trials=trials, context={"task": "b"}, reserved=[{"x": 0.7}])
    assert list(history.under_way()) == [({"x": 0.5}, {"task": "a"}), ({"x": 0.7}, {"task": "b"})]
    assert {"x": 0.5} not in list(history.taken())
    assert list(history.pending()) == [{"x": 0.5}, {"x": 0.7}]


@pytest.mark.parametrize("losses", [[1.0] * 12, [1e300, -1e300] * 6, [math.nan] * 6 + [1.0] * 6])
def test_hostile_results_leave_a_context_study_alive(losses):
    trials = [
        replace(t, values={"loss": loss}) for t, loss in zip(two_tasks(), losses, strict=True)
    ]
    batch = GP().suggest(History(problem=TWO, trials=trials, context={"task": "a"}), 3)
    assert len({s.config["x"] for s in batch.suggestions}) == 3


def test_a_context_never_seen_and_a_thousand_trials_and_more():
    rng = np.random.default_rng(1)
    names = [f"t{k}" for k in range(4)]
    problem = replace(TWO, context=[ChoiceParameter(name="task", choices=names)])
    trials = [
        trial(k, {"x": float(x)}, {"task": names[k % 3]}, float((x - 0.1 * (k % 3)) ** 2))
        for k, x in enumerate(rng.random(1100))
    ]
    for name, optimum in (("t0", 0.0), ("t2", 0.2)):
        history = History(problem=problem, trials=trials, context={"task": name})
        (found,) = GP(fit_evaluations=120).suggest(history, 1).suggestions
        assert abs(found.config["x"] - optimum) < 0.1
    unseen = History(problem=problem, trials=trials, context={"task": "t3"})
    (found,) = GP(fit_evaluations=120).suggest(unseen, 1).suggestions
    assert 0 <= found.config["x"] < 0.6
