"""A study's spec as the search layer's own types, and as the documents that are stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from pydantic import TypeAdapter

from search.parameters import Parameter
from search.problem import Objective, OutcomeConstraint, Problem
from search.registry import SchedulerSettings, SearcherSettings
from search.scheduler import Scheduler
from search.searcher import Searcher
from search.space import SearchSpace

SPACE: TypeAdapter[SearchSpace] = TypeAdapter(SearchSpace)
OBJECTIVES: TypeAdapter[Sequence[Objective]] = TypeAdapter(Sequence[Objective])
CONSTRAINTS: TypeAdapter[Sequence[OutcomeConstraint]] = TypeAdapter(Sequence[OutcomeConstraint])
CONTEXT: TypeAdapter[Sequence[Parameter]] = TypeAdapter(Sequence[Parameter])
SEARCHER: TypeAdapter[Searcher] = TypeAdapter(SearcherSettings)
SCHEDULER: TypeAdapter[Scheduler] = TypeAdapter(SchedulerSettings)

LOAD = """
select s.seed, v.space, v.objectives, v.constraints, v.context, v.searcher, v.scheduler
  from study_spec v join study s on s.id = v.study_id
 where v.study_id = %s and v.version = %s
"""


@dataclass(frozen=True)
class Spec:
    """What a study searches, and how."""

    problem: Problem
    searcher: Searcher
    scheduler: Scheduler


def parse_spec(seed: int, documents: Mapping[str, Any]) -> Spec:
    """The spec in the documents of a row of `study_spec`."""
    problem = Problem(
        space=SPACE.validate_python(documents["space"]),
        objectives=OBJECTIVES.validate_python(documents["objectives"]),
        constraints=CONSTRAINTS.validate_python(documents["constraints"]),
        context=CONTEXT.validate_python(documents["context"] or ()),
        seed=seed,
    )
    return Spec(
        problem=problem,
        searcher=SEARCHER.validate_python(documents["searcher"]),
        scheduler=SCHEDULER.validate_python(documents["scheduler"]),
    )


def dump_spec(spec: Spec) -> dict[str, Any]:
    """The documents that `parse_spec` reads; no context is None."""
    context = spec.problem.context
    return {
        "context": CONTEXT.dump_python(context, mode="json") if context else None,
        "space": SPACE.dump_python(spec.problem.space, mode="json"),
        "objectives": OBJECTIVES.dump_python(spec.problem.objectives, mode="json"),
        "constraints": CONSTRAINTS.dump_python(spec.problem.constraints, mode="json"),
        "searcher": SEARCHER.dump_python(spec.searcher, mode="json"),
        "scheduler": SCHEDULER.dump_python(spec.scheduler, mode="json"),
    }


async def load_spec(connection: AsyncConnection[Any], study_id: int, version: int) -> Spec:
    """Read a spec; raises LookupError when there is none."""
    row = await (await connection.execute(LOAD, (study_id, version))).fetchone()
    if row is None:
        raise LookupError(f"study {study_id} has no spec of version {version}")
    names = ("space", "objectives", "constraints", "context", "searcher", "scheduler")
    return parse_spec(row[0], dict(zip(names, row[1:], strict=True)))
