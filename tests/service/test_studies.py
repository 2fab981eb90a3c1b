"""Studies over HTTP: made, listed, changed, paused, stopped, deleted."""

from httpx import AsyncClient

SPACE = {
    "parameters": [
        {"kind": "float", "name": "lr", "low": 1e-5, "high": 0.1, "log": True},
        {"kind": "choice", "name": "optimizer", "choices": ["adamw", "sgd"]},
        {
            "kind": "float",
            "name": "momentum",
            "low": 0.0,
            "high": 0.99,
            "when": [{"parameter": "optimizer", "in": ["sgd"]}],
        },
    ]
}


def study(name: str = "digits", **more: object) -> dict[str, object]:
    return {"name": name, "space": SPACE, "objectives": [{"metric": "loss"}], **more}


async def make(client: AsyncClient, name: str = "digits", **more: object) -> dict:
    answer = await client.post("/v1/studies", json=study(name, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_study_needs_little_and_says_everything(app_client: AsyncClient) -> None:
    made = await make(app_client)
    assert made["state"] == "active"
    assert made["space"]["parameters"][2]["when"] == [{"parameter": "optimizer", "in": ["sgd"]}]
    assert made["searcher"]["kind"] == "auto"
    assert made["trials"]["queued"] == 0
    assert made["best"] is None
    for reference in (made["id"], "digits"):
        answer = await app_client.get(f"/v1/studies/{reference}")
        assert answer.json() == made
        assert answer.headers["ETag"] == '"1"'
