"""Lists of trials: filters, the `where` language, sorting, pages that miss and repeat nothing."""

from typing import Any

import psycopg
import pytest
from httpx import AsyncClient

from service.errors import InvalidRequest
from service.views.where import parse_where


async def numbers(client: AsyncClient, **params: Any) -> list[int]:
    found: list[int] = []
    while True:
        answer = await client.get("/v1/studies/digits/trials", params={"limit": 2, **params})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [item["number"] for item in page["items"]]
        if page["next"] is None:
            return found
        params["cursor"] = page["next"]


@pytest.fixture(scope="module")
async def filled(shared_client: AsyncClient, space: Any, trials_in: Any) -> AsyncClient:
    """A client of an app whose study `digits` has trials 0..6 in many states, with ties."""
    body = {"name": "digits", "space": space, "objectives": [{"metric": "loss"}]}
    study = (await shared_client.post("/v1/studies", json=body)).json()
    url = shared_client.app.state.settings.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        _fill(trials_in(connection), study)
    return shared_client


def _fill(trials: Any, study: dict[str, Any]) -> None:
    add = trials.add
    add(study, loss=0.5, config={"lr": 0.01, "optimizer": "adamw", "batch, size": 1})
    add(study, loss=0.1, config={"lr": 0.02, "optimizer": "sgd", "momentum": 0.5, "batch, size": 2})
    add(
        study,
        state="failed",
        reason="oom",
        config={"lr": 0.03, "optimizer": "1", "batch, size": True},
    )
    add(
        study,
        loss=0.5,
        tags=["good"],
        config={"lr": 0.04, "optimizer": "adamw", "batch, size": None},
    )
    add(
        study,
        state="running",
        config={"lr": 0.05, "optimizer": "sgd", "momentum": 0.9, "batch, size": 1},
    )
    add(study, state="queued", config={"lr": 0.06, "optimizer": "adamw", "batch, size": 1})
    add(
        study,
        state="infeasible",
        values={"loss": "NaN"},
        reason="non_finite",
        config={"lr": 0.07, "optimizer": "adamw", "batch, size": 1},
    )


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6]),
        ("lr<0.03", [0, 1]),
        ("lr>=0.03, lr<=5e-2", [2, 3, 4]),
        ("optimizer=adamw", [0, 3, 5, 6]),
        ("optimizer!=adamw", [1, 2, 4]),
        ("optimizer=1", [2]),
        ('optimizer="1"', [2]),
        ("momentum>0", [1, 4]),
        ("momentum=0.5", [1]),
        ("momentum!=0.5", [0, 2, 3, 4, 5, 6]),  # inactive is not 0.5
        ('"batch, size"=1', [0, 4, 5, 6]),
        ('"batch, size"=1.0', [0, 4, 5, 6]),
        ('"batch, size"=true', [2]),
        ('"batch, size"=null', [3]),
        ('"batch, size"="1"', []),
        ("value<0.5", [1]),
        ("value>=0.5", [0, 3]),
        ("value=0.1", [1]),
        ("value!=0.1", [0, 2, 3, 4, 5, 6]),
        ("metric.loss<1", [0, 1, 3]),
        ("metric.loss=NaN", [6]),
        ("number>2,number!=4", [3, 5, 6]),
        ("reason=oom", [2]),
        ("tag=good", [3]),
        ("tag!=good", [0, 1, 2, 4, 5, 6]),
        ("worker=w,attempt=1", [0, 1, 2, 3, 4, 6]),
        ("nobody=1", []),
        ("config.lr=0.01", [0]),
    ],
)
async def test_where_keeps_what_it_says(
    filled: AsyncClient, where: str, expected: list[int]
) -> None:
    assert await numbers(filled, where=where) == expected


@pytest.mark.parametrize(
    "where",
    [
        "lr",
        "lr<",
        "lr<abc",
        "lr<1e9999",
        "=1",
        "lr=1,,lr=2",
        "reason<3",
        "tag>1",
        "value=adamw",
        '"lr=1',
        '"\\u0000"=1',
        '"\\ud800"=1',
        ",".join(["lr=1"] * 21),
        "x" * 2001,
        "lr<1;drop table trial",
    ],
)
async def test_a_where_that_cannot_be_read_is_refused(filled: AsyncClient, where: str) -> None:
    answer = await filled.get("/v1/studies/digits/trials", params={"where": where})
    assert answer.status_code == 422, answer.text
    assert "where" in answer.json()["detail"]


@pytest.mark.parametrize(
    "value", ["'; drop table trial; --", "%s", "%(x)s", "a'b", "日本", "{}", ":x"]
)
async def test_values_never_reach_the_statement(filled: AsyncClient, value: str) -> None:
    assert value not in "".join(parse_where(f"optimizer={value}").sql)
    assert await numbers(filled, where=f"optimizer={value}") == []
    assert await numbers(filled, where=f'"{value}"=1') == []


def test_a_where_is_bounded() -> None:
    with pytest.raises(InvalidRequest, match="20 conditions"):
        parse_where(",".join(["lr=1"] * 21))


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("number", [0, 1, 2, 3, 4, 5, 6]),
        ("-number", [6, 5, 4, 3, 2, 1, 0]),
        ("value", [1, 0, 3, 2, 4, 5, 6]),  # ties and what has no value: by number
        ("-value", [0, 3, 1, 2, 4, 5, 6]),
        ("created", [0, 1, 2, 3, 4, 5, 6]),
        ("-created", [6, 5, 4, 3, 2, 1, 0]),
        ("finished", [0, 1, 2, 3, 6, 4, 5]),
        ("-finished", [6, 3, 2, 1, 0, 4, 5]),
    ],
)
async def test_pages_follow_the_order_without_gaps(
    filled: AsyncClient, sort: str, expected: list[int]
) -> None:
    assert await numbers(filled, sort=sort) == expected


async def test_states_are_filtered(filled: AsyncClient) -> None:
    assert await numbers(filled, state=["completed", "queued"]) == [0, 1, 3, 5]
    answer = await filled.get("/v1/studies/digits/trials", params={"state": "lost"})
    assert answer.status_code == 422


@pytest.mark.parametrize("sort", ["number", "value", "created", "finished"])
async def test_a_forged_cursor_is_refused(filled: AsyncClient, sort: str) -> None:
    import base64
    import json

    for key in (["x", 1], [1, 1], ["0", "0"], ["\x00", 1], ["0", 2**70], [None, 1], ["\ud800", 1]):
        forged = base64.urlsafe_b64encode(json.dumps(key).encode()).decode()
        answer = await filled.get(
            "/v1/studies/digits/trials", params={"sort": sort, "cursor": forged}
        )
        assert answer.status_code == 422, (key, answer.text)
