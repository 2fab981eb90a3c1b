"""A study's spec as it travels, and whether two are the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.errors import InvalidSpec
from trimtab.models import Config, StudyInfo, Transferred
from trimtab.space import Parameter, Part, space_to_json
from trimtab.spec import Budget, Constraint, Method, method_to_json, objectives_to_json

__all__ = ["create_body", "differences", "managed", "objectives_to_json", "space_to_json"]


def create_body(
    *,
    name: str,
    space: Sequence[Part],
    context: Sequence[Parameter] = (),
    objectives: list[dict[str, Any]],
    constraints: Sequence[Constraint],
    searcher: Method,
    scheduler: Method,
    budget: Budget,
    first: Sequence[Config],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The body that creates a study; options that are None are left to the server."""
    spec = {
        "name": name,
        "space": space_to_json(space),
        "objectives": objectives,
        "constraints": [_constraint(constraint) for constraint in constraints],
        "searcher": method_to_json("searcher", searcher),
        "scheduler": method_to_json("scheduler", scheduler),
        "budget": budget.to_json(),
        "first": [dict(config) for config in first],
    }
    if context:
        spec["context"] = space_to_json(context)["parameters"]
    return spec | {name: value for name, value in options.items() if value is not None}


def differences(body: Mapping[str, Any], info: StudyInfo) -> list[str]:
    """The parts of a spec in which a study is not what the body asks for."""
    known: dict[str, Any] = {
        "space": info.space,
        "objectives": [objective.model_dump() for objective in info.objectives],
        "constraints": info.constraints,
        "context": info.context,
        "searcher": info.searcher,
        "scheduler": info.scheduler,
        "seed": info.seed,
    }
    # What is not said to be by preference is by a metric.
    objectives = [{"by": "metric"} | objective for objective in body["objectives"]]
    asked = {"context": [], **body, "objectives": objectives}
    differing = [part for part in known if part in asked and not _agrees(asked[part], known[part])]
    if "transfer" in body and not _same_studies(body["transfer"], info.transfer):
        differing.append("transfer")
    return differing


def _same_studies(asked: Sequence[str], known: Sequence[Transferred]) -> bool:
    """Whether each study is asked for by the id or the name that it had."""
    return len(asked) == len(known) and all(
        reference in (study.study, study.name)
        for reference, study in zip(asked, known, strict=True)
    )


def managed(
    target: str,
    *,
    arguments: Mapping[str, Any] | None,
    resources: Mapping[str, float] | None,
    parallel: int,
    max_seconds: float | None,
) -> dict[str, Any]:
    """How the fleet should run a study's trials, as it travels."""
    if not isinstance(target, str) or not target:
        raise InvalidSpec('run: expected "train.py:main" or the name of a recipe')
    if parallel < 1:
        raise InvalidSpec(f"run: expected parallel >= 1, got {parallel}")
    return {
        "run": _program(target, arguments),
        "resources": dict(resources) if resources is not None else {"cpu": 1},
        "parallel": parallel,
        "max_seconds": max_seconds,
    }


def _program(target: str, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    if ":" not in target:
        if target.endswith(".py"):
            raise InvalidSpec(f'run: name the function as well: "{target}:main"')
        return {"kind": "recipe", "name": target, "arguments": dict(arguments or {})}
    if arguments:
        raise InvalidSpec("run: arguments are for recipes; a program reads trial.config")
    return {"kind": "program", "path": target}


def _constraint(constraint: object) -> dict[str, Any]:
    if not isinstance(constraint, Constraint):
        raise InvalidSpec(f"constraints: expected tt.Constraint, got {constraint!r}")
    return constraint.to_json()


def _agrees(asked: Any, known: Any) -> bool:
    """Whether `known` holds all that was asked; what was not asked for may be anything."""
    if isinstance(asked, Mapping):
        return isinstance(known, Mapping) and all(
            _agrees(value, known[name]) if name in known else value in (None, [])
            for name, value in asked.items()
        )
    if isinstance(asked, list):
        return (
            isinstance(known, list) and len(asked) == len(known) and all(map(_agrees, asked, known))
        )
    return isinstance(asked, bool) == isinstance(known, bool) and bool(asked == known)
