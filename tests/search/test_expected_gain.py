"""What there is left to gain, as suggestions say it, and which searchers do."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from search.foresight import foresees
from search.gp.ensemble import PLAIN
from search.gp.joint import Joint
from search.gp.known import Known
from search.normal import Normal
from search.outcomes import lessons
from search.parameters import FloatParameter
from search.problem import Objective, OutcomeConstraint, Problem
from search.searcher import History
from search.searchers.auto import AutoSearcher
from search.searchers.botorch import BoTorch
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.space import SearchSpace
from search.trial import Trial, TrialState

SPACE = SearchSpace(parameters=[FloatParameter(name=name, low=0, high=1) for name in "xy"])


def problem(goal="minimize"):
    return Problem(space=SPACE, objectives=[Objective(metric="loss", goal=goal)], seed=5)


def history(scale=1.0, goal="minimize", count=12):
    configs = SPACE.sample(np.random.default_rng(1), count)
    trials = [
        Trial(number=n, config=config, state=TrialState.COMPLETED,
              values={"loss": scale * ((config["x"] - 0.37) ** 2 + config["y"])})
        for n, config in enumerate(configs)
    ]  # fmt: skip
    return History(problem=problem(goal), trials=trials)


def gain(searcher, asked):
    return searcher.suggest(asked, 1).suggestions[0].origin["expected_gain"]


def test_it_is_the_largest_expected_improvement_of_the_plain_members():
    asked = history()
    joint, taught = Joint.of(asked.problem), lessons(asked.problem, asked.trials)
    cube = joint.cube
    rows = cube.encode(lesson.config for lesson in taught)
    known = Known.of(joint, taught, rows, [False] * len(taught))
    ensemble, aims = known.ensemble(known.fit(360, asked.rng()))
    side = np.linspace(0, 1, 81)
    rows = np.array([(x, y) for x in side for y in side])
    improvement = []
    for member in ensemble.members[:PLAIN]:
        belief = member.believe(cube.features(rows))
        z = (member.best - belief.mean) / belief.sd
        improvement.append(belief.sd * (norm.pdf(z) + z * norm.cdf(z)))
    largest = float(np.mean(improvement, axis=0).max()) * aims.plain.scale
    assert gain(GP(), asked) == pytest.approx(largest, rel=0.05)
    assert gain(GP(), asked) <= largest * 1.01


@pytest.mark.parametrize("searcher", [GP(), BoTorch()], ids=lambda searcher: searcher.kind)
def test_it_is_in_units_of_the_metric(searcher):
    assert gain(searcher, history(1000.0)) == pytest.approx(
        1000 * gain(searcher, history()), rel=1e-3
    )
    assert gain(searcher, history(-1.0, goal="maximize")) == pytest.approx(
        gain(searcher, history())
    )


def believing(asked):
    """The same history, with a belief that `x` is good near 0.9."""
    x, *rest = asked.problem.space.parameters
    sure = replace(x, prior=Normal(mean=0.9, sd=0.05))
    space = SearchSpace(parameters=[sure, *rest])
    return replace(asked, problem=replace(asked.problem, space=space))


def test_what_the_user_believes_is_no_gain():
    """Less of it the acquisition is the improvement, on the one scale that the history has."""
    scales = []
    for weight in (0.0, 100.0):
        searcher = BoTorch(prior_weight=weight)
        origin = searcher.suggest(believing(history()), 1).suggestions[0].origin
        assert (origin["prior"] == 0) is (weight == 0)
        improvement = origin["acquisition"] - origin["prior"]
        scales.append(math.log(origin["expected_gain"]) - improvement)
    assert scales[0] == pytest.approx(scales[1], abs=1e-9)


def test_two_models_expect_alike():
    assert math.log(gain(GP(), history()) / gain(BoTorch(), history())) == pytest.approx(0, abs=1.0)


def test_it_falls_as_a_study_goes_on():
    trials, gains = [], []
    for number in range(30):
        asked = History(problem=problem(), trials=trials, batch=number)
        (suggestion,) = AutoSearcher().suggest(asked, 1).suggestions
        gains.append(suggestion.origin.get("expected_gain"))
        loss = (suggestion.config["x"] - 0.37) ** 2 + (suggestion.config["y"] - 0.6) ** 2
        trials.append(Trial(number=number, config=suggestion.config, state=TrialState.COMPLETED,
                            values={"loss": loss}))  # fmt: skip
    assert set(gains[:10]) == {None}
    assert max(gains[10:12]) > 20 * max(gains[-5:])
    assert 0 < min(gains[10:]) < max(gains[-5:]) < 1e-3


def test_botorch_names_the_nearest_trial():
    asked = history()
    (suggestion,) = BoTorch().suggest(asked, 1).suggestions
    away = [math.dist(trial.config.values(), suggestion.config.values()) for trial in asked.trials]
    # Nearest by the model's own length scales: not far from the nearest by any.
    assert away[suggestion.origin["nearest"]] <= sorted(away)[2]


def test_who_foresees():
    one, believed = problem(), believing(history()).problem
    assert [foresees(searcher, believed) for searcher in (GP(), BoTorch())] == [True, False]
    for searcher in (GP(), BoTorch(), AutoSearcher(), Phased(first=Sobol(), then=GP(), after=4)):
        assert foresees(searcher, one)
    for searcher in (Random(), Sobol(), Grid(), Phased(first=GP(), then=Random(), after=4)):
        assert not foresees(searcher, one)
    two = Problem(space=SPACE, objectives=[Objective(metric="a"), Objective(metric="b")])
    bound = OutcomeConstraint(metric="memory", at_most=1)
    held = Problem(space=SPACE, objectives=[Objective(metric="a")], constraints=[bound])
    for searcher in (GP(), BoTorch(), AutoSearcher()):
        assert not foresees(searcher, two)
        assert not foresees(searcher, held)
