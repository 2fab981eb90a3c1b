"""Studies that learn from earlier ones: what is copied, what is refused, what may happen later."""

from typing import Any

import psycopg
import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from search.errors import InvalidProblem
from service.resources import Resources
from service.studies.spec import load_spec
from service.studies.transfer import with_earlier

SPACE = {
    "parameters": [
        {"kind": "float", "name": "x", "low": 0.0, "high": 1.0},
        {"kind": "int", "name": "n", "low": 1, "high": 64},
    ]
}
WIDER = {"parameters": [{"kind": "float", "name": "x", "low": -1.0, "high": 2.0}]}
BOTORCH = {"searcher": {"kind": "botorch"}}


@pytest.fixture
async def earlier(make: Any, trials: Any) -> dict[str, Any]:
    """A study `before` with 10 completed trials, and one of each kind that is not."""
    study = await make("before", space=SPACE)
    for k in range(10):
        trials.add(study, config={"x": k / 10, "n": 1 + k}, loss=(k / 10 - 0.3) ** 2)
    trials.add(study, config={"x": 0.95, "n": 1}, state="infeasible", values={"loss": "NaN"})
    trials.add(study, config={"x": 0.96, "n": 1}, state="failed")
    trials.add(study, config={"x": 0.97, "n": 1}, state="cancelled")
    trials.add(study, config={"x": 0.98, "n": 1}, state="running")
    return study


async def spec_of(db: psycopg.Connection, study: dict[str, Any]) -> Any:
    """What a suggester loads of a study."""
    (private,) = db.execute("select id from study where public_id = %s", (study["id"],)).fetchone()
    async with await AsyncConnection.connect(db.info.dsn, password=db.info.password) as connection:
        return await with_earlier(connection, private, await load_spec(connection, private, 1))


async def test_results_are_copied_and_the_source_may_go(
    app_client: AsyncClient, make: Any, earlier: Any, db: psycopg.Connection
) -> None:
    made = await make("after", space=SPACE, transfer=["before"], seed=3, **BOTORCH)
    # The completed ones, the infeasible one at the worst loss, the failed one at the median.
    assert made["transfer"] == [{"study": earlier["id"], "name": "before", "points": 12}]
    before = await spec_of(db, made)
    (snapshot,) = before.problem.earlier
    assert snapshot.parameters == ("x", "n")
    assert snapshot.configs[3] == {"x": 0.3, "n": 4}
    assert snapshot.losses[3] == 0.0
    assert snapshot.losses[10] == max(snapshot.losses[:10])
    assert (await app_client.delete("/v1/studies/before")).status_code == 204
    assert await spec_of(db, made) == before
    assert (await app_client.get("/v1/studies/after")).json()["transfer"] == made["transfer"]


async def test_what_comes_in_later_changes_nothing(
    make: Any, earlier: Any, trials: Any, db: psycopg.Connection
) -> None:
    made = await make("after", space=SPACE, transfer=[earlier["id"]], **BOTORCH)
    before = await spec_of(db, made)
    trials.add(earlier, config={"x": 0.31, "n": 5}, loss=-1.0)
    assert await spec_of(db, made) == before


async def test_a_large_study_is_copied_in_part(
    make: Any, trials: Any, db: psycopg.Connection
) -> None:
    large = await make("before", space=SPACE)
    for k in range(230):
        trials.add(large, config={"x": k / 230, "n": 1}, loss=float(k))
    made = await make("after", space=SPACE, transfer=["before"], seed=5, **BOTORCH)
    (snapshot,) = (await spec_of(db, made)).problem.earlier
    assert made["transfer"][0]["points"] == len(snapshot.losses) == 200
    assert set(range(66)) <= set(snapshot.losses)  # the best third
    again = await make("again", space=SPACE, transfer=["before"], seed=5, **BOTORCH)
    assert (await spec_of(db, again)).problem.earlier == (snapshot,)


async def test_another_space_takes_what_fits(make: Any, earlier: Any, db: Any) -> None:
    made = await make("after", space=WIDER, transfer=["before"], **BOTORCH)
    (snapshot,) = (await spec_of(db, made)).problem.earlier
    assert snapshot.parameters == ("x",)
    assert snapshot.configs[3] == {"x": 0.3}


REFUSED = {
    "unknown": ({"transfer": ["nobody"]}, "transfer.0", "no study 'nobody'"),
    "itself": ({"transfer": ["after"]}, "transfer.0", "no study 'after'"),
    "twice": ({"transfer": ["before", "before"]}, "transfer.1", "given twice"),
    "metric": (
        {"transfer": ["before"], "objectives": [{"metric": "other"}]},
        "transfer.0",
        "does not minimize 'other'",
    ),
    "goal": (
        {"transfer": ["before"], "objectives": [{"metric": "loss", "goal": "maximize"}]},
        "transfer.0",
        "does not maximize 'loss'",
    ),
    "parameters": (
        {
            "transfer": ["before"],
            "space": {"parameters": [{"kind": "float", "name": "y", "low": 0, "high": 1}]},
        },
        "transfer.0",
        "shares no parameter",
    ),
    "values": (
        {
            "transfer": ["before"],
            "space": {"parameters": [{"kind": "float", "name": "x", "low": 5, "high": 6}]},
        },
        "transfer.0",
        "has 0 finished trials",
    ),
    "many": ({"transfer": ["before"] * 6}, "transfer", "at most 5"),
    "text": ({"transfer": "before"}, "transfer", "list"),
    "number": ({"transfer": [7]}, "transfer.0", "string"),
    "empty": ({"transfer": [""]}, "transfer.0", "at least 1"),
    "long": ({"transfer": ["a" * 200]}, "transfer.0", "at most 128"),
    "path": ({"transfer": ["../../etc"]}, "transfer.0", "no study"),
    "object": ({"transfer": [{"name": "before"}]}, "transfer.0", "string"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_learned_from_is_refused(
    app_client: AsyncClient, earlier: Any, case: str
) -> None:
    change, field, message = REFUSED[case]
    body = {"name": "after", "space": SPACE, "objectives": [{"metric": "loss"}], **BOTORCH}
    answer = await app_client.post("/v1/studies", json={**body, **change})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]
    assert (await app_client.get("/v1/studies/after")).status_code == 404


@pytest.mark.parametrize("kind", ["gp", "tpe", "random", "sobol", "grid"])
async def test_a_searcher_that_would_not_use_it_refuses(
    app_client: AsyncClient, earlier: Any, kind: str
) -> None:
    body = {"name": "after", "space": SPACE, "objectives": [{"metric": "loss"}]}
    answer = await app_client.post(
        "/v1/studies", json={**body, "searcher": {"kind": kind}, "transfer": ["before"]}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_study")
    assert "does not learn from earlier studies" in answer.json()["detail"]


async def test_another_project_is_as_good_as_unknown(
    app_client: AsyncClient, earlier: Any, keys_in: Any, db: Any, settings: Any
) -> None:
    body = {"name": "after", "space": SPACE, "objectives": [{"metric": "loss"}], **BOTORCH}
    answer = await app_client.post(
        "/v1/studies",
        json={**body, "transfer": [earlier["id"]]},
        headers=keys_in(db, settings)("write", project="others"),
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "transfer.0"


async def test_deleting_the_study_deletes_its_copy(
    app_client: AsyncClient, make: Any, earlier: Any, db: psycopg.Connection
) -> None:
    await make("after", space=SPACE, transfer=["before"], **BOTORCH)
    await app_client.delete("/v1/studies/after")
    resources: Resources = app_client.app.state.resources
    from service.studies.sweeper import sweep

    await sweep(resources.hot)
    assert db.execute("select count(*) from study_earlier").fetchone() == (0,)


def test_a_snapshot_of_another_space_is_no_part_of_a_problem() -> None:
    from search.earlier import EarlierStudy
    from search.parameters import FloatParameter
    from search.problem import Objective, Problem
    from search.space import SearchSpace

    space = SearchSpace(parameters=[FloatParameter(name="x", low=0.0, high=1.0)])
    points = {"configs": [{"x": 2.0}] * 3, "losses": [1.0] * 3}
    study = EarlierStudy(name="before", parameters=["x"], **points)
    with pytest.raises(InvalidProblem, match="not one of the space"):
        Problem(space=space, objectives=[Objective(metric="loss")], earlier=[study])
