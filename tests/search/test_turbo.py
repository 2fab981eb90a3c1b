"""The trust region searcher: the contract, its boxes, its draws, and what it finds."""

import math
import time

import numpy as np
import pytest

from search.candidates import Candidates
from search.encoding import Cube
from search.errors import UnsupportedProblem
from search.gp.fit import Hyperparameters
from search.gp.kernels import MATERN
from search.gp.posterior import Posterior
from search.parameters import (
    ChoiceParameter,
    Condition,
    FloatParameter,
    IntParameter,
    PermutationParameter,
)
from search.problem import Objective, Problem
from search.registry import check_supported
from search.searcher import History
from search.searchers.sobol import Sobol
from search.searchers.turbo import TuRBO
from search.space import SearchSpace
from search.trial import Trial, TrialState
from search.turbo.box import Box, side_weights
from search.turbo.paths import Paths
from tests.contracts.searchers import SearcherContract
from tests.contracts.spaces import SPACES, space


class TestTuRBO(SearcherContract):
    searcher = TuRBO(initial=4, candidates=400)
    refuses = ("permutation", "tiny permutation")


def test_permutations_are_refused():
    order = PermutationParameter(name="order", items="abc")
    made = SearchSpace(parameters=[FloatParameter(name="x", low=0, high=1), order])
    with pytest.raises(UnsupportedProblem, match="does not take permutations, such as 'order'"):
        check_supported(problem(made), TuRBO())
    check_supported(problem(floats(1)), TuRBO())


def rng():
    return np.random.default_rng(0)


def box(made, centre, length, weights=None):
    cube = Cube(made)
    candidates = Candidates(cube, cube.encode([]), rng())
    weights = np.ones(cube.width) if weights is None else weights
    return cube, candidates, Box(cube, np.asarray(centre, dtype=float), length, weights)


def floats(d):
    return SearchSpace(parameters=[FloatParameter(name=f"x{k}", low=0, high=1) for k in range(d)])


def test_numbers_stay_in_the_box_and_fill_it():
    weights = np.array([2.0, 0.5, 1.0])
    _, candidates, made = box(floats(3), [0.5, 0.5, 0.9], 0.4, weights)
    rows = made.sample(candidates, 2000)
    np.testing.assert_allclose(rows.min(axis=0), [0.1, 0.4, 0.7], atol=0.01)
    np.testing.assert_allclose(rows.max(axis=0), [0.9, 0.6, 1.0], atol=0.01)


def test_of_many_parameters_about_twenty_change():
    centre = np.full(100, 0.5)
    _, candidates, made = box(floats(100), centre, 0.4)
    changed = (made.sample(candidates, 1000) != centre).sum(axis=1)
    assert changed.min() >= 1
    assert 18 < changed.mean() < 23


def test_length_scales_shape_the_box_and_keep_its_volume():
    weights = side_weights(Cube(floats(3)), np.array([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(weights, [0.5, 1.0, 2.0])


@pytest.mark.parametrize("name", SPACES)
def test_a_tiny_box_holds_other_configs_close_by(name):
    cube = Cube(space(name))
    centre = cube.snap(rng().random((1, cube.width)))[0]
    _, candidates, made = box(space(name), centre, 2.0**-7)
    rows = made.sample(candidates, 300)
    assert len(rows) > 0
    assert len(np.unique(rows, axis=0)) == len(rows)
    for row in rows:
        assert cube.space.check(cube.decode(row)) == cube.decode(row)


def test_whole_numbers_reach_their_neighbours_and_no_further():
    made = SearchSpace(parameters=[IntParameter(name="n", low=1, high=100)])
    cube, candidates, small = box(made, Cube(made).encode([{"n": 40}])[0], 2.0**-7)
    assert {cube.decode(row)["n"] for row in small.sample(candidates, 200)} == {39, 40, 41}


def test_a_batch_larger_than_its_region_goes_beyond_it():
    made = SearchSpace(parameters=[IntParameter(name="n", low=1, high=100)])
    found = play(TuRBO(initial=4), problem(made), lambda c: abs(c["n"] - 40.0), 90, 30)
    assert len({trial.config["n"] for trial in found}) == 90
    assert "turbo" in {trial.origin["by"] for trial in found}


def test_how_many_choices_change_falls_with_the_length():
    made = SearchSpace(
        parameters=[ChoiceParameter(name=f"c{k}", choices=("a", "b", "c")) for k in range(16)]
    )
    centre = Cube(made).encode([{f"c{k}": "b" for k in range(16)}])[0]
    for length, most in ((1.6, 16), (0.8, 8), (2.0**-7, 1)):
        _, candidates, some = box(made, centre, length)
        changed = (np.abs(some.sample(candidates, 3000) - centre) > 0.1).sum(axis=1)
        assert changed.max() == most


def branches(*of_the_other):
    """A space whose parameters, all but one, are those of one of its two branches."""
    when = [Condition(parameter="branch", values=["b"])]
    switch = ChoiceParameter(name="branch", choices=("a", "b"))
    other = [kind(name=name, when=when, **more) for kind, name, more in of_the_other]
    return SearchSpace(parameters=[switch, FloatParameter(name="x", low=0, high=1), *other])


@pytest.mark.parametrize("length", [0.8, 2.0**-7])
def test_what_the_centre_has_not_active_is_drawn_from_all_of_its_range(length):
    made = branches(
        (FloatParameter, "m", {"low": 0, "high": 1}),
        (IntParameter, "n", {"low": 1, "high": 100}),
        (ChoiceParameter, "c", {"choices": tuple("pqrs")}),
    )
    centre = Cube(made).encode([{"branch": "a", "x": 0.3}])[0]
    cube, candidates, region = box(made, centre, length)
    configs = [cube.decode(row) for row in region.sample(candidates, 2000)]
    other = [config for config in configs if config["branch"] == "b"]
    assert len(other) > 400
    for name, low, high in (("m", 0, 1), ("n", 1, 100)):
        values = [(config[name] - low) / (high - low) for config in other]
        np.testing.assert_allclose(np.quantile(values, [0, 0.5, 1]), [0, 0.5, 1], atol=0.1)
    assert {config["c"] for config in other} == set("pqrs")
    assert all(abs(config["x"] - 0.3) <= length / 2 + 1e-9 for config in configs)


def posterior():
    X = rng().random((8, 2))
    at = Hyperparameters(lengths=(0.4, 0.6), noise=0.01)
    return Posterior.of(MATERN, at, X, [0, 1], np.sin(6 * X[:, 0]) + X[:, 1])


def test_draws_have_the_posterior_s_moments():
    model, A = posterior(), rng().random((6, 2)) + 0.1
    belief = model.believe(A)
    # Bases of 512 cosines differ: 40 of them, with 200 functions each.
    values = np.concatenate([Paths.drawn(model, 200, r).at(A) for r in rng().spawn(40)], axis=1)
    np.testing.assert_allclose(values.mean(axis=1), belief.mean, atol=0.03)
    np.testing.assert_allclose(values.std(axis=1), belief.sd, rtol=0.05)
    joint = np.cov(values)
    K = MATERN.correlation(np.square((A[:, None] - A[None]) / model.scale).sum(-1))
    np.testing.assert_allclose(joint, K - belief.V.T @ belief.V, atol=0.03)


def problem(made, seed=0, goal="minimize"):
    return Problem(space=made, objectives=[Objective(metric="loss", goal=goal)], seed=seed)


def ackley(config):
    z = (np.array(list(config.values())) - 0.37) * 10
    waves = np.exp(np.cos(2 * np.pi * z).mean())
    return float(-20 * np.exp(-0.2 * np.sqrt((z**2).mean())) - waves + 20 + math.e)


def play(searcher, study, value_of, count, at_a_time):
    trials = []
    for batch in range(count // at_a_time):
        history = History(problem=study, trials=trials, batch=batch)
        for s in searcher.suggest(history, at_a_time).suggestions:
            assert "because" not in s.origin
            n, values = len(trials), {"loss": value_of(s.config)}
            state = TrialState.COMPLETED
            trials.append(
                Trial(number=n, config=s.config, state=state, values=values, origin=s.origin)
            )
    return trials


def lowest(trials):
    return min(trial.values["loss"] for trial in trials)


@pytest.mark.parametrize("seed", range(2))
def test_it_descends_into_ackley_in_twenty_dimensions(seed):
    """200 evaluations, four at a time: Sobol points end near 8."""
    study = problem(floats(20), seed)
    found = play(TuRBO(candidates=1000), study, ackley, 200, 4)
    assert lowest(found) < 0.6 * lowest(play(Sobol(), study, ackley, 200, 50))
    assert {t.origin["by"] for t in found} == {"sobol", "turbo"}


def test_it_finds_an_optimum_at_the_bounds_of_another_branch():
    """Where a region settles in the poor branch, the good one is only found far from its middle.

    12 of 12 seeds do; 4 would, were the other branch searched around the middle.
    """
    made = branches(*((FloatParameter, name, {"low": 0, "high": 1}) for name in ("m", "q")))

    def loss(config):
        if config["branch"] == "a":
            return 1 + (config["x"] - 0.3) ** 2
        corner = (config["m"] - 0.95) ** 2 + (config["q"] - 0.05) ** 2
        return 0.3 + 6 * corner + (config["x"] - 0.3) ** 2

    found = [lowest(play(TuRBO(), problem(made, seed), loss, 40, 1)) for seed in range(4)]
    assert max(found) < 0.7


def test_it_starts_again_elsewhere_once_a_region_is_used_up():
    study = problem(floats(1))
    found = play(TuRBO(candidates=200), study, lambda c: abs(c["x0"] - 0.3), 60, 1)
    regions = [trial.origin["region"] for trial in found]
    assert regions == sorted(regions)
    assert regions[-1] >= 1
    first = [t for t in found if t.origin["region"] == 1][:4]
    assert [t.origin["by"] for t in first] == ["sobol"] * 4
    assert {t.origin["length"] for t in first} == {0.8}
    assert lowest(found) < 0.01


def test_it_says_what_it_expects_in_the_units_of_the_metric():
    study = problem(floats(2), goal="maximize")
    found = play(
        TuRBO(), study, lambda c: 90 - 50 * ((c["x0"] - 0.4) ** 2 + (c["x1"] - 0.6) ** 2), 24, 1
    )
    late = [t for t in found if t.origin["by"] == "turbo"][-8:]
    for trial in late:
        told = trial.origin
        assert told["mean"] == pytest.approx(trial.values["loss"], abs=4 * told["sd"] + 0.5)
        assert 0 <= told["sd"] < 30
        assert told["seen"] == trial.number


def test_five_thousand_trials_of_a_hundred_parameters_take_no_longer_than_a_second_or_two():
    made = floats(100)
    rows = rng().random((5000, 100))
    trials = [
        Trial(
            number=n,
            config={f"x{k}": float(u) for k, u in enumerate(row)},
            state=TrialState.COMPLETED,
            values={"loss": float(np.square(row - 0.4).sum())},
        )
        for n, row in enumerate(rows)
    ]
    history = History(problem=problem(made), trials=trials)
    start = time.process_time()
    batch = TuRBO().suggest(history, 8)
    assert time.process_time() - start < 5
    assert len(batch.suggestions) == 8
    assert {s.origin["seen"] for s in batch.suggestions} == {5000}
    assert {s.origin["model_trials"] for s in batch.suggestions} == {250}
