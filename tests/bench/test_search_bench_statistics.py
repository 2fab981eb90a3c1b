"""What the search benchmark makes of values: scores, intervals, hypervolumes, who is best."""

import numpy as np
import pytest

from bench.search.bootstrap import difference, mean_score
from bench.search.hypervolume import hypervolume
from bench.search.score import Reference
from bench.search.solvers import Arm, Rival
from bench.search.table import (
    Plan,
    against_each_rival,
    best_rival,
    differences,
    group_rows,
    overall_rows,
)
from bench.search.tasks.task import Task, real


def test_scores_are_0_at_the_random_median_and_1_at_the_best_known():
    reference = Reference(random_median=5.0, best_known=-3.0)
    assert reference.score(5.0) == 0.0
    assert reference.score(-3.0) == 1.0
    assert reference.score(1.0) == 0.5
    assert reference.score(13.0) == -1.0


def test_a_task_weighs_the_same_however_many_seeds_it_ran_with():
    scores = {"a": {1: 0.0, 2: 0.0, 3: 0.0}, "b": {1: 1.0}}
    found = mean_score([scores])
    assert (found.mean, found.tasks) == (0.5, 2)


def test_the_interval_is_nothing_wide_where_nothing_varies():
    found = mean_score([{f"t{k}": {1: 0.25, 2: 0.25} for k in range(5)}])
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


def test_the_interval_over_tasks_is_that_of_the_plain_bootstrap():
    """One seed a task leaves one level: mean +- 1.96 s / sqrt(n), to within 5%.

    The relative error of a 2.5% quantile over 10,000 resamples is about 2%.
    """
    values = np.random.default_rng(1).normal(size=200)
    found = mean_score([{f"t{k}": {1: float(v)} for k, v in enumerate(values)}])
    half = 1.96 * values.std() / np.sqrt(200)
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.mean == pytest.approx(half, rel=0.05)
    assert found.mean - found.low == pytest.approx(half, rel=0.05)


def test_the_interval_adds_the_variance_of_seeds_to_that_of_tasks():
    """Between tasks s.d. 1, within them 1 over 4 seeds: the mean's variance is (1 + 1/4 + 1/4) / n.

    A drawn task's mean already holds the noise of its seeds once, and resampling them adds it
    again: the two-level bootstrap errs on the wide side, by that quarter, which is known of it.
    """
    rng = np.random.default_rng(2)
    tasks = {
        f"t{k}": dict(enumerate(rng.normal() + rng.normal(size=4).astype(float)))
        for k in range(200)
    }
    found = mean_score([tasks])
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(1.5 / 200), rel=0.1)


def test_groups_keep_their_share_of_the_tasks():
    """Between groups nothing is resampled: two groups of constants have no interval."""
    found = mean_score([{"a": {1: 0.0}, "b": {1: 0.0}}, {"c": {1: 1.0}}])
    assert found.mean == pytest.approx(1 / 3)
    assert found.low == pytest.approx(found.high)


def test_differences_are_paired_by_task_and_seed():
    rng = np.random.default_rng(3)
    theirs = {f"t{k}": {s: float(rng.normal(0, 10)) for s in range(3)} for k in range(10)}
    ours = {task: {s: v + 0.1 for s, v in seeds.items()} for task, seeds in theirs.items()}
    ours["t0"] = {0: theirs["t0"][0] + 0.1}  # two seeds that only they ran
    ours["mine alone"] = {0: 99.0}
    found = difference([ours], [theirs])
    assert found.mean == pytest.approx(0.1)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))
    assert found.tasks == 10


def test_no_scores_are_no_mean():
    with pytest.raises(ValueError, match="at least one task"):
        mean_score([{}])


def test_the_hypervolume_of_boxes_in_one_to_four_dimensions():
    assert hypervolume([(0.25,)], (1.0,)) == 0.75
    assert hypervolume([(0.0, 0.5), (0.5, 0.0)], (1.0, 1.0)) == 0.75
    assert hypervolume([(0.0, 0.5), (0.5, 0.0), (0.6, 0.6)], (1.0, 1.0)) == 0.75
    assert hypervolume([(0.5, 0.5, 0.5)], (1.0, 1.0, 1.0)) == 0.125
    assert hypervolume([(0, 0, 0.5), (0, 0.5, 0), (0.5, 0, 0)], (1, 1, 1)) == 0.875
    assert hypervolume([(0, 0, 0, 0.5), (0.5, 0, 0, 0)], (1, 1, 1, 1)) == 0.75
    assert hypervolume([(2.0, 0.0)], (1.0, 1.0)) == 0.0
    assert hypervolume([], (1.0, 1.0)) == 0.0


def test_the_hypervolume_agrees_with_counting_random_points():
    """200,000 points: the standard error of a share is at most 0.0011; six of them are allowed."""
    rng = np.random.default_rng(4)
    points = rng.random((12, 3))
    darts = rng.random((200_000, 3))
    share = (darts[:, None, :] >= points).all(2).any(1).mean()
    assert hypervolume([tuple(p) for p in points.tolist()], (1, 1, 1)) == pytest.approx(
        share, abs=0.0067
    )


def test_equal_points_count_once():
    assert hypervolume([(0.5, 0.5, 0.5)] * 3, (1, 1, 1)) == 0.125


RIVAL = Rival("nowhere", (), ("none.py",))
PLAN = Plan(
    arms=[
        Arm("trimtab-core", "1", ()),
        Arm("strong", "1", (), rival=RIVAL),
        Arm("weak", "1", (), rival=RIVAL),
        Arm("random", "1", ()),
    ],
    tasks=[Task(name=name, space=[real("x", 0, 1)]) for name in ("g/a", "g/b", "h/c")],
    seeds=[1, 2],
)


def _table(**means: float) -> dict[str, dict[str, dict[str, dict[int, float]]]]:
    return {
        name.replace("_", "-"): {
            "g": {"g/a": {1: mean, 2: mean}, "g/b": {1: mean, 2: mean}},
            "h": {"h/c": {1: mean, 2: mean}},
        }
        for name, mean in means.items()
    }


def test_the_best_rival_is_a_rival_and_may_differ_between_groups():
    table = _table(trimtab_core=0.5, strong=0.4, weak=0.1, random=0.9)
    table["weak"]["h"]["h/c"] = {1: 0.7, 2: 0.7}
    assert best_rival(PLAN, group_rows(PLAN, table, "g")) == "strong"
    assert best_rival(PLAN, group_rows(PLAN, table, "h")) == "weak"
    found = differences(PLAN, table)["trimtab-core"]
    assert found["g"]["difference"] == pytest.approx(0.1)
    assert found["h"]["difference"] == pytest.approx(-0.2)
    assert found["overall"]["best_rival"] == "strong"


def test_a_solver_with_missing_studies_has_no_overall_score():
    table = _table(trimtab_core=0.5, strong=0.4, weak=0.1, random=0.0)
    del table["strong"]["h"]["h/c"][2]
    assert set(overall_rows(PLAN, table)) == {"trimtab-core", "weak", "random"}
    assert differences(PLAN, table)["trimtab-core"]["overall"]["best_rival"] == "weak"


def test_who_has_run_the_easy_tasks_only_is_not_the_best_rival():
    table = _table(trimtab_core=0.5, strong=0.4, weak=0.1, random=0.0)
    table["weak"]["g"] = {"g/a": {1: 0.9, 2: 0.9}}
    assert differences(PLAN, table)["trimtab-core"]["g"]["best_rival"] == "strong"
    del table["strong"]["g"]["g/b"][1]
    assert differences(PLAN, table)["trimtab-core"]["g"]["best_rival"] == "weak"


def test_each_rival_is_compared_where_both_have_played():
    table = _table(trimtab_core=0.5, strong=0.4, weak=0.1, random=0.0)
    del table["strong"]["h"]["h/c"]
    found = against_each_rival(PLAN, table)["trimtab-core"]
    assert set(found) == {"strong", "weak"}
    assert set(found["strong"]) == {"g", "overall"}
    assert found["strong"]["overall"]["difference"] == pytest.approx(0.1)
    assert (found["strong"]["overall"]["tasks"], found["weak"]["overall"]["tasks"]) == (2, 3)
    assert found["weak"]["h"]["difference"] == pytest.approx(0.4)
