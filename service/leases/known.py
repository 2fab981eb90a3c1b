"""What one process remembers between calls: facts that can never change, so that none is stale.

Losing any of it costs a query.  Whatever can change (states, leases, budgets) is read each time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from psycopg import AsyncConnection

from search.parameters import Parameter
from service.db.engine import HotPool
from service.errors import NotFound
from service.studies.spec import CONTEXT, Spec, load_spec

REMEMBERED = 10_000  # entries of each kind

FIND_STUDY = """
select s.id, s.public_id, s.project_id, s.seed, s.lease_seconds, v.context
  from study s join study_spec v on v.study_id = s.id and v.version = s.spec_version
 where s.project_id = %(project)s and s.deleted_at is null
   and (s.public_id = %(key)s or s.name = %(key)s)
"""
FIND_TRIAL = """
select t.id, t.number, t.spec_version, t.planned,
       s.id, s.public_id, s.project_id, s.seed, s.lease_seconds, v.context
  from trial t join study s on s.id = t.study_id
  join study_spec v on v.study_id = s.id and v.version = s.spec_version
 where t.public_id = %(key)s and s.project_id = %(project)s and s.deleted_at is null
"""


@dataclass(frozen=True, slots=True)
class KnownStudy:
    """A study, as far as it never changes."""

    id: int
    public_id: str
    project_id: int
    seed: int
    lease_seconds: float
    context: Sequence[Parameter] = ()


@dataclass(frozen=True, slots=True)
class KnownTrial:
    """A trial, as far as it never changes."""

    id: int
    public_id: str
    number: int
    spec_version: int
    study: KnownStudy
    planned: int | None = None  # the step up to which it is to run; None: a full run


Key = TypeVar("Key")
Entry = TypeVar("Entry")


class Latest(Generic[Key, Entry]):
    """A mapping that forgets what was put in longest ago."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._entries: dict[Key, Entry] = {}

    def get(self, key: Key) -> Entry | None:
        """The entry, if it is still remembered."""
        return self._entries.get(key)

    def put(self, key: Key, entry: Entry) -> Entry:
        """Remember the entry, and return it."""
        if key not in self._entries and len(self._entries) >= self._size:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = entry
        return entry


@dataclass(frozen=True)
class Known:
    """Everything that a process remembers."""

    studies: Latest[str, KnownStudy] = field(default_factory=Latest)
    trials: Latest[str, KnownTrial] = field(default_factory=Latest)
    specs: Latest[tuple[int, int], Spec] = field(default_factory=lambda: Latest(1_000))
    metrics: Latest[int, dict[str, int]] = field(default_factory=Latest)
    room: Latest[int, int] = field(default_factory=Latest)  # points that a trial may still have
    until: Latest[int, int | None] = field(default_factory=Latest)  # a guess at lease.until
    begun: Latest[int, bool] = field(default_factory=Latest)  # studies that have had a lease

    async def study(self, pool: HotPool, project_id: int, key: str) -> KnownStudy:
        """The study of a public id or a name; raises NotFound outside the project.

        Only ids are remembered: a name can move on to another study.
        """
        found = self.studies.get(key)
        if found is not None and found.project_id == project_id:
            return found
        async with pool.connection() as connection:
            cursor = await connection.execute(FIND_STUDY, {"project": project_id, "key": key})
            row = await cursor.fetchone()
        if row is None:
            raise NotFound(f"the project has no study {key!r:.160}")
        return self.remember_study(_study(row))

    async def trial(
        self, connection: AsyncConnection[Any], project_id: int, public_id: str
    ) -> KnownTrial:
        """The trial of a public id; raises NotFound outside the project."""
        found = self.trials.get(public_id)
        if found is not None and found.study.project_id == project_id:
            return found
        cursor = await connection.execute(FIND_TRIAL, {"project": project_id, "key": public_id})
        row = await cursor.fetchone()
        if row is None:
            raise NotFound(f"the project has no trial {public_id!r:.160}")
        study = self.remember_study(_study(row[4:]))
        return self.remember_trial(KnownTrial(row[0], public_id, row[1], row[2], study, row[3]))

    async def spec(self, connection: AsyncConnection[Any], study_id: int, version: int) -> Spec:
        """The spec of a study that exists."""
        key = (study_id, version)
        return self.specs.get(key) or self.specs.put(key, await load_spec(connection, *key))

    def remember_study(self, study: KnownStudy) -> KnownStudy:
        """Spare the next call a query."""
        return self.studies.put(study.public_id, study)

    def remember_trial(self, trial: KnownTrial) -> KnownTrial:
        """Spare the next call a query."""
        return self.trials.put(trial.public_id, trial)

    def metric_ids(self, study_id: int, names: Iterable[str]) -> dict[str, int] | None:
        """The ids of the metrics, unless one of them is not known here yet."""
        known = self.metrics.get(study_id) or {}
        found = {name: known[name] for name in names if name in known}
        return found if len(found) == len(set(names)) else None


def _study(row: Sequence[Any]) -> KnownStudy:
    *fields, context = row
    return replace(KnownStudy(*fields), context=tuple(CONTEXT.validate_python(context or ())))
