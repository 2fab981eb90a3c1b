"""What `auto` chooses, when it changes its mind, and what it says of it."""

from dataclasses import replace

import pytest

from search.choices import FEW, FIRST, MANY, SMALL, TABLE, choices, choose
from search.earlier import EarlierStudy
from search.linear import LinearConstraint
from search.normal import Normal
from search.parameters import ChoiceParameter, FloatParameter
from search.problem import Objective, OutcomeConstraint, Problem
from search.searcher import History, Memo, unsupported
from search.searchers.auto import AutoSearcher
from search.space import SearchSpace
from search.trial import Trial, TrialState

X, Y = (FloatParameter(name=name, low=0, high=1) for name in "xy")
SPACE = SearchSpace(parameters=[X, Y])
LOSS = [Objective(metric="loss")]
TWO = [*LOSS, Objective(metric="seconds")]
TASTE = [Objective(metric="taste", goal="maximize", by="preference")]
SIX = [Objective(metric=f"m{k}") for k in range(6)]
BOUND = [OutcomeConstraint(metric="bytes", at_most=0.5)]
NOISY = [Objective(metric="loss", noisy=True)]
TASK = [ChoiceParameter(name="task", choices=["a", "b"])]
BEFORE = [
    EarlierStudy(
        name="old",
        parameters=["x", "y"],
        configs=[{"x": k / 9, "y": 0.5} for k in range(10)],
        losses=[float(k) for k in range(10)],
    )
]


def problem(**changes: object) -> Problem:
    return Problem(**{"space": SPACE, "objectives": LOSS, **changes})  # type: ignore[arg-type]


def ended(count: int) -> list[Trial]:
    return [
        Trial(
            number=n,
            config={"x": (n * 0.618) % 1, "y": (n * 0.414) % 1},
            state=TrialState.COMPLETED,
            values={"loss": (n * 0.618) % 1, "seconds": (n * 0.732) % 1, "bytes": n % 2},
        )
        for n in range(count)
    ]


def kind(study: Problem, trials: int) -> str | None:
    choice = choose(study, trials)
    return None if choice is None else choice.searcher.kind_of()


@pytest.mark.parametrize(
    ("study", "early", "late"),
    [
        (problem(), "gp", "gp"),
        (problem(objectives=TASTE), "botorch", "botorch"),
        (problem(context=TASK), "gp", "gp"),
        (problem(objectives=TWO), "botorch", "nsga2"),
        (problem(objectives=SIX), "botorch", "nsga2"),
        (problem(objectives=TWO, constraints=BOUND), "botorch", "nsga2"),
        (problem(constraints=BOUND), "botorch", "tpe"),
        (problem(earlier=BEFORE), "botorch", "botorch"),
        (problem(objectives=TWO, context=TASK), None, None),
        (problem(objectives=NOISY), "gp", "gp"),
    ],
)
def test_the_first_row_that_serves_the_study_is_chosen(study, early, late):
    assert kind(study, 20) == kind(study, MANY - 1) == early
    assert kind(study, MANY) == kind(study, 100 * MANY) == late


def test_a_searcher_that_cannot_serve_the_study_is_passed_over():
    sums = [LinearConstraint(terms={"x": 1, "y": 1}, at_most=1)]
    space = SearchSpace(parameters=[X, Y], constraints=sums)
    believed = SearchSpace(parameters=[replace(X, prior=Normal(mean=0.3, sd=0.1)), Y])
    for each in (space, believed):
        assert kind(problem(space=each, objectives=TWO), MANY) == "botorch"  # nsga2 cannot
        assert kind(problem(space=each), 20) == "gp"


def test_every_row_can_be_reached():
    studies = [
        problem(),
        problem(objectives=TWO),
        problem(objectives=SIX),
        problem(constraints=BOUND),
        problem(earlier=BEFORE),
        problem(objectives=TASTE),
        problem(objectives=NOISY),
        problem(
            space=SearchSpace(parameters=[replace(X, prior=Normal(mean=0.3, sd=0.1)), Y]),
            objectives=TWO,
        ),
    ]
    reached = {id(choice) for study in studies for choice in choices(study)}
    assert {id(choice) for choice in TABLE} == reached


def test_it_says_what_it_chose_and_why():
    study = problem(constraints=BOUND)
    batch = AutoSearcher().suggest(History(problem=study, trials=ended(12)), 1)
    origin = batch.suggestions[0].origin
    assert origin["by"] == "botorch"
    assert origin["auto"] == (
        "botorch: constraints on outcomes, each with a model of its own, "
        "after 10 trials that cover the space"
    )


def test_where_no_model_serves_the_study_sobol_does_and_says_why():
    study = problem(objectives=TWO, context=TASK)
    history = History(problem=study, context={"task": "a"})
    batch = AutoSearcher().suggest(history, 12)
    assert {s.origin["by"] for s in batch.suggestions} == {"sobol"}
    assert all("a context" in s.origin["auto"] for s in batch.suggestions)
    assert unsupported(study, AutoSearcher()) == ()


def test_what_was_given_to_be_used_is_used_or_refused():
    assert unsupported(problem(earlier=BEFORE), AutoSearcher()) == ()
    assert unsupported(problem(earlier=BEFORE, objectives=TWO), AutoSearcher())
    batch = AutoSearcher().suggest(History(problem=problem(earlier=BEFORE)), 6)
    assert {s.origin["by"] for s in batch.suggestions} == {"botorch", "sobol"}
    told = {s.origin["auto"] for s in batch.suggestions}
    assert told == {"botorch: it learns from earlier studies"}


@pytest.mark.parametrize(
    ("trials", "first"), [(None, FIRST), (SMALL + 1, FIRST), (SMALL, FEW), (2, FEW)]
)
def test_a_small_budget_spends_less_on_covering_the_space(trials, first):
    history = History(problem=problem(), trials=ended(FEW), budget=trials)
    batch = AutoSearcher().suggest(history, 2)
    assert {s.origin["by"] for s in batch.suggestions} == {"sobol" if first > FEW else "gp"}
    assert AutoSearcher().first_trials(problem(), history.budget) == first
    assert AutoSearcher(initial=7).first_trials(problem(), history.budget) == 7
    assert f"{first} trials" in batch.suggestions[0].origin["auto"]


def test_several_metrics_have_as_many_first_trials_with_a_small_budget():
    for study in (problem(objectives=TWO), problem(constraints=BOUND)):
        assert AutoSearcher().first_trials(study, SMALL) == FIRST


def test_the_first_of_a_small_budget_say_so():
    history = History(problem=problem(), budget=12)
    told = [s.origin["auto"] for s in AutoSearcher().suggest(history, 3).suggestions]
    assert told == ["sobol: the first 4 trials cover the space, no more of a budget of 12"] * 3


def test_a_budget_that_is_raised_is_covered_like_any_other():
    history = History(problem=problem(), trials=ended(6), budget=12)
    raised = replace(history, budget=50)
    for each, by in ((history, "gp"), (raised, "sobol")):
        assert AutoSearcher().suggest(each, 1).suggestions[0].origin["by"] == by


def test_noise_is_named_where_it_is_declared():
    origin = AutoSearcher().suggest(History(problem=problem(objectives=NOISY), trials=ended(12)), 1)
    told = origin.suggestions[0].origin["auto"]
    assert told.startswith("gp: one noisy objective, whose noise it fits")


def test_a_searcher_gets_no_memo_of_another():
    study = problem(constraints=BOUND)
    auto, trials = AutoSearcher(initial=2), ended(12)
    first = auto.suggest(History(problem=study, trials=trials), 1)
    assert first.memo is not None
    assert set(first.memo.data) == {"botorch"}
    strange = Memo(version=1, data={"gp": first.memo.data["botorch"]})
    later = History(problem=study, trials=trials, batch=1)
    plain = auto.suggest(later, 1)
    assert auto.suggest(replace(later, memo=strange), 1).suggestions == plain.suggestions
