"""What must hold in any database, whatever has happened to the processes on it.

`check` reads one database; `check_acknowledged` holds it against what workers were answered.  Both
raise AssertionError with every violation found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any
from uuid import UUID

import psycopg

# Each query finds violations; none of them may find a row.
INVARIANTS: Mapping[str, str] = {
    "a trial ended more than once": """
        select t.public_id, count(*) from event e join trial t on t.id = e.trial_id
         where e.kind in ('trial_completed', 'trial_stopped', 'trial_infeasible', 'trial_failed',
                          'trial_cancelled')
         group by 1 having count(*) > 1
    """,
    "an ended trial has no event of its end, or one that has not ended has one": """
        select t.public_id, t.state from trial t
         where (t.finished_at is not null) <> exists (
           select from event e where e.trial_id = t.id and e.kind = 'trial_' || t.state
              and t.state not in ('queued', 'running'))
    """,
    "an attempt was claimed other than once": """
        select t.public_id, a.number, count(e.id) from attempt a join trial t on t.id = a.trial_id
          left join event e on e.trial_id = t.id and e.kind = 'trial_started'
               and (e.detail->>'attempt')::int = a.number
         group by 1, 2 having count(e.id) <> 1
    """,
    "attempts are not 1, 2, ... up to the trial's": """
        select t.public_id, t.attempt, count(a.number), max(a.number)
          from trial t left join attempt a on a.trial_id = t.id
         group by t.id having t.attempt <> count(a.number)
             or coalesce(max(a.number), 0) <> t.attempt
    """,
    "running without a lease, or a lease without running": """
        select t.public_id, t.state, l.trial_id from trial t full join lease l on l.trial_id = t.id
         where coalesce(t.state, '') = 'running' and l.trial_id is null
            or l.trial_id is not null and coalesce(t.state, '') <> 'running'
    """,
    "a lease of another attempt than the trial's": """
        select t.public_id from lease l join trial t on t.id = l.trial_id
          join attempt a on a.trial_id = t.id and a.number = l.attempt
         where l.attempt <> t.attempt or a.lease_id <> l.lease_id
            or t.last_lease_id is distinct from l.lease_id or a.ended_at is not null
    """,
    "an attempt that is open while its trial does not run": """
        select t.public_id, a.number from attempt a join trial t on t.id = a.trial_id
         where a.ended_at is null and (t.state <> 'running' or a.number <> t.attempt)
    """,
    "numbers with gaps": """
        select s.public_id, count(t.id), min(t.number), max(t.number), k.next_number
          from study s join study_counter k on k.study_id = s.id
          left join trial t on t.study_id = s.id
         where s.state <> 'deleted'
         group by s.id, k.study_id
        having count(t.id) <> k.next_number or coalesce(min(t.number), 0) <> 0
            or coalesce(max(t.number), -1) <> k.next_number - 1
    """,
    "counters that do not count": """
        select s.public_id, k.running, k.finished, k.failed
          from study s join study_counter k on k.study_id = s.id
          left join trial t on t.study_id = s.id
         where s.state <> 'deleted'
         group by s.id, k.study_id
        having k.running <> count(*) filter (where t.state = 'running')
            or k.finished <> count(*) filter (where t.finished_at is not null)
            or k.failed <> count(*) filter (
                 where t.state = 'failed' and t.origin->>'by' is distinct from 'import')
    """,
    "a trial changed after its study's version": """
        select t.public_id from trial t join study_counter k on k.study_id = t.study_id
         where t.changed_version > k.version
    """,
    "a config twice": """
        select study_id, config_hash from trial where not replicate
         group by 1, 2 having count(*) > 1
    """,
    "more trials than the budget": """
        select s.public_id from study s join study_counter k on k.study_id = s.id
         where k.next_number - k.imported > s.budget_trials and not exists (
           select from trial t where t.study_id = s.id and t.origin->>'by' in ('user', 'retry'))
    """,
    "a point of an attempt that the trial never had": """
        select t.public_id, m.step from metric m join trial t on t.id = m.trial_id
         where m.attempt > t.attempt
    """,
    "a point of an earlier attempt beyond where a told trial ended": """
        select t.public_id, m.step from metric m join trial t on t.id = m.trial_id
         where t.told_by is not null and m.attempt < t.attempt
           and m.step > greatest(
             (select max(o.step) from metric o where o.trial_id = t.id and o.attempt = t.attempt),
             (select c.step from checkpoint c where c.id = t.checkpoint_id), -1)
    """,
    "told by another lease than its last attempt's": """
        select t.public_id from trial t join attempt a on a.trial_id = t.id and a.number = t.attempt
         where t.told_by is not null and (t.told_by <> a.lease_id or a.end_reason <> 'told')
    """,
    "a trial that goes on from a checkpoint that was never committed": """
        select t.public_id from trial t left join checkpoint c on c.id = t.checkpoint_id
         where t.checkpoint_id is not null and c.committed_at is null
    """,
    "two running batches, or suggestions of a batch that is not there": """
        select study_id from batch where state = 'running' group by 1 having count(*) > 1
    """,
    "a suggestion whose config is a trial's": """
        select g.study_id from suggestion g join trial t
            on t.study_id = g.study_id and t.config_hash = g.config_hash and not t.replicate
    """,
    "two decisions that contradict each other in one attempt": """
        select d.trial_id, d.attempt from decision d
         where d.kind = 'stop' and exists (
           select from decision o where o.trial_id = d.trial_id and o.attempt = d.attempt
              and o.step > d.step)
    """,
    "a connection idle in a transaction": """
        select pid from pg_stat_activity
         where datname = current_database() and state like 'idle in transaction%'
           and state_change < clock_timestamp() - interval '2 seconds'
    """,
}


@dataclass
class Acknowledged:
    """What workers were answered: filled by a test as the answers come."""

    points: list[tuple[str, int, str, int, float]] = field(default_factory=list)
    told: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    claims: dict[UUID, tuple[str, int]] = field(default_factory=dict)

    def point(self, trial: str, attempt: int, metric: str, step: int, value: float) -> None:
        """The server said that it has this point."""
        self.points.append((trial, attempt, metric, step, value))

    def tell(self, trial: str, attempt: int, lease: UUID, state: str) -> None:
        """The server said that the trial ended so."""
        assert trial not in self.told or self.told[trial] == (attempt, str(lease), state)
        self.told[trial] = (attempt, str(lease), state)

    def claim(self, lease: UUID, trial: str, attempt: int) -> None:
        """The server gave the lease this attempt at the trial."""
        assert self.claims.setdefault(lease, (trial, attempt)) == (trial, attempt)


def check(database_url: str, *, deadlocks: int = 0) -> None:
    """Raise AssertionError for everything that does not hold in the database."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        found = {name: _rows(connection, query) for name, query in INVARIANTS.items()}
        counted = _rows(
            connection,
            "select deadlocks from pg_stat_database where datname = current_database()",
        )
    wrong = {name: rows[:5] for name, rows in found.items() if rows}
    if counted[0][0] > deadlocks:
        wrong["deadlocks"] = counted
    assert not wrong, wrong


def check_acknowledged(database_url: str, acknowledged: Acknowledged) -> None:
    """Raise AssertionError when something that was acknowledged is not there."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        wrong = [
            *_lost_points(connection, acknowledged.points),
            *_lost_tells(connection, acknowledged.told),
            *_lost_claims(connection, acknowledged.claims),
        ]
    assert not wrong, wrong[:10]


def _rows(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def _lost_points(
    connection: psycopg.Connection[Any], points: Sequence[tuple[str, int, str, int, float]]
) -> list[str]:
    """The value of the highest acknowledged attempt must be there, unless a later one undid it.

    A later attempt undoes a point by storing the same step anew, or by ending before it.
    """
    query = """
        select t.public_id, n.name, m.step, m.attempt, m.value from metric m
          join trial t on t.id = m.trial_id
          join metric_name n on n.study_id = t.study_id and n.id = m.metric_id
    """
    stored = {(t, n, s): (a, v) for t, n, s, a, v in _rows(connection, query)}
    last = {
        trial: (attempt, told)
        for trial, attempt, told in _rows(
            connection, "select public_id, attempt, told_by is not null from trial"
        )
    }
    best: dict[tuple[str, str, int], tuple[int, float]] = {}
    for trial, attempt, metric, step, value in points:
        key = (trial, metric, step)
        if key not in best or best[key][0] < attempt:
            best[key] = (attempt, value)
    wrong = []
    for key, (attempt, value) in best.items():
        final, told = last[key[0]]
        if key not in stored:
            if not (told and final > attempt):
                wrong.append(f"acknowledged point {key} of attempt {attempt} is gone")
        elif stored[key][0] < attempt or (
            stored[key][0] == attempt and not _same(stored[key][1], value)
        ):
            wrong.append(f"point {key}: acknowledged {(attempt, value)}, stored {stored[key]}")
    return wrong


def _same(a: float, b: float) -> bool:
    return a == b or (isnan(a) and isnan(b))


def _lost_tells(
    connection: psycopg.Connection[Any], told: Mapping[str, tuple[int, str, str]]
) -> list[str]:
    query = "select public_id, attempt, told_by::text, state from trial"
    stored = {t: (a, b, s) for t, a, b, s in _rows(connection, query)}
    return [
        f"trial {trial}: acknowledged {tell}, stored {stored[trial]}"
        for trial, tell in told.items()
        if stored[trial] != tell
    ]


def _lost_claims(
    connection: psycopg.Connection[Any], claims: Mapping[UUID, tuple[str, int]]
) -> list[str]:
    query = """
        select a.lease_id, t.public_id, a.number from attempt a join trial t on t.id = a.trial_id
    """
    stored = {lease: (trial, number) for lease, trial, number in _rows(connection, query)}
    return [
        f"lease of {claim}: stored {stored.get(lease)}"
        for lease, claim in claims.items()
        if stored.get(lease) != claim
    ]
