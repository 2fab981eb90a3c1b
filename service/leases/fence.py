"""The fence: a lease is renewed, and every write of its worker allowed, by its lease id alone.

Expiry refuses nothing by itself: a worker that was cut off goes on if nobody has taken its trial.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from service.errors import LeaseLost
from service.leases.known import Known, KnownTrial
from service.leases.rows import fetch

RENEW = """
update lease set expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
 where trial_id = %(trial)s and lease_id = %(lease)s
returning attempt, until, request, request_reason
"""


HOLDS = "select 1 from lease where trial_id = %(trial)s and lease_id = %(lease)s"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a worker about the trial that it runs, and the connection to serve it on."""

    connection: AsyncConnection[Any]
    known: Known
    trial: KnownTrial
    lease_id: UUID

    @property
    def key(self) -> dict[str, Any]:
        """What every fenced statement names."""
        return {"trial": self.trial.id, "lease": self.lease_id}


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that was found held: its milestone, and what is asked of its worker."""

    attempt: int
    until: int | None
    request: str | None
    request_reason: str | None


def lost(trial: KnownTrial) -> LeaseLost:
    """The error of a worker whose lease is no longer the trial's."""
    return LeaseLost(f"trial {trial.number}: another attempt has begun, or the trial has ended")


async def renew(call: Call) -> Held:
    """Extend the lease to its full length; raises LeaseLost."""
    values = {**call.key, "seconds": call.trial.study.lease_seconds}
    held = await fetch(call.connection, Held, RENEW, values)
    if held is None:
        raise lost(call.trial)
    return held


async def holds(call: Call) -> bool:
    """Whether the lease is the trial's; it is not renewed."""
    return await (await call.connection.execute(HOLDS, call.key)).fetchone() is not None
