"""Reading a study's trials: once, and then only what has changed.

What is kept is a cache: losing it costs a longer query.  Measurements are left out: no searcher
reads them (a trial's values say what it came to), and there may be millions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection

from search.trial import Trial, TrialState
from service.schemas.base import NON_FINITE

# One statement, one snapshot: versions grow under the lock of study_counter, so that whatever was
# committed up to this version is here.
CHANGED = """
select k.version, t.number, t.config, t.state, t.values, t.origin, p.number, t.attempt
  from study_counter k
  left join trial t on t.study_id = k.study_id and t.changed_version > %(since)s
  left join trial p on p.id = t.parent_id
 where k.study_id = %(study)s
"""


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
    connection: AsyncConnection[Any], study_id: int, since: int
) -> tuple[int, dict[int, Trial]]:
    """The study's version now, and every trial that changed after `since`."""
    cursor = await connection.execute(CHANGED, {"study": study_id, "since": since}, prepare=True)
    rows = await cursor.fetchall()
    if not rows:
        raise LookupError(f"study {study_id} is gone")
    return rows[0][0], {row[1]: _trial(row) for row in rows if row[1] is not None}


def _trial(row: tuple[Any, ...]) -> Trial:
    _, number, config, state, values, origin, parent, attempt = row
    return Trial(
        number=number,
        config=config,
        state=TrialState(state),
        values={name: _number(value) for name, value in (values or {}).items()},
        origin=origin,
        parent=parent,
        attempt=attempt,
    )


def _number(value: float | str) -> float:
    return NON_FINITE[value] if isinstance(value, str) else float(value)
