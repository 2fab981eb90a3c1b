"""Which trials did best: the one, or with several objectives the front."""

import asyncio
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from service.db.rows import Row, fetch_all, fetch_one
from service.schemas.base import NON_FINITE
from service.schemas.front import Best, Pareto
from service.studies.completion import FEASIBLE
from service.studies.read import best_summaries
from service.studies.spec import OBJECTIVES
from service.views.trials import SELECT, trial_item

MOST = 1_000  # trials in an answer
CANDIDATES = f"""
select t.id, t.values from trial t
  join study_spec v on v.study_id = t.study_id and v.version = t.spec_version
 where t.study_id = %(study)s and t.state = 'completed' and {FEASIBLE}
 order by t.number
"""  # noqa: S608
GOALS = """
select v.objectives from study s
  join study_spec v on v.study_id = s.id and v.version = s.spec_version where s.id = %(study)s
"""


async def best(connection: AsyncConnection[Any], study_id: int) -> Best:
    """The best completed trial: ties go to the lower number; none with several objectives.

    Of a noisy objective, the one of which a model expects most.
    """
    found = (await best_summaries(connection, [study_id])).get(study_id)
    if found is None:
        return Best(trial=None)
    rows = await fetch_all(
        connection, f"{SELECT} where t.public_id = %(trial)s", {"trial": found.trial}
    )
    chosen = found.model_dump(include={"by", "mean", "sd", "seen"})
    return Best(trial=trial_item(rows[0]), **chosen)


async def candidates(connection: AsyncConnection[Any], study_id: int) -> list[Row]:
    """Every trial that may be on the front, with its losses."""
    row = await fetch_one(connection, GOALS, {"study": study_id})
    objectives = OBJECTIVES.validate_python(row["objectives"]) if row else ()
    rows = await fetch_all(connection, CANDIDATES, {"study": study_id})
    for row in rows:
        values = [row["values"].get(objective.metric) for objective in objectives]
        row["losses"] = [
            objective.loss(NON_FINITE.get(value, value))
            for objective, value in zip(objectives, values, strict=True)
            if value is not None
        ]
    return [row for row in rows if _finite(row["losses"], len(objectives))]


async def front_ids(found: list[Row]) -> list[int]:
    """The private ids of those that no other beats; computed beside the event loop."""
    places = await asyncio.to_thread(front_places, [row["losses"] for row in found])
    return [found[place]["id"] for place in places[:MOST]]


def front_places(losses: Sequence[Sequence[float]]) -> list[int]:
    """The places, in order, of the losses that no other dominates.

    The same as search.pareto.non_dominated, in numpy: where 10,000 trials are all on the front,
    plain Python would hold up every other request for half a minute.
    """
    import numpy as np

    if not losses:
        return []
    X = np.asarray(losses)
    order = np.lexsort(X.T[::-1])  # nothing is dominated by what comes after it
    columns = np.ascontiguousarray(X[order].T)
    place = 0
    while place < len(order):
        after = columns[:, place + 1 :]
        point = columns[:, place, None]
        kept = (after < point).any(axis=0) | (after == point).all(axis=0)
        if not kept.all():
            kept = np.concatenate([np.ones(place + 1, dtype=bool), kept])
            order, columns = order[kept], np.ascontiguousarray(columns[:, kept])
        place += 1
    return sorted(int(found) for found in order)


async def pareto(connection: AsyncConnection[Any], ids: list[int]) -> Pareto:
    """These trials, in order of number."""
    rows = await fetch_all(
        connection, f"{SELECT} where t.id = any(%(ids)s) order by t.number", {"ids": ids}
    )
    return Pareto(items=[trial_item(row) for row in rows])


def _finite(losses: list[float], wanted: int) -> bool:
    return len(losses) == wanted and all(loss < float("inf") for loss in losses)
