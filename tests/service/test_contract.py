"""Schemathesis makes up requests for every route: every answer is one that is written down.

What it finds of hostile values is little (tests/service/test_hostile.py is for these); what it is
good at is the contract: statuses, media types and bodies as service/openapi.json says.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from service import openapi
from service.auth.bootstrap import ensure_key
from service.auth.keys import new_key
from service.settings import Settings

schema = schemathesis.openapi.from_dict(json.loads(openapi.PLACE.read_text()))
schema.config.phases.coverage.enabled = False  # thousands of cases: minutes
EXAMPLES = 8  # for each route


@pytest.fixture(scope="module")
def contract(
    postgres: Any,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
    serve: Callable[..., Any],
) -> Iterator[tuple[Any, dict[str, str]]]:
    """A server, and the ids of a study and a trial in it."""
    found = Settings(
        database_url=postgres.create(template=template),
        storage=str(tmp_path_factory.mktemp("contract")),
        bootstrap_key=new_key(),
    )
    ensure_key(found)
    with serve(found) as server, server.client() as client:
        yield server, _objects(client)


def _objects(client: httpx.Client) -> dict[str, str]:
    parameter = {"kind": "float", "name": "x", "low": 0, "high": 1, "default": 0.5}
    body = {
        "name": "contract",
        "space": {"parameters": [parameter]},
        "objectives": [{"metric": "loss"}],
    }
    study = client.post("/v1/studies", json=body).json()
    trial = client.get("/v1/studies/contract/trials").json()["items"][0]
    return {"study": study["id"], "trial": trial["id"], "key": "nobody"}


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_written_down(case: Any, contract: tuple[Any, dict[str, str]]) -> None:
    server, ids = contract
    # Real ids, so that most requests get past the first door.
    for name in case.path_parameters or {}:
        case.path_parameters[name] = ids[name]
    if case.method == "DELETE" and "study" in case.path:
        case.path_parameters["study"] = "st_" + "0" * 22
    if case.path.endswith(":ask") and isinstance(case.body, dict):
        case.body["wait"] = 0
    if "wait" in (case.query or {}):
        case.query["wait"] = 0
    case.call_and_validate(
        base_url=server.url,
        headers={"Authorization": f"Bearer {server.key}"},
        checks=(
            schemathesis.checks.not_a_server_error,
            schemathesis.checks.CHECKS.get_one("status_code_conformance"),
            schemathesis.checks.CHECKS.get_one("content_type_conformance"),
            schemathesis.checks.CHECKS.get_one("response_schema_conformance"),
        ),
    )
