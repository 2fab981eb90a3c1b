"""Boxes that a front leaves open, and expected hypervolume in closed form, against BoTorch's."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.models import ModelListGP
from botorch.utils.multi_objective.box_decompositions.non_dominated import (
    FastNondominatedPartitioning,
)
from botorch.utils.multi_objective.hypervolume import Hypervolume

from search.bayes.boxes import left_open
from search.bayes.expected_volume import VANISHED, ExpectedVolume
from search.bayes.learned import learned, taught_by
from search.bayes.model import Hyperparameters, build
from search.bayes.scores import Task, evaluated, front_contenders, score_of
from search.bayes.screen import FINALISTS, screen_of
from search.bayes.suggest import alone
from search.bayes.wavering import Wavering
from search.candidates import Candidates
from search.encoding import Cube
from search.parameters import FloatParameter
from search.problem import OutcomeConstraint
from search.searcher import History
from search.searchers.botorch import BoTorch
from tests.contracts.driving import finished, problem


def tensor(rows):
    return torch.tensor(rows, dtype=torch.double)


def fronts(seed, count, points, objectives):
    """Points on a sphere and inside it, some below the reference, some twice."""
    rng = np.random.default_rng(seed)
    drawn = np.abs(rng.standard_normal((count, points, objectives)))
    drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
    drawn[:, ::3] *= 0.6
    drawn[:, 1] = drawn[:, 2]
    return drawn, rng.random((count, points)) < 0.8, np.full(objectives, 0.05)


# ---- boxes


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_a_place_lies_in_one_box_exactly_when_no_point_dominates_it(objectives):
    points, counted, reference = fronts(objectives, 5, 12, objectives)
    boxes = left_open(points, counted, reference)
    places = np.random.default_rng(9).random((400, objectives)) * 1.2 + reference
    for front in range(5):
        mine = boxes.owner == front
        inside = (places[:, None] > boxes.low[mine]) & (places[:, None] <= boxes.high[mine])
        beaten = (places[:, None] <= points[front][counted[front]]).all(axis=2).any(axis=1)
        assert 0 < beaten.sum() < 400
        np.testing.assert_array_equal(inside.all(axis=2).sum(axis=1), ~beaten)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_what_is_left_open_is_what_the_hypervolume_leaves(objectives):
    points, counted, reference = fronts(objectives, 3, 10, objectives)
    boxes = left_open(points, counted, reference)
    lengths = np.clip(boxes.high, None, 1.5) - boxes.low
    for front in range(3):
        left = lengths[boxes.owner == front].prod(axis=1).sum()
        volume = Hypervolume(tensor(reference)).compute(tensor(points[front][counted[front]]))
        assert left + volume == pytest.approx((1.5 - 0.05) ** objectives)


def test_with_two_objectives_there_is_a_box_more_than_the_front_has_points():
    points, counted, reference = fronts(2, 4, 15, 2)
    boxes = left_open(points, counted, reference)
    assert np.all(np.diff(boxes.owner) >= 0)
    for front in range(4):
        kept = {tuple(p) for p in points[front][counted[front]] if (p > reference).all()}
        best = [p for p in kept if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in kept)]
        assert (boxes.owner == front).sum() == len(best) + 1


def test_without_points_everything_above_the_reference_is_open():
    for points in (np.zeros((2, 0, 3)), np.ones((2, 1, 3))):
        counted = np.zeros(points.shape[:2], bool)
        boxes = left_open(points, counted, np.array([0.0, 1.0, 2.0]))
        assert boxes.low.tolist() == [[0.0, 1.0, 2.0]] * 2
        assert np.isinf(boxes.high).all()


# ---- expected hypervolume improvement


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_expected_hypervolume_improvement_is_that_of_botorch(objectives):
    rng = np.random.default_rng(objectives)
    X, new = tensor(rng.random((12, 2))), tensor(rng.random((30, 2)))
    at = Hyperparameters(lengths=(0.5, 0.7), noise=0.3)
    models = [build(X, tensor(rng.standard_normal(12)), [0, 1], at) for _ in range(objectives)]
    points, counted, reference = fronts(objectives, 1, 8, objectives)
    theirs = ExpectedHypervolumeImprovement(
        model=ModelListGP(*models),
        ref_point=reference.tolist(),
        partitioning=FastNondominatedPartitioning(tensor(reference), tensor(points[0, counted[0]])),
    )
    with torch.no_grad():
        expected = theirs(new[:, None])
        posterior = ModelListGP(*models).posterior(new)
    mean, sd = posterior.mean.detach().numpy(), posterior.variance.detach().sqrt().numpy()
    ours = ExpectedVolume(left_open(points, counted, reference)).log(mean, sd)
    likely = expected > 1e-8  # below that theirs is what rounding left
    assert likely.sum() >= 10
    assert expected.max() > 10 * expected[likely].min()
    np.testing.assert_allclose(ours[likely], expected[likely].log(), atol=1e-6)
    assert np.all(ours[~likely] < math.log(2e-8))


def test_of_what_is_certain_it_is_the_volume_gained():
    points, reference = np.array([[[0.0, 2.0], [1.0, 1.0]]]), np.array([-1.0, -1.0])
    volume = ExpectedVolume(left_open(points, np.ones((1, 2), bool), reference))
    mean = np.array([[2.0, 0.0], [1.5, 1.5], [0.5, 1.5]])
    found = np.exp(volume.log(mean, np.full((3, 2), 1e-9)))
    # The second covers 2.5 x 2.5, of which the points have 1 x 2.5 and 2 x 2, and 1 x 2 in common.
    np.testing.assert_allclose(found, [1.0, 6.25 - (2.5 + 4 - 2), 0.25], rtol=1e-6)


def test_what_is_hopeless_is_finite_and_the_worse_the_less_hope():
    points, reference = np.array([[[0.0, 2.0], [1.0, 1.0]]]), np.array([-1.0, -1.0])
    volume = ExpectedVolume(left_open(points, np.ones((1, 2), bool), reference))
    below = np.array([0.0, 1.0, 3.0, 10.0, 100.0, 1e4])
    found = volume.log(np.stack([1 - below, 0.5 - below], axis=1), np.full((6, 2), 0.05))
    assert np.isfinite(found).all()
    assert np.all(np.diff(found) < 0)
    assert found[2] < math.log(VANISHED) < found[1]


def test_many_points_in_chunks_are_worth_what_each_is_alone(monkeypatch):
    points, counted, reference = fronts(3, 1, 10, 3)
    volume = ExpectedVolume(left_open(points, counted, reference))
    rng = np.random.default_rng(0)
    mean, sd = rng.random((40, 3)), 0.1 + rng.random((40, 3))
    whole = volume.log(mean, sd)
    monkeypatch.setattr("search.bayes.expected_volume.CHUNK", 7 * volume.numbers)
    np.testing.assert_array_equal(volume.log(mean, sd), whole)
    assert len(volume.log(mean[:0], sd[:0])) == 0


# ---- screening


def arc(config):
    """A front of (a, b) that is convex where y is 0, and a metric that bounds x from below."""
    x, y = config["x"], config["y"]
    return {"a": x + y, "b": (1 - x) ** 2 + y**2, "c": 1 - x + 0.2 * y}


def task_of(study, *, pending=()):
    """What a score is made for after 20 trials."""
    history, rng = History(problem=study, trials=finished(study, arc, 20)), np.random.default_rng(0)
    cube = Cube(study.space)
    known = learned(BoTorch(), cube, history, taught_by(history), rng)
    wavering = Wavering(cube, None, None, 0)
    return Task(
        learned=known,
        wavering=wavering,
        candidates=Candidates(cube, known.rows, rng),
        pending=np.array(pending).reshape(-1, 2),
        reference=tensor([-2.0, -2.0]),
        contenders=front_contenders(known, wavering, 0),
        seed=0,
    )


XY = [FloatParameter(name=name, low=0, high=1) for name in "xy"]
CONSTRAINTS = {"free": [], "bounded": [OutcomeConstraint(metric="c", at_most=0.7)]}


@pytest.mark.parametrize("constraints", CONSTRAINTS.values(), ids=CONSTRAINTS)
@pytest.mark.parametrize("pending", [(), [(0.35, 0.01), (0.8, 0.01)]], ids=["none", "pending"])
def test_the_best_by_the_noisy_acquisition_is_as_good_among_the_finalists(constraints, pending):
    rows = np.random.default_rng(1).random((2000, 2))
    rows[1000:, 1] *= 0.05
    with alone(seed=0):
        task = task_of(
            problem(*XY, objectives=("a", "b"), constraints=constraints), pending=pending
        )
        screened = evaluated(screen_of("log_nehvi", task), task.wavering)(rows)
        noisy = evaluated(score_of("log_nehvi", task), task.wavering)(rows)
    finalists = np.argsort(-screened)[:FINALISTS]
    assert noisy[finalists].max() > noisy.max() - 0.1
    assert np.median(noisy) < noisy[finalists].min() - 1


def test_the_screen_keeps_away_from_what_is_pending():
    row = np.array([[0.5, 0.0]])
    study = problem(*XY, objectives=("a", "b"))
    with alone(seed=0):
        free, near = task_of(study), task_of(study, pending=[(0.5, 0.001)])
        before, after = (
            evaluated(screen_of("log_nehvi", task), task.wavering)(row)[0] for task in (free, near)
        )
    assert after < before - 2


def test_what_has_no_closed_form_is_not_screened():
    study = problem(*XY, objectives=("a", "b"))
    task = task_of(study)
    assert screen_of("parego", task) is None
    wavering = Wavering(task.learned.cube, {"x": 0.05}, None, 0)
    assert screen_of("log_nehvi", replace(task, wavering=wavering)) is None
