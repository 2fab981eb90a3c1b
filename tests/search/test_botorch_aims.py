"""BoTorch that minds costs and noise on its inputs, looks ahead, and refuses what does not fit."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from search.bayes.wavering import MOVES, Wavering
from search.best import best_trial
from search.encoding import Cube
from search.errors import InvalidSettings, UnsupportedProblem
from search.parameters import ChoiceParameter, Condition, FloatParameter, IntParameter
from search.problem import OutcomeConstraint
from search.registry import SearcherSettings, check_supported
from search.searcher import History
from search.searchers.aims import Cost, Risk
from search.searchers.botorch import BoTorch
from search.searchers.phased import Phased
from search.searchers.sobol import Sobol
from search.trial import Measurement
from tests.contracts.driving import completed, finished, play, problem
from tests.contracts.searchers import proposed

X, Y = (FloatParameter(name=name, low=0, high=1) for name in "xy")
KIND = ChoiceParameter(name="kind", choices=("a", "b", "c"))
M = FloatParameter(name="m", low=0, high=1, when=[Condition(parameter="kind", values=["b"])])
N = IntParameter(name="n", low=1, high=256, log=True)
QUICK = BoTorch(candidates=400, fit_evaluations=40)


def best(study, trials):
    return best_trial(study, trials).values["loss"]


# ---- cost


def priced(config):
    return {"loss": (config["y"] - 0.4) ** 2, "price": math.exp(3 * config["x"])}


def test_of_equals_the_cheap_one_is_tried():
    study = problem(X, Y, KIND)
    history = History(problem=study, trials=finished(study, priced, 16))
    aware = replace(QUICK, cost=Cost(metric="price")).suggest(history, 4).suggestions
    prices = [priced(s.config)["price"] for s in aware]
    unaware = [priced(s.config)["price"] for s in QUICK.suggest(history, 4).suggestions]
    assert sum(prices) < 0.5 * sum(unaware)
    assert all(abs(s.config["y"] - 0.4) < 0.15 for s in aware)
    assert [s.origin["cost"] for s in aware] == pytest.approx(prices, rel=0.2)


def test_acquisition_falls_with_the_logarithm_of_the_cost():
    """The closed form: log(EI / c^p) = log EI - p log c, for the same draws and the same point."""
    study = problem(X, constraints=[OutcomeConstraint(metric="loss", at_most=100)])
    trials = finished(study, lambda c: {"loss": (c["x"] - 0.4) ** 2, "price": 7.0}, 12)
    history = History(problem=study, trials=trials)
    plain, once, twice = (
        replace(QUICK, cost=cost).suggest(history, 1).suggestions[0]
        for cost in (
            Cost(metric="price", power=0),
            Cost(metric="price"),
            Cost(metric="price", power=2),
        )
    )
    assert plain.config == once.config == twice.config
    gap = plain.origin["acquisition"] - once.origin["acquisition"]
    assert gap == pytest.approx(math.log(7), rel=1e-6)
    assert plain.origin["acquisition"] - twice.origin["acquisition"] == pytest.approx(2 * gap)


def test_the_power_of_the_cost_cools_down():
    cost = Cost(power=1.5, cooling=20)
    assert [cost.power_after(n) for n in (0, 10, 20, 40)] == [1.5, 0.75, 0, 0]
    assert Cost().power_after(10**6) == 1


def test_seconds_are_the_time_of_the_last_measurement():
    study = problem(X, Y)
    trials = [
        replace(
            trial,
            values={"loss": trial.values["loss"]},
            measurements=[
                Measurement(step=k, values={"loss": 1.0}, elapsed_seconds=k * trial.values["price"])
                for k in (1, 2)
            ],
        )
        for trial in finished(study, priced, 12)
    ]
    aware = replace(QUICK, cost=Cost())
    (suggestion,) = aware.suggest(History(problem=study, trials=trials), 1).suggestions
    told = 2 * priced(suggestion.config)["price"]
    assert suggestion.origin["cost"] == pytest.approx(told, rel=0.2)
    bare = [replace(t, measurements=()) for t in trials]
    (suggestion,) = aware.suggest(History(problem=study, trials=bare), 1).suggestions
    assert suggestion.origin["cost_unknown"] == "fewer than two trials have told their seconds"


# ---- noise on the inputs


def dents(config):
    """A deep dent too narrow to stay in, and a wide one less deep."""
    x = config["x"]
    return {
        "loss": -1.2 * math.exp(-(((x - 0.2) / 0.05) ** 2)) - math.exp(-(((x - 0.7) / 0.2) ** 2))
    }


@pytest.mark.parametrize(
    ("risk", "place"),
    [
        (None, 0.7),
        (Risk(measure="conditional_value_at_risk", level=0.7), 0.7),
        (Risk(measure="value_at_risk", level=0.7), 0.7),
        ("no noise", 0.2),
    ],
)
def test_a_wide_minimum_is_worth_more_than_a_sharp_one_where_values_waver(risk, place):
    study = problem(X)
    trials = [
        completed(n, {"x": x}, dents({"x": x})) for n, x in enumerate(np.linspace(0.01, 0.99, 30))
    ]
    steady = risk == "no noise"
    searcher = QUICK if steady else replace(QUICK, input_noise={"x": 0.08}, risk=risk)
    batch = searcher.suggest(History(problem=study, trials=trials), 2)
    assert all(abs(s.config["x"] - place) < 0.08 for s in batch.suggestions)


def test_numbers_waver_on_their_scale_where_they_are_active():
    cube = Cube(problem(X, KIND, M, N).space)
    rows = cube.encode([
        {"x": 0.5, "kind": "a", "n": 16},
        {"x": 0.5, "kind": "b", "m": 0.4, "n": 16},
        {"x": 1.0, "kind": "b", "m": 0.4, "n": 16},
    ])  # fmt: skip
    wavering = Wavering(cube, {"x": 0.1, "m": 0.05}, None, seed=1)
    groups = wavering.groups(rows)
    plain = torch.from_numpy(cube.features(rows))
    assert groups.shape == (3, MOVES, plain.shape[1])
    x, m = (cube.owners.index(place) for place in (0, 2))
    moved = (groups - plain[:, None]).abs().amax(dim=1) > 0
    assert moved.nonzero().tolist() == [[0, x], [1, x], [1, m], [2, x], [2, m]]
    assert float(groups[0, :, x].std()) == pytest.approx(0.1, rel=0.2)
    assert float(groups[1, :, m].std()) == pytest.approx(0.05, rel=0.2)
    assert float(groups.amax()) <= 1


def test_risks_are_those_of_the_textbook():
    cube = Cube(problem(X).space)
    draws = torch.arange(1.0, MOVES + 1, dtype=torch.double).reshape(1, 1, MOVES, 1)

    def risk(**settings):
        return float(Wavering(cube, {"x": 0.1}, Risk(**settings), seed=0).risk(draws))

    assert risk() == 8.5
    # The worst quarter of 1 .. 16, and the outcome that three quarters are better than.
    assert risk(measure="conditional_value_at_risk", level=0.75) == pytest.approx(
        np.mean([1, 2, 3, 4, 5])
    )
    assert risk(measure="value_at_risk", level=0.75) == pytest.approx(5, abs=0.5)


# ---- look-ahead by name


@pytest.mark.parametrize("acquisition", ["jes", "kg", "mes"])
def test_look_ahead_finds_the_minimum_in_a_branch(acquisition):
    study = problem(X, KIND, M)

    def values_of(config):
        offset = {"a": 0.3, "b": 0.0, "c": 0.6}[config["kind"]]
        return {"loss": offset + (config["x"] - 0.3) ** 2 + (config.get("m", 0.6) - 0.6) ** 2}

    searcher = replace(QUICK, acquisition=acquisition)
    trials = play(searcher, study, values_of, 24)
    # 24 Sobol points reach 0.014 in the best of 5 seeds.
    assert best(study, trials) < 0.01
    batch = searcher.suggest(History(problem=study, trials=trials), 3)
    assert len(set(proposed(batch))) == 3
    assert {s.origin["acquisition_function"] for s in batch.suggestions} == {acquisition}


# ---- what does not fit


TWO = ("a", "b")
ONE_BOUND = (OutcomeConstraint(metric="ms", at_most=1),)


@pytest.mark.parametrize(
    ("settings", "study", "reason"),
    [
        ({"acquisition": "kg"}, problem(X, objectives=TWO), "takes one objective, not 2"),
        ({"acquisition": "log_nei"}, problem(X, objectives=TWO), "takes one objective, not 2"),
        ({"acquisition": "mes"}, problem(X, constraints=ONE_BOUND), "constraints on outcomes"),
        ({"acquisition": "jes", "input_noise": {"x": 0.1}}, problem(X), "input_noise"),
        ({"acquisition": "log_nehvi"}, problem(X), "needs several objectives"),
        ({"acquisition": "parego"}, problem(X), "needs several objectives"),
        ({"acquisition": "log_nehvi"}, problem(X, objectives="abcde"), "up to 4 objectives, not 5"),
        ({"input_noise": {"z": 0.1}}, problem(X), "'z', which is not a parameter"),
        ({"input_noise": {"kind": 0.1}}, problem(X, KIND), "choices cannot waver"),
        (
            {"input_noise": {"x": 0.1}},
            problem(X, constraints=[OutcomeConstraint(metric="ms", at_least=0, at_most=1)]),
            "'ms' has two",
        ),
    ],
)
def test_what_does_not_fit_the_study_is_refused_with_a_sentence(settings, study, reason):
    for searcher in (BoTorch(**settings), Phased(first=Sobol(), then=BoTorch(**settings), after=3)):
        with pytest.raises(UnsupportedProblem, match=reason):
            check_supported(study, searcher)


def test_whatever_fits_is_taken():
    for study in (problem(X, KIND, M), problem(X, objectives="abcde", constraints=ONE_BOUND)):
        check_supported(study, BoTorch())
        check_supported(study, BoTorch(input_noise={"x": 0.1}, cost=Cost(cooling=9)))


@pytest.mark.parametrize(
    "settings",
    [
        {"acquisition": "ucb"},
        {"cost": {"power": -1}},
        {"cost": {"metric": ""}},
        {"cost": {"cooling": 0}},
        {"risk": {"measure": "mean"}},
        {"risk": {"measure": "worst"}, "input_noise": {"x": 0.1}},
        {"risk": {"level": 1}, "input_noise": {"x": 0.1}},
        {"input_noise": {"x": 0}},
        {"input_noise": {"x": "0.1"}},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises((ValidationError, InvalidSettings)):
        TypeAdapter(SearcherSettings).validate_python({"kind": "botorch", **settings})


def test_settings_survive_the_wire():
    adapter = TypeAdapter(SearcherSettings)
    searcher = BoTorch(
        acquisition="log_nei",
        cost=Cost(metric="usd", cooling=30),
        input_noise={"x": 0.1},
        risk=Risk(measure="value_at_risk"),
    )
    assert adapter.validate_json(adapter.dump_json(searcher)) == searcher
    assert hash(searcher) == hash(replace(searcher))
