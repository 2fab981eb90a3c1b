"""The random forest: what its trees predict together, and what the searcher makes of it."""

from dataclasses import replace

import numpy as np
import pytest

from search.candidates import Candidates
from search.encoding import Cube
from search.forest.model import ABSENT, Forest, Tree, features_of
from search.forest.suggest import MODEL_POINTS, Study
from search.parameters import ChoiceParameter, Condition, FloatParameter
from search.problem import Objective, Problem
from search.searcher import History
from search.searchers.forest import Forest as Searcher
from search.searchers.random import Random
from search.space import SearchSpace
from search.targets import targets
from search.trial import Trial, TrialState
from tests.contracts.searchers import proposed
from tests.contracts.spaces import space


class Halves:
    """The nodes of a tree with two leaves, for points below and above a place."""

    def __init__(self, place):
        self.place = place

    def apply(self, features):
        return (features[:, 0] > self.place).astype(int)


def test_mean_and_variance_are_those_of_the_mixture_of_the_leaves():
    trees = [
        Tree(Halves(0.5), np.array([1.0, 3.0]), np.array([0.5, 0.25])),
        Tree(Halves(0.2), np.array([2.0, 7.0]), np.array([0.1, 0.75])),
    ]
    mean, sd = Forest(trees).predict(np.array([[0.1], [0.3], [0.9]]))
    np.testing.assert_allclose(mean, [1.5, 4.0, 5.0])
    np.testing.assert_allclose(sd**2, [0.3 + 0.25, 0.625 + 9.0, 0.5 + 4.0])


def test_a_leaf_holds_the_mean_and_the_variance_of_what_fell_into_it():
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 3)), rng.standard_normal(60)
    x = np.repeat(x[:20], 3, axis=0)  # repeats cannot be split: their leaves keep a variance
    forest = Forest.of(x, y, 5, np.random.default_rng(7))
    again = np.random.default_rng(7)
    for tree in forest.trees:
        drawn = again.integers(60, size=60)
        again.integers(2**31)
        leaves = tree.leaves(x[drawn].astype(np.float32))
        for leaf in np.unique(leaves):
            inside = y[drawn][leaves == leaf]
            assert tree.means[leaf] == pytest.approx(inside.mean())
            assert tree.variances[leaf] == pytest.approx(inside.var(), abs=1e-12)
        assert tree.variances[leaves].max() > 0.1


def test_it_is_surest_where_it_has_seen_most():
    x = np.concatenate([np.linspace(0, 0.5, 50), [1.0]])[:, None]
    forest = Forest.of(x, np.sin(3 * x[:, 0]), 200, np.random.default_rng(0))
    mean, sd = forest.predict(np.array([[0.25], [0.8]]))
    assert mean[0] == pytest.approx(np.sin(0.75), abs=0.05)
    assert sd[1] > 3 * sd[0]


def test_an_inactive_parameter_lies_below_all_active_ones():
    cube = Cube(space("nested"))
    plain = {"optimizer": "adamw", "lr": 0.1, "layers": 1}
    momentous = plain | {"optimizer": "sgd", "momentum": 0.0, "nesterov": False}
    features = features_of(cube, cube.encode([plain, momentous]))
    names = [cube.space.parameters[cube.free[owner]].name for owner in cube.owners]
    column = names.index("momentum")
    assert features[0, column] == ABSENT < features[1, column] == 0.0
    owned = [name in momentous for name in names]
    assert (features[1, owned] >= 0).all()
    assert (features[1, np.logical_not(owned)] == ABSENT).all()


C = ChoiceParameter(name="c", choices=("a", "b", "c"))
PARAMETERS = (
    C,
    FloatParameter(name="x", low=0, high=1),
    FloatParameter(name="y", low=0, high=1, when=[Condition(parameter="c", values=["a", "b"])]),
)


def bowl(config):
    height = {"a": 0.0, "b": 0.3, "c": 0.2}[config["c"]]
    return height + (config["x"] - 0.3) ** 2 + (config.get("y", 0.5) - 0.8) ** 2


def drive(searcher, seed, count):
    study = Problem(
        space=SearchSpace(parameters=PARAMETERS), objectives=[Objective(metric="loss")], seed=seed
    )
    trials = []
    for number in range(count):
        batch = searcher.suggest(History(problem=study, trials=trials, batch=number), 1)
        config, origin = batch.suggestions[0].config, batch.suggestions[0].origin
        values = {"loss": bowl(config)}
        state = TrialState.COMPLETED
        trials.append(
            Trial(number=number, config=config, state=state, values=values, origin=origin)
        )
    return History(problem=study, trials=trials, batch=count)


def test_it_finds_better_configs_than_chance():
    best = {
        searcher.kind_of(): np.mean(
            [min(t.values["loss"] for t in drive(searcher, s, 40).trials) for s in range(3)]
        )
        for searcher in (Searcher(trees=12, candidates=600), Random())
    }
    assert best["forest"] < 0.2 * best["random"]


def test_a_running_trial_is_taken_to_end_as_expected():
    cube = Cube(SearchSpace(parameters=[FloatParameter(name="x", low=0, high=1)]))
    rows = np.array([[0.1], [0.2], [0.3], [0.9]])
    asked = Problem(space=cube.space, objectives=[Objective(metric="loss")])
    sds, means = [], []
    for pending in (np.empty((0, 1)), np.full((4, 1), 0.6)):
        study = Study(
            settings=Searcher(trees=400),
            candidates=Candidates(cube, rows, np.random.default_rng(0)),
            rows=rows,
            pending=pending,
            aims=targets([0.0, 1.0, 2.0, 4.0]),
            history=History(problem=asked),
            numbers=range(4),
        )
        mean, sd = study.grow().predict(np.array([[0.6]]))
        means.append(float(mean[0]))
        sds.append(float(sd[0]))
    assert sds[1] < 0.6 * sds[0]
    assert means[1] == pytest.approx(means[0], abs=0.2)


def test_parallel_suggestions_are_not_the_same():
    batch = Searcher().suggest(drive(Searcher(trees=12, candidates=600), 0, 25), 12)
    assert len(set(proposed(batch))) == 12


def test_a_maximised_metric_is_predicted_with_its_sign():
    history = drive(Searcher(trees=12, candidates=600), 0, 25)
    up = replace(history.problem, objectives=[Objective(metric="loss", goal="maximize")])
    turned = [replace(t, values={"loss": -t.values["loss"]}) for t in history.trials]
    (a,) = Searcher().suggest(history, 1).suggestions
    (b,) = Searcher().suggest(replace(history, problem=up, trials=turned), 1).suggestions
    assert a.config == b.config
    assert a.origin["mean"] == pytest.approx(-b.origin["mean"])
    assert a.origin["sd"] == pytest.approx(b.origin["sd"])


def test_it_looks_at_a_bounded_number_of_trials(monkeypatch):
    sizes = []
    grow = Forest.of

    def watched(features, y, trees, rng):
        sizes.append(len(y))
        return grow(features, y, trees, rng)

    monkeypatch.setattr(Forest, "of", watched)
    history = drive(Random(), 0, 20)
    many = [replace(history.trials[k % 20], number=k) for k in range(3 * MODEL_POINTS)]
    batch = Searcher(trees=4, candidates=100).suggest(replace(history, trials=many), 20)
    assert len(batch.suggestions) == 20
    assert max(sizes) <= MODEL_POINTS + 20
    assert len(sizes) <= 16
