"""Contexts given with an ask: what is served to whom, what is refused, and races."""

import asyncio
import csv
import io
import json
import uuid
from typing import Any

import httpx
import pytest
from psycopg.types.json import Jsonb

from service.errors import LeaseInUse, StudyEnded, UnsupportedStudy
from service.leases.ask import Asking
from service.leases.claim import Wish
from service.leases.known import KnownStudy
from service.suggester.batches import Made, Proposal, begin, finish
from service.suggester.survey import KEPT_CONTEXTS, survey
from service.trials.identity import config_hash
from tests.leases.checker import check
from tests.leases.world import World

TASK = {"kind": "choice", "name": "task", "choices": ["a", "b"]}
SIZE = {"kind": "int", "name": "size", "low": 1, "high": 1_000_000, "log": True}
SPACE = {"parameters": [{"kind": "float", "name": "x", "low": 0, "high": 1}]}
A, B = {"task": "a"}, {"task": "b"}


DEMAND = """
insert into demand (lease_id, study_id, context, expires_at)
values (gen_random_uuid(), %s, %s, now() + interval '1 minute')
"""


async def made_ahead(
    world: World, study: KnownStudy, context: dict[str, Any], *values: float, **changes: Any
) -> None:
    """Put suggestions in the buffer of a context, as a suggester does."""
    async with world.pool.connection() as connection, connection.transaction():
        lease = await begin(connection, study.id, count=len(values), seconds=30, context=context)
        assert lease is not None
        fields: dict[str, Any] = {
            "proposals": [Proposal(config={"x": x}, origin={"by": "test"}) for x in values],
            "superseded": (), "seen": 0, "watermark": 0, "pending": (), "memo": None,
            "exhausted": None, "error": None, "seconds": 0.1, "context": context,
        }  # fmt: skip
        assert await finish(connection, lease, Made(**{**fields, **changes}))


async def put(
    world: World, study: KnownStudy, context: dict[str, Any], *values: float, **changes: Any
) -> None:
    """The same, for somebody who waits in that context."""
    await world.rows(DEMAND, study.id, Jsonb(context))
    await made_ahead(world, study, context, *values, **changes)


async def take(
    world: World, study: KnownStudy, context: dict[str, Any], lease: uuid.UUID | None = None
) -> Any:
    wish = Wish(lease_id=lease or uuid.uuid4(), worker="w", wait=0, context=context)
    taken = await Asking(world.pool, world.known, world.ready).ask(study, wish)
    return None if taken is None else taken.claimed


async def test_an_ask_takes_suggestions_of_its_own_context_only(world: World) -> None:
    study = await world.study(context=[TASK])
    await put(world, study, A, 0.1, 0.2)
    assert await take(world, study, B) is None
    await put(world, study, B, 0.1)
    found = await take(world, study, B)
    assert (found.config, found.context, found.number) == ({"x": 0.1}, B, 0)
    first, second = [await take(world, study, A) for _ in range(2)]
    assert {first.config["x"], second.config["x"]} == {0.1, 0.2}
    assert first.context == second.context == A
    assert await take(world, study, A) is None
    shown = await world.rows("select number, config, context from trial order by number")
    assert shown[0] == (0, {"x": 0.1}, B)
    check(world.url)


async def test_the_same_lease_id_gets_the_same_trial_and_another_context_is_refused(
    world: World,
) -> None:
    study, lease = await world.study(context=[TASK]), uuid.uuid4()
    await put(world, study, A, 0.1)
    await put(world, study, B, 0.1)
    first = await take(world, study, A, lease)
    assert (await take(world, study, A, lease)).id == first.id
    with pytest.raises(LeaseInUse, match="context"):
        await take(world, study, B, lease)
    assert await world.one("select count(*) from trial") == 1
    await world.rows("delete from suggestion")
    with pytest.raises(LeaseInUse, match="context"):
        await take(world, study, B, lease)


async def test_queued_trials_wait_for_an_ask_in_their_context(world: World) -> None:
    study = await world.study(context=[TASK], lease_seconds=1)
    await put(world, study, B, 0.5)
    lost = await take(world, study, B)
    await world.rows("update lease set expires_at = now() - interval '1 minute'")
    await world.rows("update trial set state = 'queued', available_at = now() - interval '1 s'")
    await world.rows("delete from lease")
    await world.rows("update study_counter set running = 0")
    assert await take(world, study, A) is None
    again = await take(world, study, B)
    assert (again.id, again.attempt, again.context) == (lost.id, 2, B)


async def test_asks_of_two_contexts_at_once_get_their_own(world: World) -> None:
    study = await world.study(context=[TASK])
    for context in (A, B):
        await put(world, study, context, *(k / 10 for k in range(8)))
    barrier = asyncio.Barrier(20)

    async def one(context: dict[str, Any]) -> Any:
        await barrier.wait()
        return await take(world, study, context)

    wishes = [A, B] * 10
    found = await asyncio.gather(*(one(context) for context in wishes))
    # SKIP LOCKED may let an ask come away with nothing while others hold what is left.
    got = [(claimed, wish) for claimed, wish in zip(found, wishes, strict=True) if claimed]
    assert all(claimed.context == wish for claimed, wish in got)
    pairs = [(claimed.context["task"], claimed.config["x"]) for claimed, _ in got]
    assert len(set(pairs)) == len(pairs)
    while (more := await take(world, study, A)) or (more := await take(world, study, B)):
        pairs.append((more.context["task"], more.config["x"]))
    assert sorted(pairs) == sorted((task, k / 10) for task in "ab" for k in range(8))
    numbers = await world.rows("select number from trial order by number")
    assert [number for (number,) in numbers] == list(range(16))
    check(world.url)


async def test_one_lease_id_in_two_contexts_at_once_takes_one_trial(world: World) -> None:
    study = await world.study(context=[TASK])
    for round_ in range(10):
        await put(world, study, A, round_ / 10)
        await put(world, study, B, round_ / 10)
        lease, barrier = uuid.uuid4(), asyncio.Barrier(2)

        async def one(
            context: dict[str, Any],
            lease: uuid.UUID = lease,
            barrier: asyncio.Barrier = barrier,
        ) -> Any:
            await barrier.wait()
            return await take(world, study, context, lease)

        found = await asyncio.gather(one(A), one(B), return_exceptions=True)
        refused = [error for error in found if isinstance(error, LeaseInUse)]
        assert len(refused) == 1
        assert await world.one("select count(*) from trial") == round_ + 1
        await world.rows("delete from suggestion")
    check(world.url)


async def test_an_ask_that_finds_nothing_says_in_which_context_it_waits(world: World) -> None:
    study = await world.study(context=[SIZE])
    assert await take(world, study, {"size": 10}) is None
    assert await take(world, study, {"size": 20}) is None
    assert await take(world, study, {"size": 20}) is None
    assert await world.rows("select context, count(*) from demand group by context order by 2") == [
        ({"size": 10}, 1),
        ({"size": 20}, 2),
    ]
    async with world.pool.connection() as connection:
        found = {one.context["size"]: one.demands for one in await survey(connection)}
    assert found == {10: 1, 20: 2}


async def test_the_survey_keeps_the_contexts_asked_lately_and_no_more(world: World) -> None:
    study = await world.study(context=[SIZE], budget={"trials": 100})
    for size in range(1, 13):
        await made_ahead(world, study, {"size": size}, 0.5)
        assert await take(world, study, {"size": size})
    await made_ahead(world, study, {"size": 12}, 0.25, 0.75)
    async with world.pool.connection() as connection:
        found = await survey(connection)
    sizes = {one.context["size"] for one in found}
    assert sizes == set(range(13 - KEPT_CONTEXTS, 13))
    assert {one.here for one in found} == {1}
    assert all(one.running == 12 and one.local.running == 1 for one in found)
    assert sum(one.buffered for one in found) == 2
    assert sum(one.share for one in found) == pytest.approx(KEPT_CONTEXTS / 12)


async def test_what_was_made_for_contexts_of_long_ago_is_forgotten(world: World) -> None:
    study = await world.study(context=[SIZE])
    for size in range(1, 2 * KEPT_CONTEXTS + 1):
        await made_ahead(world, study, {"size": size}, 0.5, 0.6)
        assert await take(world, study, {"size": size})
    left = await world.rows("select context ->> 'size' from suggestion")
    assert KEPT_CONTEXTS <= len(left) <= KEPT_CONTEXTS + 1
    waits = {"size": 1}
    await made_ahead(world, study, waits, 0.7)
    await made_ahead(world, study, {"size": 999}, 0.7)
    left = await world.rows("select context ->> 'size' from suggestion")
    assert ("1",) not in left
    assert ("999",) in left


async def test_a_study_without_a_context_is_one_row_of_the_survey(world: World) -> None:
    await world.study()
    async with world.pool.connection() as connection:
        (found,) = await survey(connection)
    assert (found.context, found.here, found.share) == (None, None, 1.0)
    assert found.local is found


async def test_a_context_that_is_used_up_ends_for_those_who_ask_in_it(world: World) -> None:
    study = await world.study(context=[TASK], budget={"trials": 10})
    await put(world, study, A, 0.5, exhausted="search space exhausted")
    running = await take(world, study, A)
    assert await take(world, study, A) is None  # its worker may be lost, and it come back
    await world.rows(
        "update trial set state = 'completed', finished_at = now(), objective = 1 where id = %s",
        running.id,
    )
    await world.rows("delete from lease")
    await world.rows("update study_counter set running = 0, finished = 1")
    with pytest.raises(StudyEnded, match="this context"):
        await take(world, study, A)
    assert await take(world, study, B) is None
    await put(world, study, B, 0.5)
    assert (await take(world, study, B)).context == B
    assert await world.one("select state from study") == "active"


def test_a_config_has_a_hash_in_each_context() -> None:
    config = {"x": 0.5}
    assert config_hash(config) == config_hash(config, {}) == config_hash(config, None)
    assert len({config_hash(config, context) for context in (None, A, B)}) == 3
    two = {"size": 1, "task": "a"}
    assert config_hash(config, two) == config_hash(config, dict(reversed(two.items())))


async def test_who_cannot_serve_a_context_is_refused_when_the_study_is_made(world: World) -> None:
    with pytest.raises(UnsupportedStudy, match="context"):
        await world.study(context=[TASK], searcher={"kind": "botorch"})


async def make(client: httpx.AsyncClient, **options: Any) -> httpx.Response:
    body = {
        "name": f"s{uuid.uuid4().hex}",
        "space": SPACE,
        "objectives": [{"metric": "loss"}],
        "context": [TASK, SIZE],
        **options,
    }
    return await client.post("/v1/studies", json=body)


async def ask(client: httpx.AsyncClient, study: str, **more: Any) -> httpx.Response:
    body = {"lease_id": str(uuid.uuid4()), "worker": "w", "wait": 0, **more}
    return await client.post(f"/v1/studies/{study}/trials:ask", json=body)


HERE = {"task": "b", "size": 100}


async def test_a_context_is_shown_wherever_the_config_is(app_client: httpx.AsyncClient) -> None:
    made = (await make(app_client)).json()
    assert [parameter["name"] for parameter in made["context"]] == ["task", "size"]
    path = f"/v1/studies/{made['id']}"
    body = {"configs": [{"x": 0.5}], "context": HERE}
    assert (await app_client.post(f"{path}/trials", json=body)).status_code == 201
    again = await app_client.post(f"{path}/trials", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "config_exists")
    other = {"configs": [{"x": 0.5}], "context": {**HERE, "task": "a"}}
    assert (await app_client.post(f"{path}/trials", json=other)).status_code == 201
    lease = str(uuid.uuid4())
    asked = await ask(app_client, made["id"], lease_id=lease, context={**HERE, "size": 100.0})
    assert asked.json()["trial"]["context"] == HERE
    trial = asked.json()["trial"]["id"]
    elsewhere = await ask(app_client, made["id"], lease_id=lease, context={**HERE, "size": 5})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "lease_in_use")
    told = {"lease_id": lease, "outcome": {"kind": "completed", "values": {"loss": 1}}}
    assert (await app_client.post(f"/v1/trials/{trial}:tell", json=told)).status_code == 200
    assert (await app_client.get(f"/v1/trials/{trial}")).json()["context"] == HERE
    best = (await app_client.get(f"{path}/best")).json()["trial"]
    assert (best["context"], best["config"]) == (HERE, {"x": 0.5})
    assert (await app_client.get(path)).json()["best"]["context"] == HERE
    where = {"where": "context.task=b,context.size>50"}
    items = (await app_client.get(f"{path}/trials", params=where)).json()["items"]
    assert [item["context"] for item in items] == [HERE]
    changes = (await app_client.get(f"{path}/changes")).json()["items"]
    assert [item["context"]["task"] for item in changes] == ["a", "b"]
    lines = (await app_client.get(f"{path}/export", params={"format": "jsonl"})).text.splitlines()
    assert json.loads(lines[0])["context"] == HERE
    rows = list(csv.DictReader(io.StringIO((await app_client.get(f"{path}/export")).text)))
    assert [(row["context.task"], row["context.size"]) for row in rows] == [
        ("b", "100"),
        ("a", "100"),
    ]
    retried = await app_client.post(f"/v1/trials/{trial}:retry", json={})
    shown = (await app_client.get(f"/v1/trials/{retried.json()['id']}")).json()
    assert (shown["context"], shown["config"]) == (HERE, {"x": 0.5})


@pytest.mark.parametrize(
    ("context", "field"),
    [
        ({}, "context.task"),
        ({"task": "a"}, "context.size"),
        ({"task": "c", "size": 5}, "context.task"),
        ({"task": "a", "size": 0}, "context.size"),
        ({"task": "a", "size": 1e300}, "context.size"),
        ({"task": "a", "size": True}, "context.size"),
        ({"task": None, "size": 5}, "context.task"),
        ({"task": "a", "size": 5, "x": 0.5}, "context.x"),
        ({"task": "a", "size": [5]}, "context.size"),
        ([], "context"),
        ({"task": "a" * 5000, "size": 5}, "context.task"),
        ({f"p{k}": k for k in range(101)}, "context"),
    ],
)
async def test_a_hostile_context_is_refused_by_name(
    app_client: httpx.AsyncClient, context: Any, field: str
) -> None:
    study = (await make(app_client)).json()["id"]
    bodies = {
        f"/v1/studies/{study}/trials:ask": {
            "lease_id": str(uuid.uuid4()), "worker": "w", "wait": 0, "context": context,
        },
        f"/v1/studies/{study}/trials": {"configs": [{"x": 0.5}], "context": context},
        f"/v1/studies/{study}/trials:import": {
            "trials": [{"config": {"x": 0.5}, "values": {"loss": 1}, "context": context}]
        },
    }  # fmt: skip
    for path, body in bodies.items():
        answer = await app_client.post(path, json=body)
        assert answer.status_code == 422, answer.text
        assert any(field in error["field"] for error in answer.json()["errors"]), answer.text
    assert (await app_client.get(f"/v1/studies/{study}/trials")).json()["items"] == []


async def test_a_study_without_a_context_takes_none(app_client: httpx.AsyncClient) -> None:
    study = (await make(app_client, context=[])).json()["id"]
    answer = await ask(app_client, study, context={"task": "a"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "context.task"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"context": [{**SIZE, "name": "x"}]}, "name of another parameter"),
        ({"context": [TASK, TASK]}, "name of another parameter"),
        ({"context": [{**SIZE, "default": 5}]}, "default"),
        ({"context": [TASK, {**SIZE, "when": [{"parameter": "task", "in": ["a"]}]}]}, "conditions"),
        ({"context": [{**SIZE, "low": 9, "high": 3}]}, "low"),
        ({"context": [{"kind": "float", "name": "c", "low": 0}]}, "high"),
        ({"context": [{**TASK, "name": f"t{k}"} for k in range(21)]}, "20"),
        ({"context": {"task": TASK}}, "context"),
        ({"first": [{"x": 0.5}]}, "enqueue"),
        ({"searcher": {"kind": "botorch"}}, "context"),
        ({"managed": {"run": {"kind": "recipe", "name": "demo"}}}, "fleet"),
    ],
)
async def test_what_a_study_with_a_context_cannot_be(
    app_client: httpx.AsyncClient, options: dict[str, Any], word: str
) -> None:
    answer = await make(app_client, **options)
    assert answer.status_code == 422, answer.text
    assert word in answer.text


async def test_the_fleet_cannot_be_given_one_later(app_client: httpx.AsyncClient) -> None:
    study = (await make(app_client)).json()["id"]
    body = {"managed": {"run": {"kind": "recipe", "name": "demo"}}}
    headers = {"If-Match": "*"}
    answer = await app_client.patch(f"/v1/studies/{study}", json=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "managed"
    renamed = await app_client.patch(
        f"/v1/studies/{study}", json={"notes": "n", "managed": None}, headers=headers
    )
    assert renamed.status_code == 200


async def test_defaults_are_not_run_by_themselves(app_client: httpx.AsyncClient) -> None:
    space = {"parameters": [{**SPACE["parameters"][0], "default": 0.5}]}
    study = (await make(app_client, space=space)).json()["id"]
    assert (await app_client.get(f"/v1/studies/{study}/trials")).json()["items"] == []
