"""How studies stand, as far as it decides whether to compute suggestions for them."""

from dataclasses import dataclass, replace
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

KEPT_CONTEXTS = 8  # of a study, for which suggestions are made ahead
LATEST_TRIALS = 256  # that tell which those are
SHORTEST_TRIAL = 0.25  # seconds; workers of shorter ones take what they get
AT_A_TIME = 1.05  # of the latest trials; fewer is one worker, more are several
MOST_STUDIES = 1_000  # in one survey; those that waited for suggestions first

# How long the latest trials ran, by their own study, and how many of them at a time, pauses
# included: null while none has ended.  Imported ones did not run here.
TRIAL_SECONDS = """
select avg(extract(epoch from t.finished_at - t.started_at))::float8 as trial_seconds,
       (sum(extract(epoch from t.finished_at - t.started_at))
        / nullif(extract(epoch from max(t.finished_at) - min(t.started_at)), 0))::float8 as together
  from (select started_at, case when started_at is not null then finished_at end as finished_at
          from trial t
         where t.study_id = s.id order by t.changed_version desc limit 20) t
"""

# A study with a context has a row for each context that somebody waits in, and for the few that
# were asked for lately; any other study has one row.
CONTEXTS = f"""
select null::jsonb as context, null::int as here, 1::float8 as share where v.context is null
union all
select context, here, share
  from (select a.context, count(*) filter (where a.running)::int as here,
               count(a.number)::float8 / greatest(1, sum(count(a.number)) over ()::float8) as share,
               bool_or(a.waits) as waits,
               row_number() over (order by max(a.number) desc nulls last) as rank
          from ((select t.context, t.number, t.state = 'running' as running, false as waits
                   from trial t where t.study_id = s.id and v.context is not null
                  order by t.number desc limit {LATEST_TRIALS})
                union all
                select d.context, null, false, true
                  from demand d where d.study_id = s.id and v.context is not null
                   and d.expires_at > clock_timestamp()) a
         group by a.context) known
 where waits or rank <= {KEPT_CONTEXTS}
"""  # noqa: S608  (made of constants)

SURVEY = f"""
select s.id as study_id, s.spec_version, s.budget_trials - (k.next_number - k.imported) as left,
       s.budget_trials as budget,
       k.next_number, k.running, k.finished, k.imported, k.version,
       c.context, c.here, c.share, buffer.buffered, buffer.seen,
       (select count(*) from preference p where p.study_id = s.id) as answers,
       d.demands, coalesce(d.waited, 0) as waited,
       coalesce(b.state = 'running' and b.expires_at > clock_timestamp(), false) as busy,
       e.exhausted is not null as exhausted, coalesce(b.seconds, 0) as fit_seconds,
       extract(epoch from clock_timestamp() - b.finished_at)::float8 as since_fit,
       r.trial_seconds, r.together
  from study s
  join study_counter k on k.study_id = s.id
  join study_spec v on v.study_id = s.id and v.version = s.spec_version
  cross join lateral ({CONTEXTS}) c
  cross join lateral (
    select count(*) as buffered, max(g.seen) as seen from suggestion g
     where g.study_id = s.id and g.context is not distinct from c.context) buffer
  cross join lateral (
    select count(*) as demands,
           extract(epoch from clock_timestamp() - min(d.created_at))::float8 as waited
      from demand d where d.study_id = s.id and d.expires_at > clock_timestamp()
       and d.context is not distinct from c.context) d
  cross join lateral ({TRIAL_SECONDS}) r
  left join lateral (
    select * from batch b where b.study_id = s.id order by b.number desc limit 1) b on true
  left join lateral (
    select e.exhausted from batch e
     where e.study_id = s.id and e.context is not distinct from c.context
     order by e.number desc limit 1) e on true
 where s.state = 'active'
 order by d.waited desc nulls last, s.id desc, buffer.seen nulls first
 limit %s
"""  # noqa: S608  (made of constants)


@dataclass(frozen=True, slots=True)
class Standing:
    """An active study in one context: its counters, its buffer, who waits, its latest batch."""

    study_id: int
    spec_version: int
    left: int | None  # of the budget; None: there is none
    next_number: int
    running: int
    finished: int  # with those that were imported
    imported: int
    version: int
    buffered: int  # suggestions that nobody has asked for yet
    seen: int | None  # finished trials, and answers, that the buffer's makers had read
    demands: int  # asks that wait
    waited: float  # seconds that the first of them has waited
    busy: bool  # somebody computes a batch
    exhausted: bool  # the latest batch found the space at its end
    fit_seconds: float  # what the latest batch took
    since_fit: float | None  # seconds since it ended
    trial_seconds: float | None  # how long the latest trials ran; None while none has ended
    context: dict[str, Any] | None = None  # None: the study has none
    here: int | None = None  # of the running trials, those in the context
    share: float = 1.0  # of the latest trials, those in the context
    answers: int = 0  # of people, about which of its trials are better
    budget: int | None = None  # trials in all, without those that were imported
    together: float | None = None  # of the latest trials, how many ran at a time

    @property
    def begun(self) -> int:
        """Trials that workers have asked for; imported ones, and those still queued, are none."""
        return self.running + self.finished - self.imported

    @property
    def local(self) -> "Standing":
        """The same with the running trials of the context alone."""
        return self if self.here is None else replace(self, running=self.here)

    @property
    def alone(self) -> bool:
        """Whether one worker runs trials one after another."""
        lately = self.together is not None and self.together < AT_A_TIME
        return lately and self.running + self.demands <= 1

    @property
    def appetite(self) -> float:
        """Trials per second that its workers would run if none of them had to wait."""
        if self.trial_seconds is None:
            return 0.0
        return (self.running + self.demands) / max(SHORTEST_TRIAL, self.trial_seconds)


async def survey(connection: AsyncConnection[Any]) -> list[Standing]:
    """All active studies, in each context that is to be looked after."""
    async with connection.cursor(row_factory=class_row(Standing)) as cursor:
        await cursor.execute(SURVEY, (MOST_STUDIES,), prepare=True)
        return await cursor.fetchall()
