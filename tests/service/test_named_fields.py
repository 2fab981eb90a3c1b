"""A refusal names the field by its path in the body that was sent, and says what was expected."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from httpx import AsyncClient

Refused: TypeAlias = Callable[[Any], Awaitable[dict[str, Any]]]
X = {"kind": "float", "name": "x", "low": 0, "high": 1}
Y = {"kind": "int", "name": "y", "low": 0, "high": 9000}
C = {"kind": "choice", "name": "c", "choices": ["a", "b"]}
ORDER = {"kind": "permutation", "name": "o", "items": ["a", "b", "c"]}
LOSS = {"metric": "loss"}
TWO = [LOSS, {"metric": "other"}]
SAAS = {"kind": "botorch", "surrogate": {"kind": "saas"}}
GRADIENTS = [{"metric": "loss", "gradients": True}]


def study(**more: Any) -> dict[str, Any]:
    return {"name": "s", "space": {"parameters": [X, Y]}, "objectives": [LOSS], **more}


def space(*parameters: Any, **more: Any) -> dict[str, Any]:
    return study(space={"parameters": list(parameters), **more})


def searcher(kind: str, **settings: Any) -> dict[str, Any]:
    return study(searcher={"kind": kind, **settings})


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


NAMED = [
    # a union, where no member is meant
    (study(searcher="turbo"), "searcher", "one of auto, botorch, cmaes"),
    (study(searcher="turbo"), "searcher", "turbo, got 'turbo'"),
    (study(searcher=None), "searcher", "got null"),
    (study(searcher=[1]), "searcher", 'expected {"kind": ...}'),
    (study(searcher={}), "searcher", "turbo, got an object"),
    (searcher("nonsense"), "searcher.kind", "turbo, got 'nonsense'"),
    (study(searcher={"kind": 3}), "searcher.kind", "got 3"),
    (searcher("botorch", surrogate={}), "searcher.surrogate", "ibnn, laplace, saas"),
    (searcher("botorch", surrogate="saas"), "searcher.surrogate", "got 'saas'"),
    (searcher("botorch", surrogate={"kind": "gp"}), "searcher.surrogate.kind", "got 'gp'"),
    (study(scheduler={"kind": "hyperband"}), "scheduler.kind", "asha, auto, full, median"),
    (space({"kind": "real", "name": "x"}), "space.parameters.0.kind", "float, int, choice"),
    (space("x"), "space.parameters.0", "float, int, choice, permutation, got 'x'"),
    (study(context=[{"name": "t"}]), "context.0", "float, int, choice"),
    (study(managed={"run": {"kind": "script"}}), "managed.run.kind", "program, recipe"),
    # within a member
    (searcher("turbo", initials=5), "searcher.initials", "no such field"),
    (searcher("turbo", turbo=5), "searcher.turbo", "no such field"),
    (searcher("turbo", initial=5.5), "searcher.initial", "a valid integer"),
    (searcher("turbo", initial="5"), "searcher.initial", "a valid integer, got text"),
    (searcher("phased", after=3, then=X), "searcher.first", "got none"),
    (searcher("phased", after=3, then={"kind": "auto"}), "searcher.then.kind", "got 'auto'"),
    (searcher("cmaes", restarts="foo"), "searcher.restarts", "'ipop' or 'bipop'"),
    (searcher("nsga2", population=2), "searcher.population", "4 to 1000, got 2"),
    (searcher("evolution", population=10, sample=25), "searcher.sample", "1 to 10, got 25"),
    (searcher("botorch", risk={}), "searcher.risk", "needs input_noise"),
    (searcher("botorch", input_noise={"x": 0.9}), "searcher.input_noise.x", "to 0.5, got 0.9"),
    (searcher("botorch", cost={"metric": ""}), "searcher.cost.metric", "1 to 128"),
    (searcher("botorch", fidelity={"low": 9, "high": 9}), "searcher.fidelity.low", "less than"),
    (study(scheduler={"kind": "asha", "max_steps": 1}), "scheduler.max_steps", "got 1"),
    (
        study(scheduler={"kind": "asha", "max_steps": 5, "min_steps": 6}),
        "scheduler.min_steps",
        "less than max_steps=5, got 6",
    ),
    (study(scheduler={"kind": "asha"}), "scheduler.max_steps", "got none"),
    (
        study(managed={"run": {"kind": "program", "path": "../a.py:main"}}),
        "managed.run.path",
        "pattern",
    ),
    (study(managed={"run": {"kind": "recipe", "name": ""}}), "managed.run.name", "pattern"),
    # parameters and what they are bound by
    (space(without(X, "high")), "space.parameters.0.high", "got none"),
    (space(X, {**Y, "low": "0"}), "space.parameters.1.low", "a valid integer, got text"),
    (space({**X, "low": 2}), "space.parameters.0.low", "low <= high"),
    (space({**X, "log": True}), "space.parameters.0.low", "low > 0"),
    (space({**X, "step": 0}), "space.parameters.0.step", "step > 0"),
    (space({**X, "name": " x"}), "space.parameters.0.name", "printable"),
    (space({**X, "default": 3}), "space.parameters.0.default", "[0.0, 1.0], got 3"),
    (space({**X, "prior": {"mean": 0.5}}), "space.parameters.0.prior.sd", "got none"),
    (
        space({**X, "prior": {"mean": 5, "sd": 1}}),
        "space.parameters.0.prior.mean",
        "is not in [0.0, 1.0]",
    ),
    (space({**X, "prior": {"mean": 0.5, "sd": 0}}), "space.parameters.0.prior.sd", "sd > 0"),
    (space(C | {"choices": []}), "space.parameters.0.choices", "1 to 1000"),
    (space(C | {"choices": ["a", "a"]}), "space.parameters.0.choices.1", "given twice"),
    (space(C | {"choices": ["a", {}]}), "space.parameters.0.choices.1", "got an object"),
    (space(C | {"weights": [1]}), "space.parameters.0.weights", "2 weights"),
    (space(ORDER | {"items": ["a"]}), "space.parameters.0.items", "2 to 12"),
    (
        space(ORDER | {"items": ["a", "b", "a"]}),
        "space.parameters.0.items.2",
        "given twice",
    ),
    (space(X, X), "space.parameters.1.name", "given twice"),
    (
        space(X, {**Y, "when": [{"parameter": "x", "in": [1]}]}),
        "space.parameters.1.when.0.parameter",
        "a choice or an int",
    ),
    (
        space(C, {**Y, "when": [{"parameter": "c", "in": ["a", "z"]}]}),
        "space.parameters.1.when.0.in.1",
        "can never hold",
    ),
    (space(C, {**Y, "when": [{"in": [1]}]}), "space.parameters.1.when.0.parameter", "got none"),
    (
        space(C, {**Y, "when": [{"parameter": "c", "in": []}]}),
        "space.parameters.1.when.0.in",
        "at least one value",
    ),
    (
        space(X, constraints=[{"terms": {"x": 1}}]),
        "space.constraints.0",
        "give at_most or at_least",
    ),
    (
        space(X, constraints=[{"terms": {"x": 1, "z": 1}, "at_most": 1}]),
        "space.constraints.0.terms.z",
        "not a parameter",
    ),
    (
        space(X, constraints=[{"terms": {"x": 1}, "at_least": 3}]),
        "space.constraints.0",
        "no config can meet",
    ),
    # the rest of a study
    (study(objectives=[LOSS, LOSS]), "objectives.1.metric", "given twice"),
    (study(objectives=[LOSS | {"goal": "least"}]), "objectives.0.goal", "'minimize' or 'maximize'"),
    (study(objectives=[]), "objectives", "at least 1"),
    (study(objectives=[LOSS, TWO[1] | {"noisy": True}]), "objectives.1.noisy", "noisy"),
    (study(objectives=[LOSS | {"by": "preference"}]), "objectives.0.by", "by preference"),
    (study(constraints=[{"metric": "m"}]), "constraints.0", "at_most or at_least"),
    (
        study(constraints=[{"metric": "m", "at_most": 1, "at_least": 2}]),
        "constraints.0.at_least",
        "exceeds",
    ),
    (study(context=[X]), "context.0.name", "another parameter"),
    (study(context=[C | {"default": "a"}]), "context.0.default", "no default"),
    (study(context=[C | {"weights": [1, 2]}]), "context.0.weights", "no prior"),
    (study(budget={"trials": 0}), "budget.trials", "greater than or equal to 1, got 0"),
    (study(budget={"patience": 3}), "budget", "min_expected_gain"),
    (study(first=[{"x": {}, "y": 1}]), "first.0.x", "got an object"),
    (study(first=[{"x": 7, "y": 1}]), "first.0.x", "x: expected a number"),
    (study(colour="red"), "colour", "no such field"),
    (without(study(), "name"), "name", "got none"),
    (study(seed=-1), "seed", "got -1"),
]


@pytest.mark.parametrize(("body", "field", "fragment"), NAMED)
async def test_a_field_is_named(refused: Refused, body: Any, field: str, fragment: str) -> None:
    problem = await refused(body)
    assert problem["code"] == "invalid_request"
    [error] = [each for each in problem["errors"] if each["field"] == field]
    assert fragment in error["message"], error
    assert problem["errors"][0]["field"] in problem["detail"]


EARLY = {"kind": "sobol"}
UNSERVED = [
    ({}, TWO, "gp", {}, [("searcher", "it takes one objective, not 2")]),
    ({}, [LOSS], "botorch", {"input_noise": {"z": 0.1}}, [("searcher.input_noise.z", "not a par")]),
    ({}, [LOSS], "botorch", {"input_noise": {"c": 0.1}}, [("searcher.input_noise.c", "waver")]),
    ({}, TWO, "botorch", {"acquisition": "kg"}, [("searcher.acquisition", "one objective, not 2")]),
    ({}, TWO, "botorch", SAAS, [("searcher.surrogate", "with a surrogate it takes one objective")]),
    (
        {"constraints": [{"metric": "m", "at_most": 1}]},
        [LOSS],
        "botorch",
        SAAS,
        [("searcher.surrogate", "with a surrogate it does not take constraints on outcomes")],
    ),
    ({}, GRADIENTS, "botorch", SAAS, [("searcher.surrogate", "does not learn from derivatives")]),
    (
        {},
        [{"metric": "loss", "goal": "maximize", "by": "preference"}],
        "botorch",
        SAAS,
        [("searcher.surrogate", "from metrics, not from preferences")],
    ),
    (
        {"space": {"parameters": [X, C | {"weights": [1, 2]}]}},
        [LOSS],
        "botorch",
        SAAS,
        [("searcher.surrogate", "does not take priors")],
    ),
    (
        {"space": {"parameters": [X, Y], "constraints": [{"terms": {"x": 1}, "at_most": 0.5}]}},
        [LOSS],
        "botorch",
        SAAS,
        [("searcher.surrogate", "does not take constraints between parameters")],
    ),
    (
        {},
        [LOSS],
        "botorch",
        SAAS | {"fit_evaluations": 5000, "prior_weight": 77},
        [
            ("searcher.fit_evaluations", "nothing reads fit_evaluations"),
            ("searcher.prior_weight", "nothing reads prior_weight"),
        ],
    ),
    (
        {},
        [LOSS],
        "botorch",
        SAAS | {"acquisition": "mes", "cost": {}},
        [("searcher.acquisition", "acquisition 'mes'"), ("searcher.cost", "does not take cost")],
    ),
    (
        {},
        [LOSS],
        "botorch",
        SAAS | {"fidelity": {"high": 9}},
        [("searcher.fidelity", "with a surrogate it does not take fidelity")],
    ),
    (
        {},
        [LOSS],
        "botorch",
        {"fidelity": {"high": 9}, "acquisition": "log_nei", "prior_weight": 2},
        [("searcher.acquisition", "'log_nei'"), ("searcher.prior_weight", "nothing reads")],
    ),
    (
        {},
        [LOSS],
        "botorch",
        {"input_noise": {"x": 0.1}, "risk": {"level": 0.9}},
        [("searcher.risk.level", "the mean has none")],
    ),
    (
        {},
        [LOSS],
        "botorch",
        {"cost": {"power": 0, "cooling": 9}},
        [("searcher.cost.cooling", "already")],
    ),
    (
        {},
        [LOSS],
        "phased",
        {"first": EARLY, "then": {"kind": "botorch", "acquisition": "parego"}, "after": 3},
        [("searcher.then.acquisition", "needs several objectives")],
    ),
    (
        {"space": {"parameters": [X, ORDER]}},
        [LOSS],
        "phased",
        {"first": EARLY, "then": {"kind": "turbo"}, "after": 3},
        [("searcher.then", "does not take permutations")],
    ),
]


@pytest.mark.parametrize(("more", "objectives", "kind", "settings", "expected"), UNSERVED)
async def test_what_stands_against_a_study_is_named_once(
    refused: Refused,
    more: Any,
    objectives: Any,
    kind: str,
    settings: Any,
    expected: list[tuple[str, str]],
) -> None:
    parameters = {"parameters": [X, Y, C]}
    body = {**study(space=parameters, objectives=objectives), **more}
    body |= {"searcher": {"kind": kind, **settings}, "scheduler": {"kind": "full"}}
    problem = await refused(body)
    assert problem["code"] == "unsupported_study"
    assert [error["field"] for error in problem["errors"]] == [field for field, _ in expected]
    for error, (_, fragment) in zip(problem["errors"], expected, strict=True):
        assert fragment in error["message"]
        assert problem["detail"].count(error["message"]) == 1


UNREADABLE = [
    ('"seed": NaN', "seed", "NaN is no JSON"),
    ('"searcher": {"kind": "cmaes", "sigma": 1e999}', "searcher.sigma", "too large"),
    ('"first": [{"x": 1}, {"x": -Infinity}]', "first.1.x", "-Infinity"),
    ('"budget": {"trials": 1, "trials": 2}', "budget.trials", "twice"),
    ('"seed": 12345678901234567890', "seed", "2**53"),
    ('"tags": ["a", "b\\u0000"]', "tags.1", "NUL"),
    ('"notes": "a", "max_failed": 1e999', "max_failed", "too large"),
]


@pytest.mark.parametrize(("extra", "field", "fragment"), UNREADABLE)
async def test_json_that_is_not_taken_is_found(
    shared_client: AsyncClient, extra: str, field: str, fragment: str
) -> None:
    content = json.dumps(study())[:-1] + f", {extra}}}"
    headers = {"Content-Type": "application/json"}
    answer = await shared_client.post("/v1/studies", content=content, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "invalid_json")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert fragment in problem["errors"][0]["message"]


async def test_a_hot_route_names_fields_too(shared_client: AsyncClient) -> None:
    body = {"lease_id": "no", "outcome": {"kind": "completed", "values": {"loss": []}}}
    answer = await shared_client.post("/v1/trials/t_x:tell", json=body)
    found = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert set(found) == {"lease_id", "outcome.values.loss"}
    body = {"outcome": {"kind": "done"}}
    answer = await shared_client.post("/v1/trials/t_x:tell", json=body)
    found = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert set(found) == {"lease_id", "outcome.kind"}
    assert "completed, stopped, infeasible, failed, got 'done'" in found["outcome.kind"]


async def test_evolution_of_a_small_population_needs_no_sample(app_client: AsyncClient) -> None:
    answer = await app_client.post("/v1/studies", json=searcher("evolution", population=10))
    assert answer.status_code == 201
    assert answer.json()["searcher"] == {"kind": "evolution", "population": 10, "sample": None}
