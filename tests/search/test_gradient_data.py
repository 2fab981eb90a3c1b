"""From what was told to what a model learns: signs, units, warps, and what is left out."""

import math

import numpy as np
import pytest

from search.bayes.gradient_data import STEEPEST, Softened, taught_by
from search.encoding import Cube
from search.errors import InvalidConfig, InvalidProblem
from search.gradients import check_gradients, differentiable
from search.outcomes import lessons
from search.parameters import ChoiceParameter, Condition, FloatParameter, IntParameter
from search.problem import Objective, Problem
from search.scales import scale_of, stretch
from search.space import SearchSpace
from search.trial import Trial, TrialState

LR = FloatParameter(name="lr", low=1e-4, high=1, log=True)
DROPOUT = FloatParameter(name="dropout", low=0, high=0.9, step=0.1)
LAYERS = IntParameter(name="layers", low=1, high=3)
OPTIMIZER = ChoiceParameter(name="optimizer", choices=["adam", "sgd", "lion"])
MOMENTUM = FloatParameter(
    name="momentum", low=-1, high=3, when=[Condition(parameter="optimizer", values=["sgd"])]
)
FIXED = FloatParameter(name="fixed", low=2, high=2)
SPACE = SearchSpace(parameters=[OPTIMIZER, LR, LAYERS, DROPOUT, MOMENTUM, FIXED])
ADAM = {"optimizer": "adam", "lr": 0.01, "layers": 2, "dropout": 0.3, "fixed": 2.0}
SGD = {**ADAM, "optimizer": "sgd", "momentum": 0.5}


def problem(goal: str = "minimize", space: SearchSpace = SPACE) -> Problem:
    objective = Objective(metric="loss", goal=goal, gradients=True)  # type: ignore[arg-type]
    return Problem(space=space, objectives=[objective])


def trial(number: int, config, value: float, state=TrialState.COMPLETED, **slopes: float) -> Trial:
    return Trial(
        number=number, config=config, state=state, values={"loss": value}, gradients=slopes
    )


def learned(study: Problem, *trials: Trial):
    """The derivatives of y by parameter and trial, and the scale of y."""
    cube = Cube(study.space)
    taught = lessons(study, trials)
    known, units = taught_by(study, trials, taught, cube)
    names = [study.space.parameters[cube.free[owner]].name for owner in cube.owners]
    found = {
        (taught[place].number, names[column]): slope
        for place, column, slope in zip(known.at, known.along, known.slopes, strict=True)
    }
    return found, units, known


@pytest.mark.parametrize(
    ("parameter", "value"), [(LR, 0.02), (LR, 1e-4), (MOMENTUM, 0.3), (DROPOUT, 0.3)]
)
def test_a_parameter_stretches_as_its_scale_does(parameter, value):
    scale = scale_of(parameter)
    step = parameter.step or 1e-6 * value
    ahead = parameter.check(value + step)
    by_differences = (ahead - value) / (scale.unit(ahead) - scale.unit(value))
    assert stretch(parameter, value) == pytest.approx(by_differences, rel=1e-5)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_derivatives_are_those_of_what_the_model_sees(goal):
    """Against differences of the whole way from a value of the parameter to the model's y."""
    study, sign = problem(goal), 1 if goal == "minimize" else -1

    def metric(lr: float, momentum: float) -> float:
        return sign * (3 * math.log(lr) ** 2 + momentum**3 + 40)

    configs = [{**SGD, "lr": 0.5**k, "momentum": 0.7 * k - 1} for k in range(1, 5)]
    trials = [
        trial(
            k,
            config,
            metric(config["lr"], config["momentum"]),
            lr=sign * 6 * math.log(config["lr"]) / config["lr"],
            momentum=sign * 3 * config["momentum"] ** 2,
        )
        for k, config in enumerate(configs)
    ]
    found, units, _ = learned(study, *trials)
    assert len(found) == 8
    for (number, name), slope in found.items():
        config, eps = configs[number], 1e-6
        scale = scale_of(LR if name == "lr" else MOMENTUM)
        u = scale.unit(config[name])
        ends = [{**config, name: scale.value(u + side)} for side in (-eps, eps)]
        low, high = units.y([sign * metric(c["lr"], c["momentum"]) for c in ends])
        assert slope == pytest.approx((high - low) / (2 * eps), rel=1e-4), (number, name)


def test_the_scale_of_the_model_is_undone_exactly():
    losses = [0.1, 0.2, 0.25, 0.3, 0.9, 5.0, 1e12, math.inf]
    units = Softened.of(losses[:-1], [])
    y = units.y(losses[:-1])
    assert np.all(np.diff(y) > 0)
    assert (y.mean(), y.std()) == pytest.approx((0, 1))
    assert [units.loss(each) for each in y] == pytest.approx(losses[:-1], rel=1e-6)
    # Good losses keep their scale, and bad ones do not crush it.
    assert y[3] - y[2] == pytest.approx(0.5 * (y[2] - y[0]) * 2 / 3)
    assert y[3] - y[0] > 0.02
    for loss in losses[:6]:
        ahead, behind = units.y([loss + 1e-6, loss - 1e-6])
        assert units.rate(loss) == pytest.approx((ahead - behind) / 2e-6, rel=1e-4)


def test_equal_losses_take_their_scale_from_the_derivatives():
    found, units, known = learned(
        problem(), trial(0, SGD, 1e9, momentum=12.0), trial(1, {**SGD, "lr": 0.1}, 1e9)
    )
    assert np.all(known.y == 0)
    # 12 a unit of momentum is 48 over its range.
    assert units.scale == pytest.approx(48 / math.sqrt(12))
    assert found == {(0, "momentum"): pytest.approx(math.sqrt(12))}
    _, units, _ = learned(problem(), trial(0, SGD, 1.0), trial(1, ADAM, 1.0))
    assert units.scale == 1.0


def test_only_what_completed_with_a_loss_of_its_own_has_derivatives():
    slopes = {"lr": 1.0, "dropout": 2.0}
    finite = [trial(k, {**ADAM, "lr": 0.01 * (k + 1)}, k / 3, **slopes) for k in range(3)]
    others = [
        trial(3, ADAM, math.nan, TrialState.INFEASIBLE, **slopes),
        trial(4, ADAM, 0.5, TrialState.FAILED, **slopes),
        trial(5, ADAM, 0.5, TrialState.STOPPED, **slopes),
        trial(6, ADAM, math.inf, **slopes),
        trial(7, ADAM, 0.5, TrialState.RUNNING, **slopes),
    ]
    found, _, known = learned(problem(), *finite, *others)
    assert set(found) == {(k, name) for k in range(3) for name in slopes}
    assert len(known.y) == 7


def test_what_makes_no_sense_is_left_out():
    losses = [trial(k, {**SGD, "dropout": k / 10}, k / 2) for k in range(3)]
    hostile = {
        "lr": math.nan,
        "dropout": math.inf,
        "momentum": 1e300,
        "layers": 1.0,
        "fixed": 1.0,
        "nonsense": 1.0,
    }
    found, _, _ = learned(problem(), *losses, trial(3, SGD, 0.7, **hostile))
    assert found == {}
    found, units, _ = learned(problem(), *losses, trial(3, ADAM, 0.7, momentum=1.0, dropout=0.1))
    assert set(found) == {(3, "dropout")}
    steep = 1.01 * STEEPEST / (units.rate(0.1) * 4)
    found, _, _ = learned(problem(), *losses, trial(3, SGD, 0.1, momentum=steep, dropout=0.1))
    assert set(found) == {(3, "dropout")}


def test_rows_are_capped_by_trials_the_best_among_them():
    rng = np.random.default_rng(0)
    space = SearchSpace(parameters=[FloatParameter(name=f"x{j}", low=0, high=1) for j in range(5)])
    configs = [{f"x{j}": float(u) for j, u in enumerate(rng.random(5))} for _ in range(60)]
    slopes = {f"x{j}": 0.1 * j for j in range(5)}
    trials = [trial(k, c, math.sin(k), **(slopes if k % 2 else {})) for k, c in enumerate(configs)]
    study = problem(space=space)
    known, _ = taught_by(study, trials, lessons(study, trials), Cube(space))
    assert (len(known.y), len(known.slopes)) == (60, 150)
    some = known.some(40, 100, rng)
    assert (len(some.y), some.rows) == (40, 100)
    having, counts = np.unique(some.at, return_counts=True)
    assert len(having) == 12
    assert np.all(counts == 5)
    place = {row.tobytes(): k for k, row in enumerate(known.X)}
    for at, along, slope in zip(some.at, some.along, some.slopes, strict=True):
        whence = place[some.X[at].tobytes()]
        told = known.slopes[(known.at == whence) & (known.along == along)]
        assert told.tolist() == [slope]
    assert some.y.min() == known.y.min()
    assert some.y[having].min() <= np.sort(some.y)[3]
    everything = known.some(500, 1000, rng)
    assert np.array_equal(everything.slopes, known.slopes)
    assert everything.rows == known.rows
    assert not len(known.some(40, 100, rng).without_slopes().slopes)


def test_a_derivative_is_of_an_active_float():
    study = problem()
    assert differentiable(study) == ["lr", "dropout", "momentum", "fixed"]
    check_gradients(study, SGD, {"lr": 1e300, "momentum": 0, "dropout": -1.5, "fixed": 3})
    for config, name, value, message in (
        (SGD, "lrr", 1.0, "not a parameter"),
        (SGD, "layers", 1.0, "int"),
        (SGD, "optimizer", 1.0, "choice"),
        (ADAM, "momentum", 1.0, "not active"),
        (SGD, "lr", math.nan, "finite"),
        (SGD, "lr", math.inf, "finite"),
        (SGD, "lr", True, "finite number"),
        (SGD, "lr", "1", "finite number"),
    ):
        with pytest.raises(InvalidConfig, match=message) as caught:
            check_gradients(study, config, {"dropout": 0.0, name: value})
        assert caught.value.parameter == name
    plain = Problem(space=SPACE, objectives=[Objective(metric="loss")])
    assert differentiable(plain) == []
    check_gradients(plain, SGD, {})
    with pytest.raises(InvalidConfig, match="does not say that 'loss' has gradients"):
        check_gradients(plain, SGD, {"lr": 1.0})


def test_a_problem_has_them_of_its_only_metric_and_of_floats():
    gradients = Objective(metric="loss", gradients=True)
    with pytest.raises(InvalidProblem, match="only objective"):
        Problem(space=SPACE, objectives=[Objective(metric="b"), gradients])
    with pytest.raises(InvalidProblem, match="float parameters"):
        Problem(space=SearchSpace(parameters=[LAYERS, OPTIMIZER]), objectives=[gradients])
    with pytest.raises(InvalidProblem, match="preference"):
        Objective(metric="taste", goal="maximize", by="preference", gradients=True)
