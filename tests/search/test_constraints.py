"""Linear constraints between parameters: what is refused, what is drawn, what is found."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, norm

from search.candidates import Candidates
from search.drawing import Drawing
from search.encoding import Cube, config_key
from search.errors import InvalidConfig, InvalidSpace
from search.linear import LinearConstraint
from search.normal import Normal
from search.parameters import ChoiceParameter, Condition, FloatParameter, IntParameter
from search.problem import Objective, Problem
from search.searcher import History
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.space import SearchSpace
from search.trial import TrialState
from search.walk import size, walk
from tests.contracts.searchers import ended, keys
from tests.contracts.spaces import CONSTRAINED, TINY_CONSTRAINED, TINY_SIZES, parameters, space

X, Y, Z = (FloatParameter(name=name, low=0, high=1) for name in "xyz")


def bounded(at_least=None, at_most=None, **terms):
    return LinearConstraint(terms=terms, at_least=at_least, at_most=at_most)


def made(*parts):
    parameters = [p for p in parts if not isinstance(p, LinearConstraint)]
    constraints = [c for c in parts if isinstance(c, LinearConstraint)]
    return SearchSpace(parameters=parameters, constraints=constraints)


def squeezed(space, count=4000):
    drawing = Drawing(Cube(space))
    rows = drawing.squeezed(np.random.default_rng(0), count)
    assert len(rows) == count
    return [drawing.cube.decode(row) for row in rows]


# What is accepted and refused


def test_a_config_that_breaks_a_constraint_is_refused_with_the_sum_and_the_bound():
    known = made(X, Y, bounded(at_most=1, x=1, y=2), bounded(at_least=-0.5, x=-1))
    assert known.check({"x": 0.5, "y": 0.25}) == {"x": 0.5, "y": 0.25}
    with pytest.raises(InvalidConfig, match=r"^x \+ 2 y is 1.5, which exceeds at_most=1.0$"):
        known.check({"x": 0.5, "y": 0.5})
    with pytest.raises(InvalidConfig, match=r"^- x is -0.75, which is below at_least=-0.5$"):
        known.check({"x": 0.75, "y": 0})


def test_what_floats_are_off_by_breaks_nothing_and_what_is_more_does():
    known = made(X, Y, bounded(at_most=0.3, x=1, y=1))
    assert 0.1 + 0.2 > 0.3
    known.check({"x": 0.1, "y": 0.2})
    with pytest.raises(InvalidConfig):
        known.check({"x": 0.1, "y": 0.2 + 1e-11})
    whole = made(*(IntParameter(name=n, low=0, high=10**9) for n in "ab"), bounded(at_most=7, a=1))
    with pytest.raises(InvalidConfig):
        whole.check({"a": 8, "b": 0})


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ({"terms": {}, "at_most": 1}, "at least one term"),
        ({"terms": {"x": 1}}, "give at_most or at_least"),
        ({"terms": {"x": 0}, "at_most": 1}, "other than 0 for 'x'"),
        ({"terms": {"x": math.inf}, "at_most": 1}, "finite coefficient"),
        ({"terms": {"x": 1}, "at_most": math.nan}, "bounds must be finite"),
        ({"terms": {"x": 1}, "at_most": 1, "at_least": 2}, "at_least=2.0 exceeds at_most=1.0"),
    ],
)
def test_a_constraint_that_cannot_be_meant_is_refused(constraint, message):
    with pytest.raises(InvalidSpace, match=message):
        LinearConstraint(**constraint)


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ([bounded(at_most=1, w=1)], "constraints.0: 'w' is not a parameter"),
        ([bounded(at_most=1, c=1)], "constraints.0: 'c' is a choice"),
        ([bounded(at_most=1, only=1)], "constraints.0: 'only' is conditional"),
        ([bounded(at_most=-1, x=1, y=1)], "constraints.0: no config can meet at_most=-1"),
        ([bounded(at_least=21, n=2, x=1)], "x is at most 21$|constraints.0"),
        (
            [bounded(at_most=1, x=1, y=1), bounded(at_least=1.5, x=1, y=1)],
            "no config can meet",
        ),
        ([bounded(at_most=0, x=1, y=-1), bounded(at_least=0.5, x=1, y=-1)], "no config can meet"),
        ([bounded(at_most=1e308, x=1e308, n=1e308)], "overflows"),
    ],
)
def test_a_space_that_no_config_suits_is_refused(constraints, message):
    others = (
        IntParameter(name="n", low=0, high=10),
        ChoiceParameter(name="c", choices=(1, 2)),
        FloatParameter(name="only", low=0, high=1, when=[Condition(parameter="c", values=[1])]),
    )
    if constraints[0].terms.get("n") == 2:
        made(X, Y, *others, *constraints)  # just met
        constraints = [bounded(at_least=21.1, n=2, x=1)]
    with pytest.raises(InvalidSpace, match=message):
        made(X, Y, *others, *constraints)


def test_defaults_that_break_a_constraint_are_refused():
    a, b = (FloatParameter(name=name, low=0, high=1, default=0.6) for name in "ab")
    made(a, b, bounded(at_most=1.2, a=1, b=1))
    with pytest.raises(InvalidSpace, match="the defaults break a constraint"):
        made(a, b, bounded(at_most=1, a=1, b=1))


# What is drawn


@pytest.mark.parametrize("name", [*CONSTRAINED, "tiny sum", "tiny lattice", "tiny float"])
def test_every_draw_meets_the_constraints(name):
    known = space(name)
    for config in known.sample(np.random.default_rng(0), 300):
        assert known.check(config) == config


def test_a_space_without_any_config_says_so():
    with pytest.raises(InvalidSpace, match="no config was found"):
        space("nothing").sample(np.random.default_rng(0), 3)


def test_hit_and_run_is_even_on_a_triangle_and_on_a_slice():
    triangle = squeezed(made(X, Y, bounded(at_most=0.01, x=1, y=1)))
    # Of a uniform point in x + y <= r, x has the density 2 (r - x) / r^2, and x + y is r sqrt(v).
    assert kstest([100 * c["x"] for c in triangle], lambda t: 1 - (1 - t) ** 2).pvalue > 1e-3
    assert kstest([100 * (c["x"] + c["y"]) for c in triangle], np.square).pvalue > 1e-3
    slab = squeezed(made(X, Y, bounded(0.999, 1.001, x=1, y=1)))
    assert kstest([c["x"] for c in slab], "uniform").pvalue > 1e-3
    assert kstest([500 * (c["x"] + c["y"] - 0.999) for c in slab], "uniform").pvalue > 1e-3


def test_hit_and_run_reaches_every_corner_of_many_dimensions():
    many = [FloatParameter(name=f"x{k}", low=0, high=1) for k in range(30)]
    terms = {p.name: 1.0 for p in many}
    found = squeezed(made(*many, LinearConstraint(terms=terms, at_least=1, at_most=1)), 1000)
    values = np.array([list(config.values()) for config in found])
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-12)
    # Even on the simplex, each coordinate has the mean 1/30.
    assert values.mean(axis=0) == pytest.approx(np.full(30, 1 / 30), rel=0.35)


def test_hit_and_run_draws_as_scales_and_priors_say():
    lr = FloatParameter(name="lr", low=1e-6, high=1e-2, log=True)
    even = squeezed(made(lr, X, bounded(at_most=0.02, lr=1, x=0.01)))
    decades = [(math.log10(c["lr"]) + 6) / 4 for c in even]
    assert kstest(decades, "uniform").pvalue > 1e-3
    believed = FloatParameter(name="a", low=0, high=1, prior=Normal(mean=0.2, sd=0.1))
    found = squeezed(made(believed, Y, bounded(0.9995, 1.0005, a=1, y=1)))
    cut = norm(0.2, 0.1)
    low, high = cut.cdf([0, 1])
    assert (
        kstest([c["a"] for c in found], lambda t: (cut.cdf(t) - low) / (high - low)).pvalue > 1e-3
    )


def test_several_equations_hold_to_the_last_digits():
    known = made(X, Y, Z, bounded(1, 1, x=1, y=1, z=1), bounded(0, 0, x=1, y=-1, z=0.5))
    for config in squeezed(known, 200):
        known.check(config)
        assert config["x"] - config["y"] + 0.5 * config["z"] == pytest.approx(0, abs=1e-12)


# What is walked through


@pytest.mark.parametrize("name", TINY_CONSTRAINED)
def test_a_constrained_walk_meets_every_config_once(name):
    known = space(name)
    found = [config_key(config) for config in walk(known, points=9)]
    assert len(set(found)) == len(found) == TINY_SIZES[name]
    if name != "tiny float":
        assert size(known) == TINY_SIZES[name]
    for config in walk(known, points=9):
        assert list(known.check(config)) == [p.name for p in known.parameters]


def test_a_walk_does_not_step_through_what_cannot_be():
    digits = [IntParameter(name=f"n{k}", low=0, high=10**6) for k in range(8)]
    few = made(*digits, bounded(2, 2, **{p.name: 1 for p in digits}))
    assert size(few) == math.comb(9, 2)  # out of 1e48


def test_a_walk_gives_up_where_several_constraints_leave_dead_ends_only():
    # The sums of even numbers are even, and interval arithmetic does not know.
    even = [IntParameter(name=f"n{k}", low=0, high=60, step=2) for k in range(8)]
    odd = made(*even, bounded(31, 31, **{p.name: 1 for p in even}))
    assert list(walk(odd)) == []
    batch = Sobol().suggest(
        History(problem=Problem(space=odd, objectives=[Objective(metric="loss")])), 2
    )
    assert (batch.suggestions, batch.exhausted) == ([], True)


# What is proposed

SEARCHERS = (Sobol(), Random(), Grid(points=7), GP(candidates=200, fit_evaluations=100))


@st.composite
def constrained(draw):
    """A space of two to four numbers and a choice, with constraints that a known config meets."""
    numbers = []
    for k in range(draw(st.integers(2, 4))):
        parameter = draw(parameters(f"p{k}"))
        numbers.append(parameter)
    free = SearchSpace(parameters=numbers)
    row = draw(st.lists(st.floats(0, 1), min_size=len(numbers), max_size=len(numbers)))
    inside = Cube(free).decode(row)
    able = [p for p in numbers if isinstance(p, FloatParameter | IntParameter)]
    assume(able)
    constraints = []
    for _ in range(draw(st.integers(1, 2))):
        names = draw(st.lists(st.sampled_from([p.name for p in able]), min_size=1, unique=True))
        terms = {name: draw(st.sampled_from([-2.0, -1.0, 0.5, 1.0, 3.0])) for name in names}
        total = LinearConstraint(terms=terms, at_most=0).total(inside)
        # Nothing is left on this side where the room is 0: not even rounding.
        room = draw(st.sampled_from([0.0, 1e-3, 0.1, 1.0])) * max(1.0, abs(total))
        side = draw(st.sampled_from(["at_most", "at_least", "both"]))
        constraints.append(
            LinearConstraint(
                terms=terms,
                at_most=total + room if side != "at_least" else None,
                at_least=total - room if side != "at_most" else None,
            )
        )
    return SearchSpace(parameters=numbers, constraints=constraints)


@settings(max_examples=25, deadline=None)
@given(constrained(), st.sampled_from(SEARCHERS), st.integers(0, 2**32))
def test_nobody_breaks_a_constraint_or_proposes_a_config_twice(known, searcher, seed):
    problem = Problem(space=known, objectives=[Objective(metric="loss")], seed=seed)
    trials, memo = [], None
    for number, count in enumerate((3, 5)):
        history = History(problem=problem, trials=trials, batch=number, memo=memo)
        batch = searcher.suggest(history, count)
        memo = batch.memo
        assert batch.exhausted is (len(batch.suggestions) < count)
        for suggestion in batch.suggestions:
            assert known.check(suggestion.config) == suggestion.config
            trials.append(ended(len(trials), suggestion.config, suggestion.origin))
    found = keys(trial.config for trial in trials)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", CONSTRAINED)
def test_candidates_are_inside_and_still_move(name):
    cube = Cube(space(name))
    candidates = Candidates(cube, cube.encode([]), np.random.default_rng(0))
    parents = candidates.uniform(20)
    assert len(parents) == 20
    children = candidates.mutations(parents, 30, 0.1)
    for row in children:
        cube.space.check(cube.decode(row))
    moved = (np.abs(children - np.repeat(parents, 30, axis=0)) > 1e-9).any(axis=1)
    assert moved.mean() > 0.6


def test_sobol_points_inside_do_not_depend_on_how_many_are_asked_for_at_a_time():
    study = Problem(
        space=made(X, Y, Z, bounded(at_most=0.5, x=1, y=1, z=1)),
        objectives=[Objective(metric="loss")],
    )
    together = Sobol().suggest(History(problem=study), 20)
    trials = []
    for number, count in enumerate((1, 7, 12)):
        batch = Sobol().suggest(History(problem=study, trials=trials, batch=number), count)
        trials += [
            ended(len(trials) + k, s.config, s.origin) for k, s in enumerate(batch.suggestions)
        ]
    assert keys(t.config for t in trials) == keys(s.config for s in together.suggestions)
    assert all("index" in t.origin for t in trials)


def test_gp_finds_an_optimum_on_the_edge_of_a_thin_slice():
    study = Problem(
        space=made(X, Y, Z, bounded(0.999, 1.001, x=1, y=1)), objectives=[Objective(metric="loss")]
    )
    trials = []
    for number in range(24):
        history = History(problem=study, trials=trials, batch=number)
        searcher = Sobol() if number < 8 else GP()
        (suggestion,) = searcher.suggest(history, 1).suggestions
        x, y, z = suggestion.config.values()
        loss = (x - 0.8) ** 2 + (z - 0.3) ** 2 - 0.1 * (x + y)
        trial = ended(0, suggestion.config, suggestion.origin)

        trials.append(
            replace(
                trial,
                number=number,
                state=TrialState.COMPLETED,
                values={"loss": loss},
                measurements=(),
            )
        )
    best = min(trials, key=lambda t: t.values["loss"])
    assert best.values["loss"] < -0.1001 + 1e-3


def test_a_sum_of_fixed_values_does_no_harm():
    fixed = IntParameter(name="n", low=7, high=7)
    known = made(fixed, X, Y, bounded(7, 7, n=1), bounded(at_most=1e-3, x=1, y=1))
    assert len({config["x"] for config in squeezed(known, 50)}) == 50
