"""Explanations where not every config may be tried, and of orders: closed forms and enumeration."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from search.encoding import Cube
from search.explain.dependence import curves, pair
from search.explain.edges import edges
from search.explain.explain import explain
from search.explain.ped_anova import divergences, shares
from search.explain.sobol_indices import indices_within
from search.explain.spread import Spread
from search.linear import LinearConstraint
from search.parameters import ChoiceParameter, Condition, FloatParameter, IntParameter
from search.parameters import PermutationParameter as Permutation
from search.problem import Objective, Problem
from search.space import SearchSpace
from search.trial import Trial, TrialState
from tests.contracts.spaces import CONSTRAINED, TINY_CONSTRAINED, space

XYZ = [FloatParameter(name=name, low=0, high=1) for name in "xyz"]
ITEMS = ("a", "b", "c", "d")


@dataclass
class Known:
    """A function that is known exactly, where a model would be."""

    cube: Cube
    function: object
    scale = 1.0

    def __len__(self):
        return 10

    def mean(self, rows):
        return np.array([self.function(self.cube.decode(row)) for row in self.cube.snap(rows)])

    def moments(self, rows):
        return self.mean(rows), np.ones(len(rows))

    def metric(self, y):
        return y


def total(at_least=None, at_most=1.0, **terms):
    terms = terms or {"x": 1, "y": 1, "z": 1}
    return LinearConstraint(terms=terms, at_least=at_least, at_most=at_most)


def under(*parameters, constraints=()):
    return Cube(SearchSpace(parameters=parameters, constraints=constraints))


SIMPLEX = {"at most 1": under(*XYZ, constraints=[total()]),
           "exactly 1": under(*XYZ, constraints=[total(at_least=1.0)])}  # fmt: skip


def linear(config):
    return 3 * config["x"] + config["y"]


def indices_of(cube, function, samples=2048):
    rng = np.random.default_rng(1)
    return indices_within(Known(cube, function).mean, Spread(cube, 3), cube.free, samples, rng)


def along(cube, function, j, size=128):
    spread = Spread(cube, 3)
    return curves(Known(cube, function), spread, spread.rows(size), j)


# Curves and pairs


@pytest.mark.parametrize(("name", "others"), [("at most 1", 3), ("exactly 1", 2)])
def test_a_curve_is_the_mean_over_what_a_value_leaves(name, others):
    """Of x the others leave 1 - x, and each of as many has its share of that."""
    for j, slope in ((0, 3.0), (1, 1.0)):
        (curve,) = along(SIMPLEX[name], linear, j, 1024)
        v = np.array(curve.values)
        expected = slope * v + (4.0 - slope) * (1 - v) / others
        np.testing.assert_allclose(curve.mean, expected, atol=0.06)
        assert len(v) == 21
        assert v[0] < 0.01
        assert 0.75 < v[-1] <= 1
        assert curve.configs > 500


def test_every_config_that_is_averaged_over_may_be_tried():
    cube = SIMPLEX["exactly 1"]

    def checked(config):
        cube.space.check(config)  # raises
        return 0.0

    spread = Spread(cube, 5)
    base = spread.rows(64)
    assert len(base) == 64
    for j in range(3):
        curves(Known(cube, checked), spread, base, j)
    pair(Known(cube, checked), spread, base, 0, 1)
    indices_within(Known(cube, checked).mean, spread, cube.free, 32, np.random.default_rng(0))


def test_a_pair_has_no_cell_where_there_is_no_config():
    spread = Spread(SIMPLEX["at most 1"], 3)
    found = pair(Known(spread.cube, linear), spread, spread.rows(64), 0, 1)
    assert len(found.rows) == len(found.columns) == 9
    for x, line in zip(found.rows, found.mean, strict=True):
        for y, mean in zip(found.columns, line, strict=True):
            assert (mean is None) == (x + y > 1)
            assert mean is None or mean == pytest.approx(3 * x + y)


def test_what_no_constraint_speaks_of_is_as_it_was():
    when = (Condition(parameter="c", values=("on",)),)
    cube = under(
        *XYZ,
        ChoiceParameter(name="c", choices=("on", "off")),
        FloatParameter(name="w", low=-1, high=1, when=when),
        constraints=[total()],
    )
    (curve,) = along(cube, lambda c: c["w"] ** 2, 4)
    np.testing.assert_allclose(curve.mean, np.linspace(-1, 1, 21) ** 2, atol=1e-9)
    assert curve.configs == 128
    (both,) = along(cube, lambda c: c.get("w", 7.0) * 0 + (c["c"] == "on"), 3)
    assert (both.values, both.mean) == (["on", "off"], [1.0, 0.0])


# Indices


def test_sobol_indices_on_a_simplex_are_those_of_the_dirichlet_distribution():
    """Variances 3/80 and covariances -1/80 of its first three of four coordinates."""
    found = indices_of(SIMPLEX["at most 1"], linear)
    np.testing.assert_allclose(found.first, [8 / 9, 0, 2 / 9], atol=0.03)
    np.testing.assert_allclose(found.total, [3 / 4, 1 / 12, 0], atol=0.03)


def test_where_the_others_determine_a_coordinate_it_only_counts_through_them():
    found = indices_of(SIMPLEX["exactly 1"], linear)
    np.testing.assert_allclose(found.first, [25 / 28, 1 / 28, 4 / 7], atol=0.04)
    assert found.total.max() < 1e-20
    assert found.largest.tolist() == found.first.tolist()


def test_sobol_indices_of_whole_numbers_are_those_of_all_configs():
    cube = under(
        IntParameter(name="n", low=0, high=4),
        IntParameter(name="m", low=1, high=5),
        ChoiceParameter(name="c", choices=(False, True)),
        constraints=[total(at_most=5, n=1, m=1)],
    )

    def function(config):
        return config["n"] ** 2 + 3.0 * config["m"] * config["c"]

    sides = product(range(5), range(1, 6), (False, True))
    every = [{"n": n, "m": m, "c": c} for n, m, c in sides if n + m <= 5]
    f = np.array([function(config) for config in every])
    first, rest = [], []
    for name in "nmc":
        keys = [config[name] for config in every]
        others = [tuple(v for k, v in config.items() if k != name) for config in every]
        first.append(np.var([np.mean(f[[k == key for k in keys]]) for key in keys]))
        rest.append(np.mean([np.var(f[[o == other for o in others]]) for other in others]))
    found = indices_of(cube, function)
    np.testing.assert_allclose(found.first, np.array(first) / f.var(), atol=0.03)
    np.testing.assert_allclose(found.total, np.array(rest) / f.var(), atol=0.03)


# Orders


def place_of_b(config):
    return float(config["order"].index("b"))


def test_an_order_is_followed_item_by_item():
    cube = under(Permutation(name="order", items=ITEMS))
    found = {one.item: one for one in along(cube, place_of_b, 0)}
    assert list(found) == list(ITEMS)
    assert {one.parameter for one in found.values()} == {"order"}
    assert found["b"].values == [1, 2, 3, 4]
    assert found["b"].mean == [0, 1, 2, 3]
    # With a at a position, b is anywhere else.
    np.testing.assert_allclose(found["a"].mean, (6 - np.arange(4)) / 3, atol=0.15)


def test_a_conditional_order_is_followed_where_it_exists():
    when = (Condition(parameter="c", values=("on",)),)
    cube = under(
        ChoiceParameter(name="c", choices=("off", "on")),
        Permutation(name="order", items=ITEMS, when=when),
    )
    found = {one.item: one.mean for one in along(cube, place_of_b, 1)}
    assert found["b"] == [0, 1, 2, 3]


def test_an_order_sets_the_best_apart_by_where_its_items_stand():
    cube = under(Permutation(name="order", items=ITEMS), XYZ[0])
    rows = cube.snap(np.random.default_rng(2).random((200, 2)))
    losses = np.array([place_of_b(cube.decode(row)) for row in rows])
    order, x = shares(divergences(cube, rows, losses))
    assert order > 0.85
    assert order + x == pytest.approx(1)
    assert shares(divergences(cube, rows, rows[:, 1]))[1] > 0.9
    assert not any(edge.parameter == "order" for edge in edges(cube, rows, rows[:, 0]))


# All together


@pytest.mark.parametrize("name", sorted(CONSTRAINED | TINY_CONSTRAINED))
def test_every_constrained_space_is_explained(name):
    problem = Problem(space=space(name), objectives=[Objective(metric="loss")], seed=1)
    rng = np.random.default_rng(3)
    configs = [] if name == "nothing" else problem.space.sample(rng, 20)
    trials = [
        Trial(number=n, config=config, state=TrialState.COMPLETED, values={"loss": rng.normal()})
        for n, config in enumerate(configs)
    ]
    found = explain(problem, trials)
    assert found == explain(problem, trials)
    assert (found.because is None) == (name != "nothing")
    for curve in found.dependence:
        assert len(curve.values) == len(curve.mean) == len(curve.sd) >= 1
        assert np.isfinite(curve.mean).all()
    assert {one.parameter for one in found.dependence} <= {p.name for p in problem.space.parameters}
    assert (len(found.dependence) > 0) == (name != "nothing")
