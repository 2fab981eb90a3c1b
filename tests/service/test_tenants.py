"""Who may do what, for every route of the contract: keys, scopes, and the wall between projects."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from httpx import AsyncClient, Response

from service import openapi
from service.app import create_app
from service.settings import Settings

LEASE = {"lease_id": "00000000-0000-4000-8000-000000000001"}
SCOPES = ("read", "run", "write", "admin")
READ, RUN, WRITE, ADMIN = "read", "run", "write", "admin"

# Which scopes open which route; admin opens all, and write opens what read does.
TABLE: dict[tuple[str, str], set[str]] = {
    ("get", "/v1/me"): {READ, RUN, WRITE},
    ("get", "/v1/keys"): set(),
    ("post", "/v1/keys"): {WRITE},
    ("delete", "/v1/keys/{key}"): set(),
    ("get", "/v1/studies"): {READ, RUN},
    ("post", "/v1/studies"): {WRITE},
    ("get", "/v1/studies/{study}"): {READ, RUN},
    ("patch", "/v1/studies/{study}"): {WRITE},
    ("delete", "/v1/studies/{study}"): {WRITE},
    ("post", "/v1/studies/{study}:pause"): {WRITE},
    ("post", "/v1/studies/{study}:resume"): {WRITE},
    ("post", "/v1/studies/{study}:stop"): {WRITE},
    ("get", "/v1/studies/{study}/trials"): {READ, RUN},
    ("post", "/v1/studies/{study}/trials"): {WRITE},
    ("post", "/v1/studies/{study}/trials:import"): {WRITE},
    ("post", "/v1/studies/{study}/trials:ask"): {RUN},
    ("get", "/v1/studies/{study}/best"): {READ},
    ("get", "/v1/studies/{study}/pareto"): {READ},
    ("get", "/v1/studies/{study}/curves"): {READ},
    ("get", "/v1/studies/{study}/explanation"): {READ},
    ("get", "/v1/studies/{study}/preferences"): {READ},
    ("post", "/v1/studies/{study}/preferences"): {WRITE},
    ("get", "/v1/studies/{study}/changes"): {READ, RUN},
    ("get", "/v1/studies/{study}/batches"): {READ},
    ("get", "/v1/studies/{study}/events"): {READ},
    ("get", "/v1/studies/{study}/export"): {READ},
    ("get", "/v1/trials/{trial}"): {READ, RUN},
    ("patch", "/v1/trials/{trial}"): {WRITE, RUN},
    ("get", "/v1/trials/{trial}/measurements"): {READ},
    ("post", "/v1/trials/{trial}/measurements"): {RUN},
    ("get", "/v1/trials/{trial}/events"): {READ},
    ("get", "/v1/trials/{trial}/log"): {READ},
    ("post", "/v1/trials/{trial}:heartbeat"): {RUN},
    ("post", "/v1/trials/{trial}:tell"): {RUN},
    ("post", "/v1/trials/{trial}:release"): {RUN},
    ("post", "/v1/trials/{trial}:cancel"): {WRITE},
    ("post", "/v1/trials/{trial}:retry"): {WRITE},
    ("post", "/v1/trials/{trial}/checkpoints"): {RUN},
    ("post", "/v1/trials/{trial}/checkpoints:commit"): {RUN},
    ("post", "/v1/spaces:sample"): {READ},
    ("get", "/v1/searchers"): {READ, RUN},
    ("get", "/v1/schedulers"): {READ, RUN},
    ("get", "/v1/recipes"): {READ},
    ("get", "/v1/fleet"): {READ},
    ("post", "/v1/fleet:heartbeat"): {RUN},
}
OPEN = {("get", path) for path in ("/v1/version", "/healthz", "/readyz", "/metrics")}
CONFIG = {"lr": 0.01, "optimizer": "adamw", "batch, size": 1}
# Bodies that would be taken, so that nothing but the wall refuses them.
BODIES: dict[str, Any] = {
    "/v1/studies/{study}": {"notes": "mine now"},
    "/v1/studies/{study}/trials": {"configs": [CONFIG]},
    "/v1/studies/{study}/trials:import": {"trials": [{"config": CONFIG, "values": {"loss": 1.0}}]},
    "/v1/studies/{study}/preferences": {"rankings": [["tr_" + "0" * 22, "tr_" + "1" * 22]]},
    "/v1/studies/{study}/trials:ask": {**LEASE, "worker": "thief", "wait": 0},
    "/v1/trials/{trial}": {"notes": "mine now"},
    "/v1/trials/{trial}/measurements": {
        **LEASE,
        "measurements": [{"step": 1, "values": {"loss": 1.0}}],
    },
    "/v1/trials/{trial}:heartbeat": LEASE,
    "/v1/trials/{trial}:tell": {**LEASE, "outcome": {"kind": "completed", "values": {"loss": 1.0}}},
    "/v1/trials/{trial}:release": LEASE,
    "/v1/trials/{trial}/checkpoints": {**LEASE, "step": 1, "size": 1, "sha256": "0" * 64},
    "/v1/trials/{trial}/checkpoints:commit": {**LEASE, "key": "k"},
}
ROUTES = [
    (verb, path)
    for path, verb, _ in openapi.operations(create_app(Settings(storage="-")).openapi())
]


@dataclass
class World:
    """An app with a study, a running trial and a key in project `default`."""

    client: AsyncClient
    db: psycopg.Connection
    keys: Callable[..., dict[str, str]]
    ids: dict[str, str]

    async def call(
        self, verb: str, path: str, headers: dict[str, str], ids: dict[str, str] | None = None
    ) -> Response:
        """Call a route, on our objects or on others."""
        url = path.format(**(self.ids if ids is None else ids))
        body = BODIES.get(path, {}) if verb in {"post", "patch"} else None
        headers = {"If-Match": "*", "Authorization": "", **headers}
        return await self.client.request(verb.upper(), url, json=body, headers=headers)

    def state(self) -> list[tuple[Any, ...]]:
        """All that another project could have touched."""
        tables = ("study", "study_counter", "trial", "lease", "attempt", "metric", "api_key")
        return [
            self.db.execute(
                f"select * from (select to_jsonb({t}) - 'last_used_at' - 'expires_at' as row"
                f" from {t}) r where row ->> 'name' is distinct from 'test' order by row::text"
            ).fetchall()
            for t in tables
        ]


@pytest.fixture(scope="module")
async def world(shared_client: AsyncClient, space: Any, trials_in: Any, keys_in: Any) -> Any:
    settings = shared_client.app.state.settings
    body = {"name": "walled", "space": space, "objectives": [{"metric": "loss"}]}
    study = (await shared_client.post("/v1/studies", json=body)).json()
    url = settings.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        trial = trials_in(connection).add(study, state="running", points={"loss": [1.0]})
        connection.execute(
            "update lease set lease_id = %(lease)s where trial_id ="
            " (select id from trial where public_id = %(trial)s)",
            {"lease": LEASE["lease_id"], "trial": trial},
        )
        key = connection.execute("select public_id from api_key order by id limit 1").fetchone()[0]
        ids = {"study": study["id"], "trial": trial, "key": key}
        yield World(shared_client, connection, keys_in(connection, settings), ids)


def test_every_route_has_its_row_and_no_row_is_left_over() -> None:
    assert set(ROUTES) == set(TABLE) | OPEN


@pytest.mark.parametrize(("verb", "path"), sorted(OPEN))
async def test_open_routes_need_no_key(world: World, verb: str, path: str) -> None:
    assert (await world.call(verb, path, {})).status_code == 200


@pytest.mark.parametrize(("verb", "path"), sorted(TABLE))
async def test_a_key_is_needed_and_must_be_good(world: World, verb: str, path: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer tt_no_key"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        world.keys(*SCOPES, revoked=True),
        world.keys(*SCOPES, expired=True),
    ):
        answer = await world.call(verb, path, headers)
        assert answer.status_code == 401, answer.text
        assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize(("verb", "path"), sorted(TABLE))
async def test_a_key_does_what_its_scopes_say(world: World, verb: str, path: str) -> None:
    nobody = {"study": "st_" + "0" * 22, "trial": "tr_" + "0" * 22, "key": "nobodys0"}
    allowed = TABLE[verb, path] | {ADMIN} | ({WRITE} if READ in TABLE[verb, path] else set())
    for scope in SCOPES:
        answer = await world.call(verb, path, world.keys(scope), nobody)
        if scope not in allowed:
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), scope
        elif "{" in path:
            assert answer.status_code == 404, (scope, answer.text)
        else:
            assert answer.status_code in {200, 201, 204, 422}, (scope, answer.text)


@pytest.mark.parametrize(("verb", "path"), sorted(key for key in TABLE if "{" in key[1]))
async def test_what_another_project_has_is_not_there(world: World, verb: str, path: str) -> None:
    before = world.state()
    for ids in (world.ids, {**world.ids, "study": "walled"}):
        answer = await world.call(verb, path, world.keys(*SCOPES, project="others"), ids)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text
    assert world.state() == before


async def test_lists_leak_nothing(world: World) -> None:
    other = world.keys(*SCOPES, project="strangers")
    beat = {"fleet": "ours", "agents": [{"name": "a", "state": "idle"}]}
    await world.client.post("/v1/fleet:heartbeat", json=beat)
    for path in ("/v1/studies", "/v1/fleet", "/v1/recipes"):
        assert (await world.call("get", path, other)).json()["items"] == []
    keys = (await world.call("get", "/v1/keys", other)).json()["items"]
    assert [key["name"] for key in keys] == ["test"]
    assert (await world.call("get", "/v1/me", other)).json()["project"] == "strangers"


async def test_the_same_name_in_two_projects_is_two_studies(world: World, space: Any) -> None:
    other = world.keys(*SCOPES, project="neighbours")
    body = {"name": "walled", "space": space, "objectives": [{"metric": "loss"}]}
    made = await world.client.post("/v1/studies", json=body, headers=other)
    assert made.status_code == 201
    ours = (await world.client.get("/v1/studies/walled")).json()
    assert ours["id"] == world.ids["study"] != made.json()["id"]


async def test_an_idempotency_key_is_its_projects(world: World, space: Any) -> None:
    body = {"name": "once", "space": space, "objectives": [{"metric": "loss"}]}
    made = []
    for project in ("one", "two"):
        headers = world.keys(*SCOPES, project=project) | {"Idempotency-Key": "same"}
        made.append((await world.client.post("/v1/studies", json=body, headers=headers)).json())
    assert made[0]["id"] != made[1]["id"]
