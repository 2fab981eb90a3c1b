"""The tree-structured Parzen estimator: densities, who is good, and what is drawn from them."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest, norm, truncnorm

from search.encoding import Cube
from search.parameters import ChoiceParameter, FloatParameter, IntParameter
from search.problem import Objective, OutcomeConstraint, Problem
from search.scales import Levels, scale_of
from search.searcher import History
from search.searchers.random import Random
from search.searchers.tpe import TPE
from search.space import SearchSpace
from search.tpe.fronts import foremost, fronts
from search.tpe.kernels import Cells, Normal, kernel_of, widths
from search.tpe.mixture import Mixture, recency
from search.tpe.split import gamma, split
from search.tpe.suggest import LATEST, MAX_ABOVE, Search, groups
from search.trial import Trial, TrialState
from tests.contracts.searchers import proposed
from tests.contracts.spaces import space

LEVELS = {
    "int": IntParameter(name="p", low=-20, high=20),
    "log int": IntParameter(name="p", low=1, high=500, log=True),
    "step": FloatParameter(name="p", low=0, high=0.9, step=0.1),
    "ordered": ChoiceParameter(name="p", choices=(1, 2, 4, 8), ordered=True),
    "choice": ChoiceParameter(name="p", choices=tuple("abcdef")),
    "wide": IntParameter(name="p", low=0, high=9_000),
}
POINTS = {
    "float": FloatParameter(name="p", low=-1, high=3),
    "log": FloatParameter(name="p", low=1e-6, high=1, log=True),
    "many": IntParameter(name="p", low=0, high=10**9),
    "many on a log scale": IntParameter(name="p", low=1, high=2**53, log=True),
}
FEW = np.array([0.02, 0.03, 0.5, 0.71, 1.0])


def kernel(parameter, u=FEW):
    scale = scale_of(parameter)
    return kernel_of(parameter, scale, scale.snap(u))


@pytest.mark.parametrize("name", LEVELS)
def test_the_masses_of_the_levels_add_up_to_one(name):
    made = kernel(LEVELS[name])
    centres = made.scale.centre(np.arange(made.scale.count))
    mass = np.exp(made.log_density(centres))
    assert mass.shape == (made.scale.count, len(FEW) + 1)
    np.testing.assert_allclose(mass.sum(axis=0), 1.0, rtol=1e-7)


@pytest.mark.parametrize("name", POINTS)
def test_the_densities_of_continuous_parameters_integrate_to_one(name):
    made = kernel(POINTS[name])
    grid = (np.arange(100_000) + 0.5) / 100_000
    np.testing.assert_allclose(np.exp(made.log_density(grid)).mean(axis=0), 1.0, rtol=1e-6)


def test_a_kernel_is_a_truncated_normal():
    made = kernel(POINTS["float"])
    assert isinstance(made, Normal)
    grid = np.linspace(0, 1, 41)
    for k, (mean, sd) in enumerate(zip(made.mean, made.sd, strict=True)):
        known = truncnorm(-mean / sd, (1 - mean) / sd, mean, sd).logpdf(grid)
        np.testing.assert_allclose(made.log_density(grid)[:, k], known, rtol=1e-9)


def test_the_mass_of_a_level_is_that_of_its_cell():
    made = kernel(LEVELS["int"])
    assert isinstance(made, Cells)
    edges = np.arange(42) / 41
    for k, (mean, sd) in enumerate(zip(made.mean, made.sd, strict=True)):
        reached = norm(mean, sd).cdf(edges)
        near = np.diff(reached) > 1e-9  # where the reference keeps its digits
        known = np.log(np.diff(reached)[near] / (reached[-1] - reached[0]))
        found = made.log_density(made.scale.centre(np.arange(41)[near]))[:, k]
        np.testing.assert_allclose(found, known, atol=1e-6)


def test_narrow_cells_keep_their_mass():
    made = kernel(IntParameter(name="p", low=1, high=10**9, log=True), np.array([0.9]))
    assert isinstance(made, Cells)
    level = np.array([10.0**6, 10.0**8])
    at = made.scale.centre(level)
    mean, sd = made.mean[0], made.sd[0]
    density = truncnorm(-mean / sd, (1 - mean) / sd, mean, sd).pdf(at)
    width = 1 / (level + 1) / math.log((10**9 + 0.5) / 0.5)
    np.testing.assert_allclose(np.exp(made.log_density(at)[:, 0]), density * width, rtol=1e-6)


def test_a_choice_is_smoothed_over_all_choices():
    made = kernel(ChoiceParameter(name="p", choices=tuple("abc")), np.array([0.1, 0.9]))
    third = 1 / 3
    known = np.array([[1 + third, third, third], [third, third, 1 + third], [1, 1, 1]])
    found = np.exp(made.log_density(np.array([1, 3, 5]) / 6)).T
    np.testing.assert_allclose(found, known / known.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("name", LEVELS)
def test_levels_are_drawn_as_often_as_their_mass_says(name):
    made = kernel(LEVELS[name])
    drawn = made.draw(np.full(40_000, 3), np.random.default_rng(0))
    levels = np.arange(made.scale.count)
    mass = np.exp(made.log_density(made.scale.centre(levels)))[:, 3]
    reached = np.bincount(made.scale.level(drawn).astype(int), minlength=len(levels)).cumsum()
    np.testing.assert_allclose(reached / 40_000, mass.cumsum(), atol=0.01)


def test_points_are_drawn_as_their_density_says():
    made = kernel(POINTS["log"])
    mean, sd = made.mean[4], made.sd[4]
    drawn = made.draw(np.full(5_000, 4), np.random.default_rng(0))
    assert kstest(drawn, truncnorm(-mean / sd, (1 - mean) / sd, mean, sd).cdf).pvalue > 0.01


def test_widths_are_the_larger_distance_to_a_neighbour():
    assert widths(np.array([])).size == 0
    np.testing.assert_allclose(widths(np.array([0.3])), [0.7])
    np.testing.assert_allclose(widths(np.array([0.9, 0.2])), [0.7, 0.7])
    np.testing.assert_allclose(widths(np.array([0.5, 0.1, 0.9, 0.6])), [0.4, 0.4, 0.3, 0.3])
    np.testing.assert_allclose(widths(np.full(4, 0.5)), 1 / 6)  # repeats, and the floor
    np.testing.assert_allclose(widths(np.full(500, 0.5)), 0.01)


def test_weights_fall_for_observations_that_are_not_recent():
    np.testing.assert_array_equal(recency(0), [])
    np.testing.assert_array_equal(recency(25), np.ones(25))
    weights = recency(40)
    np.testing.assert_allclose(weights[:15], np.linspace(1 / 40, 1, 15))
    np.testing.assert_array_equal(weights[15:], np.ones(25))


def test_a_mixture_is_a_density_over_all_its_parameters_together():
    parameters = [LEVELS["step"], LEVELS["choice"], LEVELS["ordered"]]
    axes = [(p, scale_of(p)) for p in parameters]
    rng = np.random.default_rng(0)
    observed = np.stack([scale.snap(rng.random(6)) for _, scale in axes], axis=1)
    mixture = Mixture.of(axes, observed, np.arange(1.0, 7.0))
    every = [s.centre(np.arange(s.count)) for _, s in axes if isinstance(s, Levels)]
    rows = np.array(list(itertools.product(*every)))
    mass = np.exp(mixture.log_density(rows))
    assert mass.sum() == pytest.approx(1.0)
    known = np.zeros(len(rows))
    for k, weight in enumerate([*range(1, 7), 1]):
        columns = [
            np.exp(kernel.log_density(rows[:, j])) for j, kernel in enumerate(mixture.kernels)
        ]
        known += weight / 22 * np.prod([column[:, k] for column in columns], axis=0)
    np.testing.assert_allclose(mass, known)
    drawn = mixture.draw(np.random.default_rng(1), 30_000)
    first = np.isclose(drawn, rows[np.argmax(mass)]).all(axis=1).mean()
    assert first == pytest.approx(mass.max(), rel=0.1)


def test_a_tenth_of_the_trials_are_good_ones():
    counts = [gamma(n) for n in (0, 1, 10, 11, 100, 101, 250, 251, 10_000)]
    assert counts == [0, 1, 1, 2, 10, 11, 25, 25, 25]
    assert gamma(10_000, objectives=2) == 100


X = FloatParameter(name="x", low=0, high=1)
Y = FloatParameter(name="y", low=0, high=1)


def problem(*parameters, metrics=("loss",), **changes):
    made = SearchSpace(parameters=parameters or (X,))
    found = Problem(space=made, objectives=[Objective(metric=metric) for metric in metrics])
    return replace(found, **changes)


def trial(number, state=TrialState.COMPLETED, **values):
    return Trial(number=number, config={"x": 0.01 * number}, state=state, values=values)


def places(configs):
    return [round(config["x"] * 100) for config in configs]


def test_good_trials_are_the_lowest_losses_in_the_order_of_trials():
    trials = [trial(k, loss=float((7 * k) % 20)) for k in range(20)]
    found = split(problem(), trials)
    assert places(found.below) == [0, 3]  # losses 0 and 1
    assert places(found.above) == [k for k in range(20) if k not in (0, 3)]


def test_what_was_not_measured_is_never_good():
    states = (TrialState.FAILED, TrialState.INFEASIBLE, TrialState.CANCELLED, TrialState.RUNNING)
    trials = [trial(k, states[k % 4]) for k in range(40)]
    trials += [trial(40, loss=math.nan), trial(41, loss=3.0)]
    found = split(problem(), trials)
    assert places(found.below) == [41]
    assert places(found.above) == [k for k in range(41) if k % 4 < 2]  # no cancelled, no running
    assert split(problem(), trials[:41]).below == []


def test_trials_that_miss_a_constraint_come_behind_by_how_much_they_miss_it():
    bounded = problem(constraints=[OutcomeConstraint(metric="bytes", at_most=10)])
    trials = [trial(k, loss=float(k), bytes=100.0 - k) for k in range(20)]
    trials += [trial(20, loss=-1.0), trial(21, loss=99.0, bytes=10.0)]
    assert places(split(bounded, trials).below) == [18, 19, 21]
    assert places(split(replace(bounded, constraints=()), trials).below) == [0, 1, 20]
    assert split(bounded, [trial(0, TrialState.RUNNING)]).below == []  # before any has ended


def brute_fronts(losses):
    left, found = set(range(len(losses))), []
    while left:
        front = [
            a
            for a in left
            if not any(
                (losses[b] <= losses[a]).all() and (losses[b] < losses[a]).any() for b in left
            )
        ]
        found.append(sorted(front))
        left -= set(front)
    return found


@pytest.mark.parametrize("objectives", [2, 3])
def test_fronts_are_those_of_brute_force(objectives):
    losses = np.random.default_rng(0).integers(0, 8, (60, objectives)).astype(float)
    assert [sorted(front) for front in fronts(losses)] == brute_fronts(losses)


def covered(losses, reference):
    """The exact area that points cover below the reference."""
    area, worst = 0.0, reference[1]
    for a, b in sorted(losses.tolist()):
        area += max(0.0, reference[0] - a) * max(0.0, worst - b)
        worst = min(worst, b)
    return area


def test_of_the_front_that_does_not_fit_those_are_kept_that_cover_most():
    x = np.sort(np.random.default_rng(3).random(12))
    losses = np.stack([x, (1 - x) ** 2], axis=1)
    losses = np.concatenate([losses, losses + 2])
    found = foremost(losses, 4)
    assert max(found) < 12
    low, high = losses[:12].min(axis=0), losses[:12].max(axis=0)
    reference = low + 1.1 * (high - low)
    best = max(covered(losses[list(s)], reference) for s in itertools.combinations(range(12), 4))
    assert covered(losses[found], reference) > 0.95 * best
    assert foremost(losses, 30) == list(range(24))


def test_many_trials_are_compared_block_by_block_with_the_same_answer():
    x = np.random.default_rng(0).random(3_000)
    losses = np.stack([x, 1 - x], axis=1) + 1.0
    best = [7, 1_500, 2_999]
    losses[best] = [[0.0, 0.2], [0.1, 0.1], [0.2, 0.0]]
    assert foremost(losses, 3) == best


def test_parameters_are_active_together_in_groups():
    cube = Cube(space("nested"))
    names = [[cube.space.parameters[j].name for j in g.members] for g in groups(cube)]
    assert names == [
        ["optimizer", "lr", "layers"], ["momentum", "nesterov"], ["second"], ["kind"],
    ]  # fmt: skip


def test_a_trial_speaks_only_for_the_parameters_that_it_has():
    cube = Cube(space("nested"))
    plain = {"optimizer": "adamw", "lr": 0.1, "layers": 1}
    momentous = plain | {"optimizer": "sgd", "momentum": 0.5, "nesterov": False}
    study = Problem(space=cube.space, objectives=[Objective(metric="loss")])
    trials = [
        Trial(number=k, config=config, state=TrialState.COMPLETED, values={"loss": float(k)})
        for k, config in enumerate([plain, momentous, plain, plain])
    ]
    search = Search.of(24, History(problem=study, trials=trials), cube, split(study, trials))
    sizes = [len(search.estimate(group).above.weights) for group in groups(cube)]
    assert sizes == [3 + 1, 1 + 1, 1, 1]


def test_pending_trials_count_as_bad_ones():
    trials = [trial(k, loss=abs(k - 15.0)) for k in range(30)]
    study = problem()
    free = History(problem=study, trials=trials, batch=3)
    held = replace(free, reserved=[{"x": 0.151 + 0.0001 * k} for k in range(40)])
    cube = Cube(study.space)
    found = split(study, trials)
    at = np.array([[0.152]])
    scores = [
        s.below.log_density(at) - s.above.log_density(at)
        for h in (free, held)
        for s in [Search.of(24, h, cube, found).estimate(groups(cube)[0])]
    ]
    assert scores[1] < scores[0] - 1


def test_the_other_trials_are_sampled_where_they_are_many():
    trials = [
        Trial(number=k, config={"x": k / 2000}, state=TrialState.COMPLETED, values={"loss": -k})
        for k in range(2000)
    ]
    study = problem()
    found = split(study, trials)
    history = History(problem=study, trials=trials)
    search = Search.of(24, history, Cube(study.space), found)
    assert len(search.below) == 25
    assert len(search.above) == MAX_ABOVE
    latest = [config["x"] for config in found.above[-LATEST:]]
    np.testing.assert_allclose(search.above[-LATEST:, 0], latest)
    assert len(set(search.above[:, 0].tolist())) == MAX_ABOVE


def drive(searcher, study, count, outcome):
    trials = []
    for number in range(count):
        history = History(problem=study, trials=trials, batch=number)
        (suggestion,) = searcher.suggest(history, 1).suggestions
        trials.append(
            Trial(
                number=number,
                config=suggestion.config,
                state=TrialState.COMPLETED,
                values=outcome(suggestion.config),
                origin=suggestion.origin,
            )
        )
    return trials


def bowl(config):
    miss = (config["x"] - 0.3) ** 2 + (config["y"] - 0.8) ** 2 + (config["z"] - 0.55) ** 2
    return {"loss": miss + 0.1 * (config["c"] != "b")}


def test_it_finds_better_configs_than_chance():
    z = FloatParameter(name="z", low=0, high=1)
    found = {}
    for searcher in (TPE(), Random()):
        best = [
            min(t.values["loss"] for t in drive(searcher, study, 60, bowl))
            for study in (
                problem(X, Y, z, ChoiceParameter(name="c", choices=tuple("abc")), seed=s)
                for s in range(4)
            )
        ]
        found[searcher.kind_of()] = float(np.mean(best))
    assert found["tpe"] < 0.5 * found["random"]


def test_it_keeps_to_outcome_constraints_and_finds_the_best_that_meets_them():
    study = problem(X, Y, constraints=[OutcomeConstraint(metric="sum", at_most=0.5)])

    def outcome(config):
        return {"loss": -config["x"], "sum": config["x"] + config["y"]}

    kept = drive(TPE(), study, 60, outcome)
    free = drive(TPE(), replace(study, constraints=()), 60, outcome)
    assert min(t.values["loss"] for t in kept if t.values["sum"] <= 0.5) < -0.42
    late = [[t.config["x"] for t in trials[30:]] for trials in (kept, free)]
    assert np.median(late[0]) < 0.6
    assert np.median(late[1]) > 0.8


def test_with_two_objectives_it_spreads_along_the_front():
    study = problem(X, Y, metrics=("a", "b"))

    def outcome(config):  # the front is y = 0
        return {"a": config["x"] + config["y"], "b": 1 - config["x"] + config["y"]}

    trials = drive(TPE(), study, 80, outcome)
    late = [t.config for t in trials[40:]]
    assert np.median([config["y"] for config in late]) < 0.15
    thirds = np.histogram([config["x"] for config in late], bins=3, range=(0, 1))[0]
    assert thirds.min() >= 4


def test_the_first_trials_are_sobol_points_and_then_it_says_what_it_saw():
    trials = drive(TPE(initial=5), problem(X, Y), 8, lambda config: {"loss": config["x"]})
    assert [t.origin["by"] for t in trials] == ["sobol"] * 5 + ["tpe"] * 3
    assert trials[-1].origin.keys() == {"by", "acquisition", "seen", "model_trials", "good"}
    assert (trials[-1].origin["seen"], trials[-1].origin["good"]) == (7, 1)


def test_true_is_not_one_where_configs_are_compared():
    study = problem(ChoiceParameter(name="c", choices=(True, 1, False)))
    tried = [
        Trial(number=k, config={"c": c}, state=TrialState.COMPLETED, values={"loss": 1.0})
        for k, c in enumerate((True, False))
    ]
    batch = TPE(initial=1).suggest(History(problem=study, trials=tried), 1)
    assert [suggestion.config["c"] is True for suggestion in batch.suggestions] == [False]
    assert batch.suggestions[0].origin["by"] == "tpe"
    assert proposed(batch) == ['{"c":1}']
