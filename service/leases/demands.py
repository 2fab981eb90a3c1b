"""Who waits for a config: the rows that tell suggesters to work, and how a study stands."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from search.values import Config
from service.leases.claim import Wish
from service.leases.rows import fetch
from service.trials.context import stored

CHANNEL = "demand"
LINGER = 5.0  # seconds that a demand outlives its request, so that work for it is not dropped

# Only a new demand is worth waking a suggester for; one that is repeated has been heard.
DEMAND = """
with made as (
  insert into demand (lease_id, study_id, context, expires_at)
  values (%(lease)s, %(study)s, %(context)s,
          clock_timestamp() + make_interval(secs => %(seconds)s))
  on conflict (lease_id) do update
     set expires_at = excluded.expires_at, study_id = excluded.study_id, context = excluded.context
  returning xmax = 0 as new
)
select pg_notify('demand', %(study)s::text) from made where new
"""
MET = "delete from demand where lease_id = %s"

STANDING = """
select s.state, s.state_reason, s.deleted_at is not null as deleted, s.budget_trials,
       k.next_number, k.running, k.finished, k.imported,
       s.max_running is not null and k.running >= s.max_running as full,
       exists (select from suggestion g
                where g.study_id = s.id
                  and g.context is not distinct from %(context)s::jsonb) as suggested,
       (select b.exhausted from batch b
         where b.study_id = s.id and b.state = 'done'
           and b.context is not distinct from %(context)s::jsonb
         order by b.number desc limit 1) as exhausted,
       %(context)s::jsonb is not null as contextual
  from study s join study_counter k on k.study_id = s.id
 where s.id = %(study)s
"""


UNFINISHED = """
select from trial
 where study_id = %(study)s and state in ('queued', 'running') and context = %(context)s::jsonb
 limit 1
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
    suggested: bool  # in the context that was asked in, as below
    exhausted: str | None
    contextual: bool

    @property
    def spent(self) -> bool:
        """Whether no new trial will be made: the budget is used up, or the space is."""
        made = self.next_number - self.imported
        if self.budget_trials is not None and made >= self.budget_trials:
            return True
        return self.exhausted is not None and not self.suggested

    @property
    def used_up(self) -> bool:
        """Whether this context gets no new trial, while others may."""
        return self.contextual and self.exhausted is not None and not self.suggested

    @property
    def over(self) -> bool:
        """Whether no trial can come any more, not even one whose worker is lost."""
        return self.spent and self.finished == self.next_number


async def demand(
    connection: AsyncConnection[Any], study_id: int, wish: Wish, seconds: float
) -> None:
    """Say that an ask waits for a config in its context, for as many seconds."""
    values = {
        "study": study_id,
        "lease": wish.lease_id,
        "context": stored(wish.context),
        "seconds": seconds + LINGER,
    }
    await connection.execute(DEMAND, values)


async def met(connection: AsyncConnection[Any], lease_id: UUID) -> None:
    """The ask has its trial."""
    await connection.execute(MET, (lease_id,))


async def standing_of(
    connection: AsyncConnection[Any], study_id: int, context: Config
) -> StudyStanding | None:
    """How the study stands now, for an ask in this context; None when it is gone."""
    values = {"study": study_id, "context": stored(context)}
    return await fetch(connection, StudyStanding, STANDING, values)


async def none_left(connection: AsyncConnection[Any], study_id: int, context: Config) -> bool:
    """Whether all trials of this context have ended: none of them can come back."""
    values = {"study": study_id, "context": stored(context)}
    return await (await connection.execute(UNFINISHED, values)).fetchone() is None
