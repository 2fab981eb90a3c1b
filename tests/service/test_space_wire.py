"""Priors and linear constraints over HTTP: taken, kept, refused with the field that is wrong."""

from typing import Any

import pytest
from httpx import AsyncClient

A = {"kind": "float", "name": "a", "low": 0, "high": 1}
B = {"kind": "float", "name": "b", "low": 0, "high": 1, "prior": {"mean": 0.2, "sd": 0.1}}
C = {"kind": "choice", "name": "c", "choices": ["x", "y"], "weights": [3, 1]}
SUM = {"terms": {"a": 1, "b": 1}, "at_most": 1}
SPACE = {"parameters": [A, B, C], "constraints": [SUM]}


def study(space: Any = SPACE, **more: Any) -> dict[str, Any]:
    return {"name": "s", "space": space, "objectives": [{"metric": "loss"}], **more}


async def test_a_study_keeps_its_constraints_and_priors(app_client: AsyncClient) -> None:
    made = await app_client.post("/v1/studies", json=study(first=[{"a": 0.7, "b": 0.3, "c": "x"}]))
    assert made.status_code == 201, made.text
    space = (await app_client.get("/v1/studies/s")).json()["space"]
    assert space["constraints"] == [
        {"terms": {"a": 1.0, "b": 1.0}, "at_most": 1.0, "at_least": None}
    ]
    assert space["parameters"][1]["prior"] == {"kind": "normal", "mean": 0.2, "sd": 0.1}
    assert space["parameters"][2]["weights"] == [3.0, 1.0]
    broken = {"a": 0.7, "b": 0.31, "c": "x"}
    for path, body, field in (
        ("trials", {"configs": [broken]}, "configs.0"),
        (
            "trials:import",
            {"trials": [{"config": broken, "values": {"loss": 1.0}}]},
            "trials.0.config",
        ),
    ):
        answer = await app_client.post(f"/v1/studies/s/{path}", json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field
        assert "a + b is 1.01, which exceeds at_most=1.0" in answer.json()["detail"]


async def test_a_constrained_space_is_sampled_inside(shared_client: AsyncClient) -> None:
    body = {"space": SPACE, "count": 200, "seed": 3}
    configs = (await shared_client.post("/v1/spaces:sample", json=body)).json()["configs"]
    assert len(configs) == 200
    assert all(config["a"] + config["b"] <= 1 + 1e-9 for config in configs)
    assert sum(config["c"] == "x" for config in configs) > 120
    assert 0.1 < sum(config["b"] for config in configs) / 200 < 0.3
    whole = [{"kind": "int", "name": name, "low": 0, "high": 9} for name in "ab"]
    odd = {
        "parameters": whole,
        "constraints": [{"terms": {"a": 2, "b": 2}, "at_most": 5, "at_least": 5}],
    }
    answer = await shared_client.post("/v1/spaces:sample", json={"space": odd, "count": 1})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "no config was found that meets the constraints"


@pytest.mark.parametrize(
    ("space", "field", "message"),
    [
        (
            {"parameters": [A, B], "constraints": [{"terms": {"a": 1, "z": 1}, "at_most": 1}]},
            "space.constraints.0.terms.z",
            "constraints.0: 'z' is not a parameter of this space",
        ),
        (
            {"parameters": [A, B], "constraints": [SUM, {"terms": {"a": 1}, "at_least": 2}]},
            "space.constraints.1",
            "constraints.1: no config can meet at_least=2",
        ),
        (
            {"parameters": [A, B], "constraints": [{"terms": {"a": 1}}]},
            "space.constraints.0",
            "give at_most or at_least",
        ),
        (
            {"parameters": [A, B], "constraints": [{"terms": {"a": "1"}, "at_most": 1}]},
            "space.constraints.0.terms.a",
            "valid number",
        ),
        (
            {"parameters": [{**A, "prior": {"mean": 2, "sd": 1}}]},
            "space.parameters.0.prior.mean",
            "mean 2.0 of its prior",
        ),
        (
            {"parameters": [{**A, "prior": {"mean": 0.5, "sd": 0}}]},
            "space.parameters.0.prior.sd",
            "sd > 0",
        ),
        (
            {"parameters": [{**C, "weights": [1]}]},
            "space.parameters.0.weights",
            "expected 2 weights",
        ),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(
    shared_client: AsyncClient, space: Any, field: str, message: str
) -> None:
    answer = await shared_client.post("/v1/studies", json=study(space))
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]


async def test_a_first_config_that_breaks_a_constraint_is_named(
    shared_client: AsyncClient,
) -> None:
    body = study(first=[{"a": 1, "b": 1, "c": "x"}])
    answer = await shared_client.post("/v1/studies", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "first.0"


async def test_a_searcher_that_cannot_use_a_prior_is_refused(shared_client: AsyncClient) -> None:
    answer = await shared_client.post("/v1/studies", json=study(searcher={"kind": "grid"}))
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_study")
    assert "does not take priors" in answer.json()["errors"][0]["message"]
