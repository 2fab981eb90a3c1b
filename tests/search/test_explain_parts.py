"""The parts of an explanation against closed forms, brute force and chance."""

import math

import numpy as np
import pytest

from search.encoding import Cube
from search.explain.activation import activated
from search.explain.edges import FALSE_ALARMS, edges
from search.explain.leave_one_out import leave_one_out
from search.explain.ped_anova import Divergence, density, divergences, shares
from search.explain.sobol_indices import FEWEST, affordable, indices
from search.gp.fit import NUGGET, Hyperparameters
from search.gp.kernels import MATERN, RBF
from search.gp.posterior import Posterior
from search.parameters import ChoiceParameter, Condition, FloatParameter, IntParameter
from search.space import SearchSpace
from tests.contracts.spaces import SPACES, space

AT = Hyperparameters(lengths=(0.4, 0.9), noise=0.02)


def unit(names: str) -> Cube:
    return Cube(SearchSpace(parameters=[FloatParameter(name=n, low=0, high=1) for n in names]))


# Sobol' indices


def test_sobol_indices_of_the_ishigami_function() -> None:
    a, b = 7.0, 0.1
    variance = 0.5 + a**2 / 8 + b * math.pi**4 / 5 + b**2 * math.pi**8 / 18
    first = np.array([0.5 * (1 + b * math.pi**4 / 5) ** 2, a**2 / 8, 0.0]) / variance
    third = b**2 * math.pi**8 * (1 / 18 - 1 / 50) / variance
    total = first + np.array([third, 0.0, third])

    def ishigami(rows):
        x = math.pi * (2 * rows - 1)
        return np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0]) + 1e3

    found = indices(ishigami, 3, 2048, np.random.default_rng(0))
    np.testing.assert_allclose(found.first, first, atol=0.02)
    np.testing.assert_allclose(found.total, total, atol=0.02)


def test_sobol_indices_of_a_sum_are_those_of_its_terms() -> None:
    weights = np.array([3.0, 2.0, 0.0, 1.0])
    expected = weights**2 / (weights**2).sum()
    found = indices(lambda rows: rows @ weights, 4, 1024, np.random.default_rng(1))
    np.testing.assert_allclose(found.first, expected, atol=0.01)
    np.testing.assert_allclose(found.total, expected, atol=0.01)


def test_a_constant_depends_on_nothing() -> None:
    found = indices(lambda rows: np.full(len(rows), 5.0), 2, 64, np.random.default_rng(2))
    assert found.first.tolist() == found.total.tolist() == [0.0, 0.0]


def test_the_sample_shrinks_until_it_is_affordable() -> None:
    assert affordable(10, 150, 50_000_000) == 2048
    assert affordable(100, 1000, 50_000_000) * 102 * 1000 <= 50_000_000
    assert affordable(100, 10**9, 50_000_000) == FEWEST


# PED-ANOVA


def test_the_divergence_of_a_choice_is_that_of_its_counts() -> None:
    cube = Cube(SearchSpace(parameters=[ChoiceParameter(name="c", choices=("a", "b"))]))
    rows = cube.encode([{"c": "a"}] * 20 + [{"c": "b"}] * 80)
    losses = np.r_[np.arange(20.0), 20.0 + np.arange(80)]  # the best tenth are all a
    p, q = np.array([10.5, 0.5]) / 11, np.array([20.5, 80.5]) / 101
    expected = float(np.sum(q * (p / q - 1) ** 2))
    assert divergences(cube, rows, losses) == [Divergence(pytest.approx(expected), 100, 10)]


def test_the_divergences_of_a_sum_are_those_of_its_level_sets() -> None:
    """Of u among the best tenth of 2 u + v, uniform in the square: densities in closed form."""
    cube, rng = unit("uv"), np.random.default_rng(3)
    rows = rng.random((20_000, 2))
    t = math.sqrt(0.4)  # {2 u + v <= t} has the area t^2 / 4 = 0.1
    grid = (np.arange(100_000) + 0.5) / 100_000
    u, v = np.maximum(t - 2 * grid, 0) / 0.1, np.maximum(t - grid, 0) / 2 / 0.1
    exact = [float(np.mean((density - 1) ** 2)) for density in (u, v)]
    found = [one.value for one in divergences(cube, rows, rows @ [2.0, 1.0])]
    np.testing.assert_allclose(found, exact, rtol=0.06)
    np.testing.assert_allclose(shares(divergences(cube, rows, rows @ [2.0, 1.0])),
                               np.array(exact) / sum(exact), atol=0.02)  # fmt: skip


def test_only_the_order_of_the_losses_counts() -> None:
    cube, rng = unit("uv"), np.random.default_rng(4)
    rows = rng.random((60, 2))
    losses = rows @ [2.0, 1.0]
    assert divergences(cube, rows, losses) == divergences(cube, rows, np.exp(30 * losses))


def test_a_conditional_parameter_is_judged_where_it_is_active() -> None:
    when = (Condition(parameter="c", values=("a",)),)
    cube = Cube(SearchSpace(parameters=[
        ChoiceParameter(name="c", choices=("a", "b")),
        FloatParameter(name="x", low=0, high=1, when=when),
    ]))  # fmt: skip
    rng = np.random.default_rng(5)
    configs = [{"c": "a", "x": float(x)} for x in rng.random(40)] + [{"c": "b"}] * 30
    losses = np.array([config.get("x", -1.0) for config in configs])
    both = divergences(cube, cube.encode(configs), losses)
    alone = divergences(cube, cube.encode(configs[:40]), losses[:40])
    assert both[1] == alone[1]
    assert both[1].trials == 40
    few = divergences(cube, cube.encode(configs[35:]), losses[35:])
    assert few[1] == Divergence(None, 5, 0)
    assert shares(few) == [1.0, None]


@pytest.mark.parametrize("name", sorted(SPACES))
def test_densities_are_densities(name: str) -> None:
    cube, rng = Cube(space(name)), np.random.default_rng(6)
    rows = cube.snap(rng.random((50, cube.width)))
    active = cube.active(rows)
    for j in range(cube.width):
        found = density(cube, j, rows[active[:, j], j][:7])
        assert found.sum() == pytest.approx(1.0)
        assert found.min() > 0


def test_equal_losses_set_nothing_apart() -> None:
    cube, rng = unit("uv"), np.random.default_rng(7)
    assert shares(divergences(cube, rng.random((30, 2)), np.zeros(30))) == [0.0, 0.0]


# Leave one out


@pytest.mark.parametrize("kernel", [RBF, MATERN], ids=lambda kernel: kernel.name)
def test_leaving_one_out_is_as_good_as_computing_anew(kernel) -> None:
    rng = np.random.default_rng(8)
    X = rng.random((15, 2))
    X[3] = X[9]  # a config tried twice
    y = np.sin(5 * X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=15) + 4.0
    found = leave_one_out(Posterior.of(kernel, AT, X, [0, 1], y), y)
    for i in range(15):
        rest = np.delete(np.arange(15), i)
        belief = Posterior.of(kernel, AT, X[rest], [0, 1], y[rest]).believe(X[[i]])
        assert found.mean[i] == pytest.approx(belief.mean[0], rel=1e-7)
        noisy = belief.variance[0] + AT.noise + NUGGET
        assert found.sd[i] == pytest.approx(math.sqrt(noisy), rel=1e-7)


# Bounds


def test_false_alarms_are_as_rare_as_the_rule_says() -> None:
    rng, rounds, alarms = np.random.default_rng(9), 1500, 0
    parameters = [FloatParameter(name=f"x{k}", low=0, high=1) for k in range(5)]
    parameters += [
        IntParameter(name="n", low=1, high=6),
        IntParameter(name="w", low=8, high=64, log=True),
    ]
    cube = Cube(SearchSpace(parameters=parameters))
    for _ in range(rounds):
        rows = cube.snap(rng.random((40, cube.width)))
        alarms += bool(edges(cube, rows, rng.random(40)))
    # As many as that happen once in 1000 times, at the promised rate.
    assert alarms <= 27
    assert FALSE_ALARMS == 0.01


def test_crowding_at_a_bound_is_told() -> None:
    lr = FloatParameter(name="lr", low=1e-5, high=0.1, log=True)
    cube = Cube(SearchSpace(parameters=[lr, FloatParameter(name="x", low=0, high=1)]))
    rng = np.random.default_rng(10)
    rows = rng.random((40, 2))
    rows[:, 0] *= 0.9
    rows[:7, 0] = 0.97
    losses = 1.0 - rows[:, 0]
    losses[7:] += 1.0
    (edge,) = edges(cube, rows, losses)
    assert edge.message == (
        "lr: 7 of the best 8 trials are within 5% of the upper bound 0.1: consider widening"
    )
    assert edge.chance == pytest.approx(8 * 0.05**7 * 0.95 + 0.05**8, rel=1e-6)
    assert edges(cube, np.abs(rows - [0.5, 0.0]), losses) == []  # within, the same crowd is fine


def test_a_wide_level_at_the_bound_is_no_crowd_by_itself() -> None:
    two = [IntParameter(name=name, low=1, high=2) for name in "nm"]
    assert edges(Cube(SearchSpace(parameters=two)), np.full((40, 2), 0.75), np.arange(40.0)) == []
    fine = Cube(SearchSpace(parameters=[IntParameter(name="n", low=1, high=10)]))
    (edge,) = edges(fine, np.full((40, 1), 0.95), np.arange(40.0))
    assert (edge.parameter, edge.bound, edge.value, edge.near) == ("n", "upper", 10, 8)
    choices = ChoiceParameter(name="c", choices=tuple(range(10)), ordered=True)
    (edge,) = edges(
        Cube(SearchSpace(parameters=[choices])), np.full((40, 1), 0.05), np.arange(40.0)
    )
    assert edge.message == (
        "c: 8 of the best 8 trials are at the first choice 0: consider more choices beyond it"
    )


# Where parameters are active


@pytest.mark.parametrize("name", sorted(SPACES))
def test_any_parameter_can_be_made_active(name: str) -> None:
    cube, rng = Cube(space(name)), np.random.default_rng(11)
    base = rng.random((64, cube.width))
    for j in range(cube.width):
        rows = activated(cube, base, [j])
        assert len(rows) == 64
        assert cube.active(rows)[:, j].all()


def test_parents_are_spread_over_what_a_condition_allows() -> None:
    cube, rng = Cube(space("nested")), np.random.default_rng(12)
    names = [parameter.name for parameter in cube.space.parameters]
    rows = activated(cube, rng.random((200, cube.width)), [names.index("second")])
    found = {cube.decode(row)["layers"] for row in rows}
    assert found == {2, 3}
    both = activated(
        cube, rng.random((200, cube.width)), [names.index("kind"), names.index("second")]
    )
    assert {cube.decode(row)["layers"] for row in both} == {3}


def test_what_excludes_each_other_has_no_rows() -> None:
    def when(value: str) -> tuple[Condition, ...]:
        return (Condition(parameter="c", values=(value,)),)

    cube = Cube(SearchSpace(parameters=[
        ChoiceParameter(name="c", choices=("a", "b")),
        FloatParameter(name="x", low=0, high=1, when=when("a")),
        FloatParameter(name="y", low=0, high=1, when=when("b")),
    ]))  # fmt: skip
    assert len(activated(cube, np.random.default_rng(13).random((32, 3)), [1, 2])) == 0
