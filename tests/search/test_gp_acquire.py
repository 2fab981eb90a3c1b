"""Choosing the points of a batch."""

from itertools import pairwise

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from search.candidates import Candidates
from search.encoding import Cube
from search.gp.acquire import POOL_SERVES, Effort, choose
from search.gp.ensemble import MEMBERS, Aims, Ensemble
from search.gp.fit import Hyperparameters
from search.gp.improvement import log_expected_improvement
from search.gp.threads import one_thread
from tests.contracts.spaces import space

AT = [Hyperparameters(lengths=(0.2,), noise=1e-4)] * 4
CUBE = Cube(space("float"))
ROWS = np.array([[0.0], [0.45], [0.7], [1.0]])
LOSSES = [1.0, -1.0, -0.8, 1.0]


def ensemble():
    return Ensemble.of(AT, ROWS, [0], Aims.of(LOSSES))


def chosen(count, model=None, **changes):
    candidates = Candidates(CUBE, CUBE.encode([]), np.random.default_rng(0))
    given = {"best": ROWS[[1, 2, 0, 3]], "count": count, "rows": 2100} | changes
    return list(choose(model or ensemble(), candidates, **given))


def test_the_acquisition_is_the_mean_of_the_members_expected_improvements():
    model = ensemble()
    new = np.linspace(0.05, 0.95, 7)[:, None]
    beliefs = model.believe(new)
    each = [
        np.exp(log_expected_improvement(belief.mean, belief.sd, member.best))
        for member, belief in zip(model.members, beliefs, strict=True)
    ]
    assert len(each) == len(MEMBERS)
    np.testing.assert_allclose(np.exp(model.acquisition(beliefs)), np.mean(each, axis=0))


def test_the_maximum_is_that_of_a_fine_grid():
    model = ensemble()
    grid = np.linspace(0, 1, 5001)[:, None]
    values = model.acquisition(model.believe(grid))
    (pick,) = chosen(1)
    assert pick.acquisition == pytest.approx(values.max(), abs=1e-3)
    assert pick.row[0] == pytest.approx(grid[values.argmax(), 0], abs=0.01)


def test_a_batch_is_chosen_as_if_each_point_were_pending_for_the_next():
    picks = chosen(POOL_SERVES + 4)
    model = ensemble()
    for before, after in pairwise(picks):
        value = model.acquisition(model.believe(before.features))
        assert before.acquisition == pytest.approx(value[0], abs=1e-8)
        model = model.pending(before.features)
        again = model.acquisition(model.believe(after.features))
        assert after.acquisition == pytest.approx(again[0], abs=1e-8)
    assert len({pick.row[0] for pick in picks}) == len(picks)
    values = [pick.acquisition for pick in picks]
    assert all(after < before + 1e-3 for before, after in pairwise(values))


def test_pending_points_keep_others_away():
    (alone,) = chosen(1)
    (beside,) = chosen(1, ensemble().pending(alone.features))
    assert 0.5 < alone.row[0] < 0.65
    assert abs(beside.row[0] - alone.row[0]) > 0.03


def test_the_work_is_shared_out_as_it_was_measured():
    assert Effort.of(2100) == Effort(uniform=1000, near=60, local=20)
    assert Effort.of(100) == Effort(uniform=47, near=2, local=1)


def test_one_thread_computes_and_as_many_as_before_afterwards():
    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    with one_thread():
        assert set(threads()) == {1}
    assert threads() == before
