"""Checkpoints: only the holder's, only what lies there, only committed ones are offered."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

SPACE = {"parameters": [{"kind": "float", "name": "x", "low": 0, "high": 1, "default": 0.5}]}


async def begin(client: httpx.AsyncClient, **options: Any) -> tuple[dict[str, Any], str]:
    body = {"name": f"s{uuid.uuid4().hex}", "space": SPACE, "objectives": [{"metric": "loss"}]}
    study = (await client.post("/v1/studies", json={**body, **options})).json()["id"]
    return await ask(client, study)


async def ask(client: httpx.AsyncClient, study: str) -> tuple[dict[str, Any], str]:
    lease = str(uuid.uuid4())
    body = {"lease_id": lease, "worker": "w", "wait": 0}
    answer = await client.post(f"/v1/studies/{study}/trials:ask", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json(), lease


async def announce(
    client: httpx.AsyncClient, trial: str, lease: str, step: int, data: bytes
) -> httpx.Response:
    body = {
        "lease_id": lease,
        "step": step,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return await client.post(f"/v1/trials/{trial}/checkpoints", json=body)


def put(uri: str, data: bytes) -> None:
    path = Path(uri.removeprefix("file://"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


async def commit(client: httpx.AsyncClient, trial: str, lease: str, key: str) -> httpx.Response:
    body = {"lease_id": lease, "key": key}
    return await client.post(f"/v1/trials/{trial}/checkpoints:commit", json=body)


async def save(client: httpx.AsyncClient, trial: str, lease: str, step: int, data: bytes) -> str:
    made = (await announce(client, trial, lease, step, data)).json()
    put(made["uri"], data)
    assert (await commit(client, trial, lease, made["key"])).status_code == 200
    return str(made["key"])


async def test_the_next_attempt_is_offered_what_was_committed(
    app_client: httpx.AsyncClient,
) -> None:
    asked, lease = await begin(app_client)
    assert asked["checkpoint"] is None
    trial = asked["trial"]["id"]
    key = await save(app_client, trial, lease, 3, b"weights")
    await announce(app_client, trial, lease, 4, b"never uploaded")
    await app_client.post(f"/v1/trials/{trial}:release", json={"lease_id": lease})
    again, _ = await ask(app_client, asked["trial"]["study"])
    offered = again["checkpoint"]
    assert (offered["key"], offered["step"], offered["size"]) == (key, 3, 7)
    assert Path(offered["uri"].removeprefix("file://")).read_bytes() == b"weights"
    shape = key.split("/")
    assert shape[1:3] == [asked["trial"]["study"], trial]
    assert shape[3] == f"1-3-{hashlib.sha256(b'weights').hexdigest()[:12]}"


async def test_a_repeat_of_either_call_does_nothing_more(app_client: httpx.AsyncClient) -> None:
    asked, lease = await begin(app_client)
    trial = asked["trial"]["id"]
    first = (await announce(app_client, trial, lease, 1, b"abc")).json()
    assert (await announce(app_client, trial, lease, 1, b"abc")).json() == first
    put(first["uri"], b"abc")
    done = await commit(app_client, trial, lease, first["key"])
    again = await commit(app_client, trial, lease, first["key"])
    assert done.json() == again.json() == {"key": first["key"], "step": 1}


async def test_nothing_is_committed_that_does_not_lie_there(app_client: httpx.AsyncClient) -> None:
    asked, lease = await begin(app_client)
    trial = asked["trial"]["id"]
    made = (await announce(app_client, trial, lease, 1, b"abc")).json()
    missing = await commit(app_client, trial, lease, made["key"])
    assert (missing.status_code, missing.json()["code"]) == (422, "invalid_request")
    put(made["uri"], b"ab")
    short = await commit(app_client, trial, lease, made["key"])
    assert short.status_code == 422
    assert "expected 3 bytes" in short.json()["detail"]
    unknown = await commit(app_client, trial, lease, "../../etc/passwd")
    assert unknown.status_code == 404


async def test_only_the_holder_announces_and_commits(app_client: httpx.AsyncClient) -> None:
    asked, lease = await begin(app_client)
    trial = asked["trial"]["id"]
    made = (await announce(app_client, trial, lease, 1, b"abc")).json()
    put(made["uri"], b"abc")
    await app_client.post(f"/v1/trials/{trial}:release", json={"lease_id": lease})
    _, newer = await ask(app_client, asked["trial"]["study"])
    for answer in (
        await announce(app_client, trial, lease, 2, b"abc"),
        await commit(app_client, trial, lease, made["key"]),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    # Nor does the new holder commit what the old one announced.
    assert (await commit(app_client, trial, newer, made["key"])).status_code == 404


async def test_a_later_attempt_goes_on_from_its_own_checkpoint(
    app_client: httpx.AsyncClient,
) -> None:
    asked, lease = await begin(app_client)
    trial, study = asked["trial"]["id"], asked["trial"]["study"]
    await save(app_client, trial, lease, 5, b"five")
    await save(app_client, trial, lease, 4, b"late: four")  # out of order: five stays
    await app_client.post(f"/v1/trials/{trial}:release", json={"lease_id": lease})
    again, lease = await ask(app_client, study)
    assert again["checkpoint"]["step"] == 5
    await save(app_client, trial, lease, 2, b"two")  # it began again from the start
    await app_client.post(f"/v1/trials/{trial}:release", json={"lease_id": lease})
    third, _ = await ask(app_client, study)
    assert third["checkpoint"]["step"] == 2


@pytest.mark.parametrize("step", [-1, 2**31, "1", 1.5])
async def test_a_step_that_is_none_is_refused(app_client: httpx.AsyncClient, step: object) -> None:
    asked, lease = await begin(app_client)
    body = {"lease_id": lease, "step": step, "size": 1, "sha256": "0" * 64}
    answer = await app_client.post(f"/v1/trials/{asked['trial']['id']}/checkpoints", json=body)
    assert answer.status_code == 422


async def test_a_url_of_fsspec_will_do_as_well(tmp_path: Path) -> None:
    import fsspec

    from service.checkpoints.storage import size_of, uri_of

    with fsspec.open("memory://ck/1/st/tr/1-2-abc", "wb") as file:
        file.write(b"12345")
    assert await size_of("memory://ck", "1/st/tr/1-2-abc") == 5
    assert await size_of("memory://ck", "1/st/tr/nothing") is None
    assert uri_of("s3://bucket/runs/", "a/b") == "s3://bucket/runs/a/b"
    assert uri_of(str(tmp_path), "a b/c") == tmp_path.as_uri() + "/a%20b/c"
