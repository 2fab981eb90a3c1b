"""What can be chosen, sampled spaces, and the fleet."""

from typing import Any

import psycopg
from httpx import AsyncClient

from search.registry import SCHEDULERS, SEARCHERS


async def test_searchers_and_schedulers_say_what_they_are(app_client: AsyncClient) -> None:
    for path, known in (("searchers", SEARCHERS), ("schedulers", SCHEDULERS)):
        items = (await app_client.get(f"/v1/{path}")).json()["items"]
        assert {item["kind"] for item in items} == set(known)
        for item in items:
            assert item["summary"]
            assert "\n" not in item["summary"]
            assert item["settings"]["properties"]["kind"]
    by_kind = {
        item["kind"]: item for item in (await app_client.get("/v1/searchers")).json()["items"]
    }
    served = ["conditions", "parameter_constraints", "priors"]
    assert by_kind["gp"]["features"] == ["conditions", "contexts", *served[1:]]
    several = ["several_objectives"]
    assert by_kind["botorch"]["features"] == [
        "conditions", "gradients", "outcome_constraints", "parameter_constraints", "preferences",
        "priors", *several, "transfer",
    ]  # fmt: skip
    assert "priors" not in by_kind["grid"]["features"]


async def test_a_space_can_be_sampled(app_client: AsyncClient, space: Any) -> None:
    async def sample(**more: Any) -> list[dict[str, Any]]:
        answer = await app_client.post("/v1/spaces:sample", json={"space": space, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["configs"]

    configs = await sample(count=50, seed=3)
    assert configs == await sample(count=50, seed=3)
    assert configs != await sample(count=50, seed=4)
    assert all(("momentum" in config) == (config["optimizer"] == "sgd") for config in configs)
    assert all(1e-5 <= config["lr"] <= 0.1 for config in configs)


async def test_the_fleet_is_what_it_says_it_is(
    app_client: AsyncClient, make: Any, db: psycopg.Connection
) -> None:
    study = await make()
    assert (await app_client.get("/v1/fleet")).json() == {"items": [], "resources": {}}
    recipe = {"name": "torch-classifier", "summary": "Trains.", "arguments": {"data": "digits"}}
    beat = {
        "fleet": "f",
        "resources": {"cpu": 8},
        "recipes": [recipe],
        "agents": [
            {"name": "a1", "study": study["id"], "state": "running", "resources": {"cpu": 2}},
            {"name": "a2", "state": "idle"},
        ],
    }
    for _ in range(2):
        assert (await app_client.post("/v1/fleet:heartbeat", json=beat)).status_code == 204
    found = (await app_client.get("/v1/fleet")).json()
    assert [(agent["name"], agent["study"], agent["state"]) for agent in found["items"]] == [
        ("a1", study["id"], "running"),
        ("a2", None, "idle"),
    ]
    assert found["resources"] == {"cpu": 8.0}
    assert (await app_client.get("/v1/recipes")).json() == {"items": [recipe]}
    db.execute("update agent set seen_at = now() - interval '2 minutes'")
    assert (await app_client.get("/v1/fleet")).json() == {"items": [], "resources": {}}
    assert (await app_client.get("/v1/recipes")).json() == {"items": []}
