"""The API's contract, service/openapi.json: what FastAPI knows of the routes, and what all share.

`python -m service.openapi --write` writes the file, `--check` fails when it is out of date.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.http.problems import answers
from service.schemas.others import Problem

PLACE = Path(__file__).with_name("openapi.json")
DESCRIPTION = """
Ask for a config, report measurements, tell the result: from a laptop, a cluster job or a Ray worker
alike.  Every error is `application/problem+json` (RFC 9457) with a `code` for programs.  Lists
answer with `items` and `next`, the cursor of the page after.  A request that may be sent twice says
so: `ask` by its `lease_id`, making studies and trials by an `Idempotency-Key`.
"""
_VERBS = ("get", "post", "put", "patch", "delete")


def document(app: FastAPI) -> dict[str, Any]:
    """The app's OpenAPI document."""
    found: dict[str, Any] = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=DESCRIPTION.strip(),
        routes=app.routes,
        openapi_version="3.1.0",
    )
    for path, _, operation in operations(found):
        _security(operation)
        _errors(path, operation)
    schemas = found["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    return found


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of a document, with its path and its verb."""
    for path, item in found["paths"].items():
        for verb in _VERBS:
            if verb in item:
                yield path, verb, item[verb]


def text(found: dict[str, Any]) -> str:
    """The document as the file holds it."""
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _security(operation: dict[str, Any]) -> None:
    """Any one of the scopes will do, which OpenAPI says by alternatives."""
    for requirement in operation.pop("security", ()):
        scopes = requirement["key"]
        operation["security"] = [{"key": [scope]} for scope in scopes] or [{"key": []}]


def _errors(path: str, operation: dict[str, Any]) -> None:
    """What any operation of its kind answers, besides what its route says."""
    statuses: list[int] = []
    if "requestBody" in operation:
        statuses += [400, 413, 415]
    if "security" in operation:
        statuses += [401, 503]
        if operation["security"] != [{"key": []}]:
            statuses.append(403)
    if "{" in path:
        statuses.append(404)
    known = operation["responses"]
    if known.pop("422", None) is not None:
        statuses.append(422)
    known.update({str(status): answer for status, answer in answers(*statuses).items()})
    operation["responses"] = {status: known[status] for status in sorted(known)}


def main(arguments: list[str] | None = None) -> int:
    """Write or check service/openapi.json; 0 when it is as it should be."""
    from service.app import create_app
    from service.settings import Settings

    parser = argparse.ArgumentParser(description=__doc__)
    act = parser.add_mutually_exclusive_group(required=True)
    act.add_argument("--write", action="store_true", help="write the file")
    act.add_argument("--check", action="store_true", help="fail when the file is out of date")
    wanted = text(document(create_app(Settings(storage="-"))))
    if parser.parse_args(arguments).write:
        PLACE.write_text(wanted, encoding="utf-8")
        return 0
    if PLACE.exists() and PLACE.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{PLACE} is out of date: run `python -m service.openapi --write`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
