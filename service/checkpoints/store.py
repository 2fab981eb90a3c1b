"""Checkpoints: announced, uploaded by the holder of the lease, committed, and only then offered."""

from dataclasses import dataclass
from typing import Any

from service.checkpoints.storage import size_of, uri_of
from service.errors import InvalidRequest, LimitExceeded, NotFound
from service.leases.fence import Call, lost
from service.leases.rows import fetch
from service.schemas.checkpoints import CheckpointCommitted, CheckpointCreate, CheckpointMade
from service.schemas.trials import CheckpointOffer

MAX_CHECKPOINTS = 10_000  # of a trial

# A repeat finds the row that the first one made.
ANNOUNCE = """
with l as (
  select trial_id, attempt from lease where trial_id = %(trial)s and lease_id = %(lease)s
), made as (
  insert into checkpoint (trial_id, attempt, step, sha256, size, key)
  select trial_id, attempt, %(step)s, %(sha256)s, %(size)s,
         format('%%s/%%s-%%s-%%s', %(folder)s::text, attempt, %(step)s::int, left(%(sha256)s, 12))
    from l
   where (select count(*) from checkpoint where trial_id = %(trial)s) < %(most)s
  on conflict (trial_id, attempt, step, sha256) do nothing
  returning key, size
)
select l.attempt, coalesce(made.key, c.key) as key, coalesce(made.size, c.size) as size
  from l left join made on true
  left join checkpoint c on c.trial_id = l.trial_id and c.attempt = l.attempt
       and c.step = %(step)s and c.sha256 = %(sha256)s
"""

# `held` is null for a lease that is lost.
FIND = """
select l.attempt as held, c.id, c.step, c.size, c.committed_at is not null as committed
  from (select) nothing
  left join lease l on l.trial_id = %(trial)s and l.lease_id = %(lease)s
  left join checkpoint c
       on c.trial_id = l.trial_id and c.key = %(key)s and c.attempt = l.attempt
"""

# Locks trial before lease.  The trial goes on from its latest attempt's furthest checkpoint.
COMMIT = """
with t as (
  select id, study_id, checkpoint_id from trial where id = %(trial)s for no key update
), l as (
  update lease set expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
    from t where trial_id = t.id and lease_id = %(lease)s
  returning trial_id, attempt
), committed as (
  update checkpoint c set committed_at = coalesce(c.committed_at, clock_timestamp())
    from l where c.id = %(checkpoint)s and c.attempt = l.attempt
  returning c.id, c.attempt, c.step, c.size
), moved as (
  update trial set checkpoint_id = committed.id
    from t, committed
   where trial.id = t.id and not exists (
     select from checkpoint o
      where o.id = t.checkpoint_id and o.attempt = committed.attempt and o.step > committed.step)
), logged as (
  insert into event (study_id, trial_id, kind, detail)
  select t.study_id, t.id, 'checkpoint_committed',
         jsonb_build_object('attempt', attempt, 'step', step, 'size', size)
    from t, committed
)
select step from committed
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A checkpoint as its holder finds it; `held` is None when the lease is lost."""

    held: int | None
    id: int | None
    step: int | None
    size: int | None
    committed: bool | None


@dataclass(frozen=True, slots=True)
class Announced:
    """Where a checkpoint goes; the key is None when the trial has too many."""

    attempt: int
    key: str | None
    size: int | None


def offer(
    storage: str, step: int | None, key: str | None, size: int | None, sha256: str | None
) -> CheckpointOffer | None:
    """A committed checkpoint as an ask offers it; None where there is none."""
    if step is None or key is None or size is None or sha256 is None:
        return None
    return CheckpointOffer(step=step, key=key, uri=uri_of(storage, key), size=size, sha256=sha256)


async def announce(call: Call, storage: str, body: CheckpointCreate) -> CheckpointMade:
    """Say where a checkpoint is to be put; a repeat says the same.

    Raises LeaseLost, LimitExceeded, and InvalidRequest for another size than announced before.
    """
    study = call.trial.study
    values = {
        **call.key,
        "folder": f"{study.project_id}/{study.public_id}/{call.trial.public_id}",
        "step": body.step,
        "sha256": body.sha256,
        "size": body.size,
        "most": MAX_CHECKPOINTS,
    }
    found = await fetch(call.connection, Announced, ANNOUNCE, values)
    if found is None:
        raise lost(call.trial)
    if found.key is None:
        raise LimitExceeded(f"a trial has at most {MAX_CHECKPOINTS} checkpoints")
    if found.size != body.size:
        raise InvalidRequest.at("size", f"this checkpoint was announced with {found.size} bytes")
    return CheckpointMade(key=found.key, uri=uri_of(storage, found.key))


async def find(call: Call, key: str) -> Found:
    """The checkpoint that the holder announced; raises LeaseLost, NotFound."""
    found = await fetch(call.connection, Found, FIND, {**call.key, "key": key})
    if found is None or found.held is None:
        raise lost(call.trial)
    if found.id is None:
        raise NotFound("this attempt announced no checkpoint with this key")
    return found


async def check_there(storage: str, key: str, size: int | None) -> None:
    """Raise InvalidRequest unless an object of the announced size lies under the key."""
    there = await size_of(storage, key)
    if there is None:
        raise InvalidRequest.at("key", "nothing lies there yet; upload before you commit")
    if there != size:
        raise InvalidRequest.at("key", f"expected {size} bytes there, found {there}")


async def commit(call: Call, key: str, checkpoint_id: int) -> CheckpointCommitted:
    """Let the next attempt go on from it; renews the lease; a repeat does nothing more.

    Raises LeaseLost.
    """
    values: dict[str, Any] = {
        **call.key,
        "seconds": call.trial.study.lease_seconds,
        "checkpoint": checkpoint_id,
    }
    row = await (await call.connection.execute(COMMIT, values)).fetchone()
    if row is None:
        raise lost(call.trial)
    return CheckpointCommitted(key=key, step=row[0])
