"""Who waits for a config: the rows that tell suggesters to work, and how a study stands."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from service.leases.rows import fetch

CHANNEL = "demand"
LINGER = 5.0  # seconds that a demand outlives its request, so that work for it is not dropped

# Only a new demand is worth waking a suggester for; one that is repeated has been heard.
DEMAND = """
with made as (
  insert into demand (lease_id, study_id, expires_at)
  values (%(lease)s, %(study)s, clock_timestamp() + make_interval(secs => %(seconds)s))
  on conflict (lease_id) do update
     set expires_at = excluded.expires_at, study_id = excluded.study_id
  returning xmax = 0 as new
)
select pg_notify('demand', %(study)s::text) from made where new
"""
MET = "delete from demand where lease_id = %s"

STANDING = """
select s.state, s.state_reason, s.deleted_at is not null as deleted, s.budget_trials,
       k.next_number, k.running, k.finished, k.imported,
       s.max_running is not null and k.running >= s.max_running as full,
       exists (select from suggestion g where g.study_id = s.id) as suggested,
       (select b.exhausted from batch b
         where b.study_id = s.id and b.state = 'done' order by b.number desc limit 1) as exhausted
  from study s join study_counter k on k.study_id = s.id
 where s.id = %(study)s
"""


@dataclass(frozen=True, slots=True)
class StudyStanding:
    """How a study stands, for an ask that found nothing to take."""

    state: str
    state_reason: str | None
    deleted: bool
    budget_trials: int | None
    next_number: int
    running: int
    finished: int
    imported: int
    full: bool
    suggested: bool
    exhausted: str | None

    @property
    def spent(self) -> bool:
        """Whether no new trial will be made: the budget is used up, or the space is."""
        made = self.next_number - self.imported
        if self.budget_trials is not None and made >= self.budget_trials:
            return True
        return self.exhausted is not None and not self.suggested

    @property
    def over(self) -> bool:
        """Whether no trial can come any more, not even one whose worker is lost."""
        return self.spent and self.finished == self.next_number


async def demand(
    connection: AsyncConnection[Any], study_id: int, lease_id: UUID, seconds: float
) -> None:
    """Say that an ask waits for a config, for as many seconds."""
    values = {"study": study_id, "lease": lease_id, "seconds": seconds + LINGER}
    await connection.execute(DEMAND, values)


async def met(connection: AsyncConnection[Any], lease_id: UUID) -> None:
    """The ask has its trial."""
    await connection.execute(MET, (lease_id,))


async def standing_of(connection: AsyncConnection[Any], study_id: int) -> StudyStanding | None:
    """How the study stands now; None when it is gone."""
    return await fetch(connection, StudyStanding, STANDING, {"study": study_id})
