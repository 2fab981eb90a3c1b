"""Every setting of every searcher and scheduler that is wrong is named by its path in the body."""

import types
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

import pytest

from search.registry import SCHEDULERS, SEARCHERS

Refused: TypeAlias = Callable[[Any], Awaitable[dict[str, Any]]]
REQUIRED: Mapping[str, Mapping[str, Any]] = {
    "ASHA": {"max_steps": 9},
    "Fidelity": {"high": 9},
    "Phased": {"first": {"kind": "sobol"}, "then": {"kind": "gp"}, "after": 3},
}


def members(hint: Any) -> list[type]:
    """The dataclasses that a setting's annotation names."""
    if get_origin(hint) in (Union, types.UnionType):
        return [found for each in get_args(hint) for found in members(each)]
    return [hint] if is_dataclass(hint) and isinstance(hint, type) else []


def faults(settings: type, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Settings with one setting wrong at a time, each with the path of that."""
    base = dict(REQUIRED.get(settings.__name__, {}))
    needed = {f.name for f in fields(settings) if f.default is f.default_factory is MISSING}
    assert needed <= set(base), f"say in REQUIRED what {settings.__name__} needs"
    hints = get_type_hints(settings)
    for name, hint in hints.items():
        if name in {f.name for f in fields(settings)} - {"kind"}:
            yield f"{path}.{name}", {**base, name: True}
            kinds = {hint, *get_args(hint)}
            values = (-1e300, 1e300) if float in kinds else (-(2**52), 2**52)
            for value in values if {int, float} & kinds else ():
                yield f"{path}.{name}", {**base, name: value}
            for member in members(hint):
                tag = {f.name: f.default for f in fields(member) if f.name == "kind"}
                for field, inner in faults(member, f"{path}.{name}") if name != "first" else ():
                    yield field, {**base, name: tag | inner}


METHODS = [
    pytest.param(where, kind, field, settings, id=f"{where}-{kind}-{number}-{field}")
    for where, known in (("searcher", SEARCHERS), ("scheduler", SCHEDULERS))
    for kind, method in known.items()
    for number, (field, settings) in enumerate(faults(method, where))
]


def test_the_registry_was_read_for_faults() -> None:
    found = {parameter.values[2] for parameter in METHODS}
    assert len(METHODS) > 200
    assert {
        "searcher.candidates",
        "searcher.cost.power",
        "searcher.surrogate.depth",
        "searcher.then.initial",
        "searcher.then.surrogate.noise",
        "scheduler.min_trials",
    } <= found


@pytest.mark.parametrize(("where", "kind", "field", "settings"), METHODS)
async def test_every_setting_out_of_its_range_is_named(
    refused: Refused, where: str, kind: str, field: str, settings: Any
) -> None:
    problem = await refused(
        {
            "name": "s",
            "space": {"parameters": [{"kind": "float", "name": "x", "low": 0, "high": 1}]},
            "objectives": [{"metric": "loss"}],
            where: {"kind": kind, **settings},
        }
    )
    [error] = problem["errors"]
    assert error["field"] == field
    assert ", got " in error["message"]
    assert problem["detail"] == f"{field}: {error['message']}"
