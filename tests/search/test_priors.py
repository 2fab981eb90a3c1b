"""What a user believes: distributions against SciPy's, shares of levels, what is drawn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, truncnorm

from search.encoding import Cube
from search.errors import InvalidSpace
from search.normal import Normal
from search.parameters import ChoiceParameter, Condition, FloatParameter, IntParameter
from search.priors import Priors, belief_of
from search.space import SearchSpace
from tests.contracts.spaces import space


def uniform(count):
    return (np.arange(count) + 0.5) / count


def one(parameter):
    return SearchSpace(parameters=[parameter])


@given(st.floats(-3, 7), st.floats(0.002, 300), st.floats(1e-9, 1 - 1e-9))
def test_a_normal_prior_is_the_truncated_normal_distribution(mean, sd, v):
    parameter = FloatParameter(name="x", low=-3, high=7, prior=Normal(mean=mean, sd=sd))
    known = truncnorm((-3 - mean) / sd, (7 - mean) / sd, loc=mean, scale=sd)
    belief = belief_of(parameter)
    u = belief.places(np.array([v]))
    x = -3 + 10 * u
    # SciPy's own inverse is good to about eight digits in its tails.
    assert x[0] == pytest.approx(known.ppf(v), rel=1e-6, abs=1e-7 * min(sd, 10))
    assert belief.below(u)[0] == pytest.approx(v, rel=1e-6, abs=1e-9)
    assert belief.log_density(u)[0] == pytest.approx(known.logpdf(x[0]) + math.log(10), abs=1e-5)


def test_the_deviation_on_a_log_scale_is_in_decades():
    lr = FloatParameter(name="lr", low=1e-9, high=1e3, log=True, prior=Normal(mean=1e-3, sd=0.5))
    quantiles = belief_of(lr).places(norm.cdf([-1.0, 0.0, 2.0]))
    values = [Cube(one(lr)).decode([u])["lr"] for u in quantiles]
    assert values == pytest.approx([10**-3.5, 10**-3, 10**-2], rel=1e-6)


@pytest.mark.parametrize(
    "parameter",
    [
        IntParameter(name="p", low=1, high=9, prior=Normal(mean=3, sd=1.5)),
        IntParameter(name="p", low=0, high=40, step=5, prior=Normal(mean=33.5, sd=12)),
        FloatParameter(name="p", low=0, high=0.95, step=0.1, prior=Normal(mean=0.95, sd=0.3)),
        IntParameter(name="p", low=1, high=20, log=True, prior=Normal(mean=4, sd=0.4)),
    ],
    ids=lambda p: p.kind,
)
def test_a_level_gets_the_probability_of_its_cell(parameter):
    cube, prior = Cube(one(parameter)), parameter.prior
    step = parameter.step or 1
    levels = [cube.scales[0].value_at(k) for k in range(cube.scales[0].count)]
    edges = np.array([levels[0] - step / 2, *(v + step / 2 for v in levels)])
    z = (edges - prior.mean) / prior.sd
    if parameter.log:
        z = (np.log10(edges) - math.log10(prior.mean)) / prior.sd
    # The mean of a step that misses high may lie past the last level: the nearest end is meant.
    if prior.mean > edges[-1]:
        z = (edges - edges[-1]) / prior.sd
    shares = np.diff(norm.cdf(z)) / (norm.cdf(z[-1]) - norm.cdf(z[0]))
    rows = Priors(cube).rows(uniform(100_000)[:, None])
    drawn = [cube.decode(row)[parameter.name] for row in rows[::10]]
    assert [np.mean(np.array(drawn) == v) for v in levels] == pytest.approx(shares, abs=4e-4)
    u = cube.encode([{parameter.name: v} for v in levels])
    even = np.diff(np.log(edges) if parameter.log else edges)
    known = np.log(shares / (even / even.sum()))
    np.testing.assert_allclose(Priors(cube).log_density(u), known, atol=1e-9)


def test_weights_need_not_add_up_and_are_the_shares():
    parameter = ChoiceParameter(name="c", choices=("a", "b", "c"), weights=(1, 2, 5))
    cube = Cube(one(parameter))
    rows = Priors(cube).rows(uniform(800)[:, None])
    drawn = [cube.decode(row)["c"] for row in rows]
    assert [drawn.count(c) for c in "abc"] == [100, 200, 500]
    densities = np.exp(Priors(cube).log_density(cube.encode([{"c": c} for c in "abc"])))
    np.testing.assert_allclose(densities, [3 / 8, 6 / 8, 15 / 8])


def test_the_density_is_a_product_over_the_active_parameters():
    priors = Priors(cube := Cube(space("priors")))
    alike = {"lr": 1e-3, "layers": 4, "width": 64, "dropout": 0.0}
    rows = cube.encode(
        [
            {"optimizer": "sgd", **alike, "momentum": 0.9},
            {"optimizer": "sgd", **alike, "momentum": 0.5},
            {"optimizer": "lion", **alike},
        ]
    )
    best, slow, lion = priors.log_density(rows)
    assert best - slow == pytest.approx(0.5 * ((0.9 - 0.5) / 0.05) ** 2)
    momentum = truncnorm(-18, 2, loc=0.9, scale=0.05).logpdf(0.9)
    assert best - lion == pytest.approx(momentum + math.log(3))


def test_far_from_the_mean_densities_stay_finite_and_ordered():
    parameter = IntParameter(name="n", low=0, high=10**6, prior=Normal(mean=0, sd=0.01))
    priors = Priors(cube := Cube(one(parameter)))
    found = priors.log_density(cube.encode([{"n": n} for n in (0, 1, 2, 1000, 10**6)]))
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()
    assert found[2] - found[1] == pytest.approx(-0.5 * (150**2 - 50**2) - math.log(3), rel=1e-3)


def test_a_space_without_beliefs_is_as_it_was():
    cube = Cube(space("nested"))
    rows = np.random.default_rng(0).random((50, cube.width))
    assert Priors(cube).rows(rows) is rows
    assert not Priors(cube).log_density(cube.snap(rows)).any()
    assert not space("nested").believes
    assert space("priors").believes


def test_a_space_is_sampled_as_the_priors_say():
    configs = space("priors").sample(np.random.default_rng(0), 4000)
    assert np.mean([c["optimizer"] == "adamw" for c in configs]) == pytest.approx(0.6, abs=0.03)
    decades = np.log10([c["lr"] for c in configs])
    assert (decades.mean(), decades.std()) == pytest.approx((-3, 0.5), abs=0.03)
    assert np.median([c["momentum"] for c in configs if "momentum" in c]) > 0.85


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prior": Normal(mean=2, sd=1)}, "mean 2.0 of its prior is not in"),
        ({"prior": Normal(mean=0.5, sd=1e-12)}, "too narrow"),
    ],
)
def test_a_prior_that_cannot_be_meant_is_refused(fields, message):
    with pytest.raises(InvalidSpace, match=f"x: .*{message}"):
        FloatParameter(name="x", low=0, high=1, **fields)


@pytest.mark.parametrize("sd", [0, -1, math.nan, math.inf])
def test_a_deviation_is_positive_and_finite(sd):
    with pytest.raises(InvalidSpace, match="sd > 0"):
        Normal(mean=0, sd=sd)


@pytest.mark.parametrize("weights", [(1,), (1, 0), (1, -1), (1, math.inf), (1, 1e-12), ()])
def test_weights_that_cannot_be_meant_are_refused(weights):
    with pytest.raises(InvalidSpace, match="weight"):
        ChoiceParameter(name="c", choices=("a", "b"), weights=weights)


def test_an_inactive_parameter_needs_no_density_of_its_own():
    when = [Condition(parameter="c", values=["a"])]
    cube = Cube(
        SearchSpace(
            parameters=[
                ChoiceParameter(name="c", choices=("a", "b")),
                FloatParameter(name="x", low=0, high=1, when=when, prior=Normal(mean=0, sd=0.1)),
            ]
        )
    )
    active, inactive = Priors(cube).log_density(cube.encode([{"c": "a", "x": 0.0}, {"c": "b"}]))
    assert active == pytest.approx(math.log(2 / (0.1 * math.sqrt(2 * math.pi))))
    assert inactive == 0
