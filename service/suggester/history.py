"""Reading a study's trials: once, and then only what has changed.

What is kept is a cache: losing it costs a longer query.  Of the measurements, a model gets the
curves of the first objective, which tell what a trial that was stopped would still have gained and
how long each took; curves of more than MOST_STEPS points are left out: there may be millions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection

from search.trial import Measurement, Trial, TrialState
from service.schemas.base import NON_FINITE

# One statement, one snapshot: versions grow under the lock of study_counter, so that whatever was
# committed up to this version is here.
CHANGED = """
select k.version, t.number, t.config, t.state, t.values, t.errors, t.gradients, t.context, t.origin,
       p.number, t.attempt, t.planned, curve.steps, curve.points, curve.times
  from study_counter k
  left join trial t on t.study_id = k.study_id and t.changed_version > %(since)s
  left join trial p on p.id = t.parent_id
  left join lateral (
    select array_agg(m.step order by m.step) as steps, array_agg(m.value order by m.step) as points,
           array_agg(m.elapsed order by m.step) as times
      from (select step, value, elapsed from metric
             where trial_id = t.id
               and metric_id = (select id from metric_name
                                 where study_id = k.study_id and name = %(curves)s)
             limit %(most)s) m
  ) curve on t.state in ('completed', 'stopped')
 where k.study_id = %(study)s
"""
MOST_STEPS = 1000


@dataclass(slots=True)
class Trials:
    """The trials of a study up to a version."""

    version: int = -1
    by_number: dict[int, Trial] = field(default_factory=dict)

    def update(self, version: int, changed: Mapping[int, Trial]) -> None:
        """Take over what has changed."""
        self.version = version
        self.by_number.update(changed)

    def in_order(self) -> list[Trial]:
        """All trials, by number."""
        return [self.by_number[number] for number in sorted(self.by_number)]

    def finished(self) -> int:
        """How many have ended."""
        return sum(trial.state.final for trial in self.by_number.values())


async def read_changed(
    connection: AsyncConnection[Any], study_id: int, since: int, *, curves: str | None = None
) -> tuple[int, dict[int, Trial]]:
    """The study's version now, and every trial that changed after `since`.

    `curves` names the metric whose measurements come with the trials; None: there are none.
    """
    values = {"study": study_id, "since": since, "curves": curves, "most": MOST_STEPS + 1}
    cursor = await connection.execute(CHANGED, values, prepare=True)
    rows = await cursor.fetchall()
    if not rows:
        raise LookupError(f"study {study_id} is gone")
    return rows[0][0], {row[1]: _trial(row, curves) for row in rows if row[1] is not None}


def _trial(row: tuple[Any, ...], metric: str | None) -> Trial:
    _, number, config, state, values, errors, gradients, context, origin, *rest = row
    parent, attempt, planned, steps, points, times = rest
    return Trial(
        number=number,
        config=config,
        state=TrialState(state),
        measurements=_curve(metric, steps or (), points or (), times or ()),
        values={name: _number(value) for name, value in (values or {}).items()},
        errors=errors or {},
        gradients=gradients or {},
        origin=origin,
        parent=parent,
        attempt=attempt,
        context=context or {},
        until=planned,
    )


def _curve(
    metric: str | None,
    steps: Sequence[int],
    points: Sequence[float],
    times: Sequence[float | None],
) -> tuple[Measurement, ...]:
    if metric is None or len(steps) > MOST_STEPS:
        return ()
    return tuple(
        Measurement(step=step, values={metric: value}, elapsed_seconds=elapsed)
        for step, value, elapsed in zip(steps, points, times, strict=True)
    )


def _number(value: float | str) -> float:
    return NON_FINITE[value] if isinstance(value, str) else float(value)
