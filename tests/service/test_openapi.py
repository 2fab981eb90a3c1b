"""The committed contract is the app's, and says what clients need."""

import json
from pathlib import Path
from typing import Any

import pytest

from service import openapi
from service.app import create_app
from service.settings import Settings


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return create_app(Settings(storage="-")).openapi()


def test_the_committed_contract_is_the_apps(found: dict[str, Any]) -> None:
    assert json.loads(openapi.PLACE.read_text()) == found
    assert openapi.main(["--check"]) == 0


def test_a_stale_contract_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "PLACE", tmp_path / "openapi.json")
    assert openapi.main(["--check"]) == 1
    assert openapi.main(["--write"]) == 0
    assert openapi.main(["--check"]) == 0


def test_unions_are_told_apart_by_kind(found: dict[str, Any]) -> None:
    unions: list[dict[str, Any]] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "oneOf" in node:
                unions.append(node)
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(found["components"]["schemas"])
    assert len(unions) >= 5
    for union in unions:
        assert union["discriminator"]["propertyName"] == "kind"
        assert len(union["discriminator"]["mapping"]) == len(union["oneOf"])


def test_errors_are_described_as_problems(found: dict[str, Any]) -> None:
    for path, verb, operation in openapi.operations(found):
        for status, answer in operation["responses"].items():
            if status >= "400" and path != "/readyz":  # read by machines that know no problems
                assert list(answer["content"]) == ["application/problem+json"], (path, verb)
        if path.startswith("/v1/") and path != "/v1/version":
            assert {"401", "503"} <= set(operation["responses"]), (path, verb)


def test_every_reference_leads_somewhere(found: dict[str, Any]) -> None:
    schemas = found["components"]["schemas"]
    for name in {
        part.split('"')[0] for part in json.dumps(found).split("#/components/schemas/")[1:]
    }:
        assert name in schemas
