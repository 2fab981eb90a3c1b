"""From measurements as they were sent to rows: metric ids, one value for each key, and limits."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.errors import LimitExceeded
from service.leases.fence import Call, holds, lost

MAX_METRICS = 200  # in a study
MAX_POINTS = 100_000  # in a trial
# A process counts a trial's points when they may be many, then trusts the count for so many more:
# the limit may be passed by that much for every replica that the trial reports to.
TRUSTED = 2_000

NAMES = "select name, id from metric_name where study_id = %s"
# Fenced: a worker that lost its lease adds nothing.  Two processes may pick the same id: the rows
# of the second are left out, and it looks again.
NEW_NAMES = """
insert into metric_name (study_id, id, name)
select %(study)s, coalesce((select max(id) from metric_name where study_id = %(study)s), 0) + n,
       name
  from unnest(%(names)s::text[]) with ordinality as u(name, n)
 where exists (select from lease where trial_id = %(trial)s and lease_id = %(lease)s)
on conflict do nothing
"""
COUNT = "select count(*) from (select from metric where trial_id = %s limit %s) m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Metric values at one step, as they were sent."""

    step: int
    values: Mapping[str, float]
    elapsed_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Points:
    """The rows of a report, a list for each column; no (metric, step) stands there twice."""

    metric_ids: list[int]
    steps: list[int]
    values: list[float]
    elapsed: list[float | None]
    repeated: int  # points that were sent twice with the same value
    conflicting: int  # points that were sent twice with different values: the first counts

    def __len__(self) -> int:
        return len(self.steps)


def rows_of(measurements: Sequence[Measured], ids: Mapping[str, int]) -> Points:
    """The measurements as rows."""
    seen: dict[tuple[int, int], float] = {}
    elapsed: list[float | None] = []
    repeated = conflicting = 0
    for measurement in measurements:
        for name, value in measurement.values.items():
            key = (ids[name], measurement.step)
            if key not in seen:
                seen[key] = value
                elapsed.append(measurement.elapsed_seconds)
            elif same_number(seen[key], value):
                repeated += 1
            else:
                conflicting += 1
    metric_ids = [metric_id for metric_id, _ in seen]
    steps = [step for _, step in seen]
    return Points(metric_ids, steps, list(seen.values()), elapsed, repeated, conflicting)


def same_number(a: float, b: float) -> bool:
    """Equality under which NaN equals itself, as in the database."""
    return a == b or (math.isnan(a) and math.isnan(b))


async def metric_ids(call: Call, names: Iterable[str]) -> dict[str, int]:
    """The ids of the metrics; new names are added.

    Raises LimitExceeded for more names than a study may have, LeaseLost for a worker that may not
    add one.
    """
    wanted = dict.fromkeys(names)
    return call.known.metric_ids(call.trial.study.id, wanted) or await _learn(call, wanted)


async def _learn(call: Call, wanted: Iterable[str]) -> dict[str, int]:
    of_study = call.trial.study.id
    while True:
        rows = await (await call.connection.execute(NAMES, (of_study,))).fetchall()
        names: dict[str, int] = dict(rows)
        missing = [name for name in wanted if name not in names]
        if not missing:
            call.known.metrics.put(of_study, names)
            return {name: names[name] for name in wanted}
        if len(names) + len(missing) > MAX_METRICS:
            raise LimitExceeded(f"a study has at most {MAX_METRICS} metrics, this one {len(names)}")
        values = {"study": of_study, "names": missing, **call.key}
        added = await call.connection.execute(NEW_NAMES, values)
        if not added.rowcount and not await holds(call):
            raise lost(call.trial)


async def check_room(call: Call, *, points: int, last_step: int) -> None:
    """Raise LimitExceeded when the trial has all the points that it may have."""
    known, trial = call.known, call.trial
    metrics = len(known.metrics.get(trial.study.id) or {})
    if (last_step + 1) * metrics <= MAX_POINTS:
        return  # steps begin at 0 and each holds a metric once: it cannot have more
    room = known.room.get(trial.id)
    if room is None or room < points:
        cursor = await call.connection.execute(COUNT, (trial.id, MAX_POINTS + 1))
        row = await cursor.fetchone()
        assert row is not None
        if row[0] + points > MAX_POINTS:
            raise LimitExceeded(
                f"a trial has at most {MAX_POINTS} points, this one {row[0]}: report fewer steps"
            )
        room = max(points, min(TRUSTED, MAX_POINTS - row[0]))
    known.room.put(trial.id, room - points)
