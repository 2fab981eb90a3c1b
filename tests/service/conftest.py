"""What tests of the API share: studies by name, trials put into the database, other keys."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest
from httpx import ASGITransport, AsyncClient
from psycopg.types.json import Jsonb

from service.app import create_app, lifespan
from service.auth.bootstrap import ensure_key
from service.auth.keys import digest, new_key, public_part
from service.settings import Settings
from service.trials.identity import config_hash, new_trial_id

SPACE = {
    "parameters": [
        {"kind": "float", "name": "lr", "low": 1e-5, "high": 0.1, "log": True},
        {"kind": "choice", "name": "optimizer", "choices": ["adamw", "sgd", "1"]},
        {
            "kind": "float",
            "name": "momentum",
            "low": 0.0,
            "high": 0.99,
            "when": [{"parameter": "optimizer", "in": ["sgd"]}],
        },
        {"kind": "choice", "name": "batch, size", "choices": [1, 2, True, None]},
    ]
}

Make = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="session")
def space() -> dict[str, Any]:
    """A space with a condition, a choice of mixed types, and a name with a comma in it."""
    return json.loads(json.dumps(SPACE))


@pytest.fixture(scope="session")
async def shared_client(
    postgres: Any, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AsyncClient]:
    """A client of one app for all tests that change nothing: an app of one's own takes time."""
    found = Settings(
        database_url=postgres.create(template=template),
        storage=str(tmp_path_factory.mktemp("shared")),
        key_pepper="pepper",
        bootstrap_key=new_key(),
    )
    ensure_key(found)
    app = create_app(found)
    headers = {"Authorization": f"Bearer {found.bootstrap_key.get_secret_value()}"}
    transport = ASGITransport(app)
    async with (
        lifespan(app),
        AsyncClient(transport=transport, base_url="http://test", headers=headers) as client,
    ):
        client.app = app
        yield client


def _resolves(body: Any, field: str) -> bool:
    """Whether the body has the field, or what it would lie in."""
    *way, last = field.split(".")
    for part in way:
        if isinstance(body, list):
            body = body[int(part)]
        elif part in body:
            body = body[part]
        else:
            return False
    return isinstance(body, dict) or (isinstance(body, list) and int(last) < len(body))


@pytest.fixture
def refused(shared_client: AsyncClient) -> Callable[[Any], Awaitable[dict[str, Any]]]:
    """What is said of a study that is refused; every field that it names is in the body."""

    async def post(body: Any) -> dict[str, Any]:
        answer = await shared_client.post("/v1/studies", json=body)
        problem: dict[str, Any] = answer.json()
        assert answer.status_code == 422, (body, problem)
        for error in problem["errors"]:
            assert _resolves(body, error["field"]), (body, error)
        return problem

    return post


@pytest.fixture
def make(app_client: AsyncClient) -> Make:
    """Make a study: `await make("digits", budget={"trials": 3})`."""

    async def make_study(name: str = "digits", **more: Any) -> dict[str, Any]:
        body = {"name": name, "space": SPACE, "objectives": [{"metric": "loss"}], **more}
        answer = await app_client.post("/v1/studies", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make_study


@pytest.fixture
def db(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection to the database behind the app, each statement committed at once."""
    url = settings.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


class Trials:
    """Puts trials into a study as workers would have left them."""

    def __init__(self, db: psycopg.Connection) -> None:
        self._db = db

    def add(
        self,
        study: dict[str, Any],
        *,
        state: str = "completed",
        config: dict[str, Any] | None = None,
        loss: float | None = None,
        values: dict[str, Any] | None = None,
        reason: str | None = None,
        points: dict[str, list[float]] | None = None,
        tags: list[str] | None = None,
    ) -> str:
        """Add a trial; its public id.  `points` are measurements by metric, from step 0."""
        with self._db.transaction():
            study_id, number, version = self._take_number(study["id"], state)
            config = config or {"lr": 0.001 + number / 1e6, "optimizer": "adamw", "batch, size": 1}
            public_id = new_trial_id()
            values = values or ({} if loss is None else {"loss": loss})
            row = self._db.execute(
                """
                insert into trial (public_id, study_id, number, state, config, config_hash, origin,
                    attempt, values, objective, reason, tags, changed_version, started_at,
                    finished_at)
                values (%(public_id)s, %(study)s, %(number)s, %(state)s, %(config)s, %(hash)s,
                    '{"by": "user"}', %(attempt)s, %(values)s, %(loss)s, %(reason)s, %(tags)s,
                    %(version)s, case when %(state)s <> 'queued' then clock_timestamp() end,
                    case when %(state)s not in ('queued', 'running') then clock_timestamp() end)
                returning id
                """,
                {
                    "public_id": public_id,
                    "study": study_id,
                    "number": number,
                    "state": state,
                    "config": Jsonb(config),
                    "hash": config_hash(config),
                    "attempt": 0 if state == "queued" else 1,
                    "values": Jsonb(values),
                    "loss": loss,
                    "reason": reason,
                    "tags": tags or [],
                    "version": version,
                },
            ).fetchone()
            if state != "queued":
                self._attempt(row[0], state)
            for place, (metric, series) in enumerate((points or {}).items(), 1):
                self._points(study_id, row[0], place, metric, series)
        return public_id

    def _take_number(self, study: str, state: str) -> tuple[int, int, int]:
        return self._db.execute(
            """
            update study_counter n set next_number = next_number + 1, version = version + 1,
                   running = running + %(running)s, finished = finished + %(finished)s
              from study s where s.id = n.study_id and s.public_id = %(study)s
            returning n.study_id, next_number - 1, n.version
            """,
            {
                "study": study,
                "running": int(state == "running"),
                "finished": int(state not in {"running", "queued"}),
            },
        ).fetchone()

    def _attempt(self, trial_id: int, state: str) -> None:
        self._db.execute(
            "insert into attempt (trial_id, number, lease_id, worker, log_tail)"
            " values (%s, 1, gen_random_uuid(), 'w', 'the end')",
            (trial_id,),
        )
        if state == "running":
            self._db.execute(
                "insert into lease (trial_id, lease_id, attempt, worker, expires_at)"
                " select trial_id, lease_id, 1, 'w', clock_timestamp() + interval '1 hour'"
                "   from attempt where trial_id = %s",
                (trial_id,),
            )

    def _points(
        self, study_id: int, trial_id: int, place: int, metric: str, series: list[float]
    ) -> None:
        self._db.execute(
            "insert into metric_name values (%s, %s, %s) on conflict do nothing",
            (study_id, place, metric),
        )
        self._db.execute(
            "insert into metric (trial_id, metric_id, step, attempt, value)"
            " select %s, id, place - 1, 1, value"
            "   from metric_name, unnest(%s::float8[]) with ordinality p(value, place)"
            "  where study_id = %s and name = %s",
            (trial_id, series, study_id, metric),
        )


@pytest.fixture(scope="session")
def trials_in() -> type[Trials]:
    """Puts trials into a study of any database: `trials_in(connection).add(study)`."""
    return Trials


@pytest.fixture
def trials(db: psycopg.Connection) -> Trials:
    """Puts trials into a study: `trials.add(study, loss=0.5)`."""
    return Trials(db)


class Keys:
    """Makes keys of any project, in any condition."""

    def __init__(self, db: psycopg.Connection, settings: Settings) -> None:
        self._db = db
        self._pepper = settings.key_pepper.get_secret_value()

    def __call__(
        self, *scopes: str, project: str = "default", expired: bool = False, revoked: bool = False
    ) -> dict[str, str]:
        """Headers with a new key: `keys("run")`, `keys("admin", project="others")`."""
        key = new_key()
        self._db.execute(
            "insert into project (name) values (%s) on conflict do nothing", (project,)
        )
        self._db.execute(
            "insert into api_key (project_id, public_id, name, digest, scopes, expires_at,"
            " revoked_at) select id, %s, 'test', %s, %s, now() + %s * interval '1 day',"
            " case when %s then now() end from project where name = %s",
            (
                public_part(key),
                digest(key, self._pepper),
                list(scopes),
                -1 if expired else 1,
                revoked,
                project,
            ),
        )
        return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="session")
def keys_in() -> type[Keys]:
    """Makes keys in any database: `keys_in(connection, settings)("run")`."""
    return Keys
