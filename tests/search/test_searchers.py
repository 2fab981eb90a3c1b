"""Every searcher against the contract, and what is particular to each."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError

from search.encoding import config_key
from search.errors import UnsupportedProblem
from search.fallback import sobol_instead
from search.parameters import FloatParameter, IntParameter
from search.problem import Objective, OutcomeConstraint, Problem
from search.registry import SEARCHERS, SearcherSettings, check_supported
from search.searcher import History, Memo
from search.searchers.auto import AutoSearcher
from search.searchers.botorch import BoTorch
from search.searchers.forest import Forest
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.searchers.tpe import TPE
from search.space import SearchSpace
from search.trial import TrialState
from tests.contracts.searchers import SearcherContract, ended, keys, proposed
from tests.contracts.spaces import SPACES, TINY, space

QUICK = BoTorch(fit_evaluations=20, candidates=300)


class TestRandom(SearcherContract):
    searcher = Random()


class TestSobol(SearcherContract):
    searcher = Sobol()


class TestGrid(SearcherContract):
    searcher = Grid(points=100)
    seeded = False


class TestBoTorch(SearcherContract):
    searcher = QUICK
    spoilt = ("nested", "permutation")


class TestGP(SearcherContract):
    searcher = GP()


class TestPhasedGP(SearcherContract):
    searcher = Phased(first=Sobol(), then=GP(candidates=400), after=8)


class TestPhased(SearcherContract):
    searcher = Phased(first=Sobol(), then=Random(), after=4)


class TestForest(SearcherContract):
    searcher = Forest(trees=8, candidates=400)


class TestTPE(SearcherContract):
    searcher = TPE()


class TestAuto(SearcherContract):
    searcher = AutoSearcher(initial=12)


def problem(*parameters, **changes):
    made = SearchSpace(parameters=parameters or SPACES["nested"])
    return replace(Problem(space=made, objectives=[Objective(metric="loss")]), **changes)


def trials(batch, start=0):
    study = problem()
    return [ended(study, start + k, s.config, s.origin) for k, s in enumerate(batch.suggestions)]


X = FloatParameter(name="x", low=0, high=1)
Y = FloatParameter(name="y", low=0, high=1)


def test_every_searcher_is_registered_under_its_kind():
    assert set(SEARCHERS) == {
        "auto", "botorch", "cmaes", "evolution", "forest", "gp", "grid", "nsga2", "phased",
        "random", "sobol", "tpe", "turbo",
    }  # fmt: skip
    for kind, searcher in SEARCHERS.items():
        assert searcher.kind_of() == kind


def test_sobol_points_do_not_depend_on_how_many_are_asked_for_at_a_time():
    study = problem(X, Y)
    together = Sobol().suggest(History(problem=study), 40)
    found = []
    for number, count in enumerate((1, 7, 2, 30)):
        history = History(problem=study, trials=found, batch=number)
        found += trials(Sobol().suggest(history, count), len(found))
    assert keys(t.config for t in found) == proposed(together)
    assert [t.origin["index"] for t in found] == list(range(40))


def test_sobol_points_are_even():
    points = Sobol().suggest(History(problem=problem(X, Y)), 64).suggestions
    cells = {(int(s.config["x"] * 8), int(s.config["y"] * 8)) for s in points}
    assert len(cells) == 64


def test_a_sobol_point_that_was_reserved_and_dropped_comes_again():
    study = problem(X, Y)
    first = Sobol().suggest(History(problem=study), 4)
    held = [s.config for s in first.suggestions]
    beside = Sobol().suggest(History(problem=study, reserved=held), 4)
    assert not set(proposed(first)) & set(proposed(beside))
    assert proposed(Sobol().suggest(History(problem=study, batch=1), 4)) == proposed(first)


@pytest.mark.parametrize("index", [True, -1, 2**40, "7", None, 1.5])
def test_a_strange_index_in_an_origin_is_passed_over(index):
    study = problem(X, Y)
    (trial,) = trials(Sobol().suggest(History(problem=study), 1))
    odd = replace(trial, origin={"by": "sobol", "index": index})
    batch = Sobol().suggest(History(problem=study, trials=[odd]), 2)
    assert len(set(proposed(batch))) == 2
    assert config_key(odd.config) not in proposed(batch)


def test_the_grid_is_walked_in_order():
    study = problem(X, IntParameter(name="n", low=1, high=3))
    batch = Grid(points=2).suggest(History(problem=study), 10)
    assert [tuple(s.config.values()) for s in batch.suggestions] == [
        (0.0, 1), (0.0, 2), (0.0, 3), (1.0, 1), (1.0, 2), (1.0, 3),
    ]  # fmt: skip
    assert batch.exhausted
    assert [s.origin["index"] for s in batch.suggestions] == list(range(6))


def test_a_grid_on_a_log_scale_is_even_in_the_logarithm():
    lr = FloatParameter(name="lr", low=1e-4, high=1, log=True)
    batch = Grid(points=5).suggest(History(problem=problem(lr)), 5)
    found = [s.config["lr"] for s in batch.suggestions]
    assert found == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])


def test_phases_change_after_the_given_number_of_trials_within_a_batch_too():
    searcher = Phased(first=Grid(points=50), then=Random(), after=5)
    study = problem(X)
    first = searcher.suggest(History(problem=study), 3)
    assert [s.origin["by"] for s in first.suggestions] == ["grid"] * 3
    history = History(problem=study, trials=trials(first), reserved=[{"x": 0.123}], batch=1)
    second = searcher.suggest(history, 4)
    assert [s.origin["by"] for s in second.suggestions] == ["grid", "random", "random", "random"]


def test_an_exhausted_first_phase_hands_over_early():
    searcher = Phased(first=Grid(points=2), then=Random(), after=10)
    batch = searcher.suggest(History(problem=problem(X)), 5)
    assert [s.origin["by"] for s in batch.suggestions] == ["grid"] * 2 + ["random"] * 3
    assert not batch.exhausted


def test_a_phase_gets_its_own_memo_back():
    searcher = Phased(first=Sobol(), then=QUICK, after=4)
    study = problem(X, Y)
    found = trials(Sobol().suggest(History(problem=study), 10))
    batch = searcher.suggest(History(problem=study, trials=found), 1)
    alone = QUICK.suggest(History(problem=study, trials=found), 1)
    assert batch.memo.data == {"then": {"version": 2, "data": alone.memo.data}}
    warm = History(problem=study, trials=found, batch=1)
    assert (
        searcher.suggest(replace(warm, memo=batch.memo), 1).suggestions
        == QUICK.suggest(replace(warm, memo=alone.memo), 1).suggestions
    )


@pytest.mark.parametrize("count", [1, 12])
def test_auto_says_what_it_chose_and_why(count):
    study, found, memo = problem(X, Y), [], None
    for number in range(12 // count):
        history = History(problem=study, trials=found, batch=number, memo=memo)
        batch = AutoSearcher().suggest(history, count)
        found, memo = found + trials(batch, len(found)), batch.memo
    told = [t.origin["auto"] for t in found]
    assert told[:10] == ["sobol: the first 10 trials cover the space"] * 10
    assert all(text.startswith("gp: one objective") for text in told[10:])
    late = found[10].origin
    # Asked for twelve at once it has no results to go by.
    assert late["by"] == ("gp" if count == 1 else "sobol")
    assert ("because" in late) is (count == 12)


def test_a_searcher_that_cannot_serve_a_problem_is_refused_with_the_reasons():
    study = problem(
        objectives=[Objective(metric="loss"), Objective(metric="seconds")],
        constraints=[OutcomeConstraint(metric="bytes", at_most=1)],
    )
    for searcher in (GP(), Phased(first=Sobol(), then=GP(), after=3)):
        with pytest.raises(UnsupportedProblem, match="one objective, not 2") as refused:
            check_supported(study, searcher)
        assert len(refused.value.reasons) == 2
        check_supported(problem(), searcher)
    for searcher in (BoTorch(), Phased(first=Sobol(), then=Random(), after=3)):
        check_supported(study, searcher)


def test_the_fallback_says_why_and_keeps_the_memo():
    memo = Memo(version=1, data={"x": 1})
    history = History(problem=problem(X), memo=memo)
    batch = sobol_instead(history, 2, "the fit took too long")
    assert batch.memo == memo
    assert [s.origin for s in batch.suggestions] == [
        {"by": "sobol", "index": k, "because": "the fit took too long"} for k in range(2)
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "grid", "points": 0},
        {"kind": "grid", "points": "3"},
        {"kind": "botorch", "candidates": 1},
        {"kind": "auto", "initial": 0},
        {"kind": "random", "seed": 3},
        {"kind": "phased", "first": {"kind": "sobol"}, "then": {"kind": "auto"}, "after": 1},
        {"kind": "phased", "first": {"kind": "sobol"}, "then": {"kind": "random"}, "after": -1},
        {"kind": "annealing"},
    ],
)
def test_settings_out_of_range_are_refused_on_the_wire(settings):
    with pytest.raises(ValidationError):
        TypeAdapter(SearcherSettings).validate_python(settings)


def test_cancelled_and_failed_trials_are_not_tried_again():
    study = problem(*TINY["tiny"])
    found = trials(Random().suggest(History(problem=study), 5))
    found = [replace(t, state=TrialState.CANCELLED, values={}) for t in found]
    for searcher in (Random(), Sobol(), Grid(), QUICK):
        batch = searcher.suggest(History(problem=study, trials=found), 3)
        assert len(batch.suggestions) == 1
        assert batch.exhausted
    assert space("tiny") == study.space
