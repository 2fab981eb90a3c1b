"""ask: give a worker a trial to run, and wait for one if need be."""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation

from search.context import same_context
from service.db.engine import HotPool
from service.errors import LeaseInUse, LeaseLost, NotFound, StudyEnded, StudyPaused
from service.leases.claim import (
    Claimed,
    Wish,
    claim_queued,
    drop_taken,
    find_lease,
    take_suggestion,
)
from service.leases.demands import StudyStanding, demand, met, none_left, standing_of
from service.leases.known import Known, KnownStudy, KnownTrial
from service.leases.milestones import milestone
from service.studies.completion import complete_if_done
from service.studies.spec import Spec
from service.suggester.ready import POLL_SECONDS, Ready

RETRY_SECONDS = 1.0  # what a worker that got nothing is told to wait
LEASE_ID_USED = frozenset({"uq_attempt_lease_id", "uq_lease_lease_id"})
CONFIG_TAKEN = "uq_trial_study_id_config_hash"

OWNER = """
select t.study_id from attempt a join trial t on t.id = a.trial_id where a.lease_id = %s
"""
RENEW = """
update lease set expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
 where trial_id = %(trial)s and lease_id = %(lease)s
"""
BEGUN = "update study set started_at = clock_timestamp() where id = %s and started_at is null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A trial, the lease on it, and its first milestone (None: there is none)."""

    claimed: Claimed
    until: int | None
    spec: Spec


class Asking:
    """The ask call; one for a process."""

    def __init__(self, hot: HotPool, known: Known, ready: Ready) -> None:
        self._hot = hot
        self._known = known
        self._ready = ready

    async def ask(self, study: KnownStudy, wish: Wish) -> Taken | None:
        """A trial, or None when none came in time; the same lease id gets the same trial.

        Raises StudyPaused, StudyEnded (also when nothing is left to try in this context), NotFound,
        LeaseLost when the lease id's trial has ended or moved on, and LeaseInUse when it was used
        in another study or another context.
        """
        deadline = time.monotonic() + wish.wait
        waited = False
        while True:
            woken = self._ready.soon(study.id)
            try:
                found = await self._try(study, wish, deadline, waited=waited)
                if isinstance(found, Taken):
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                waited = True
                await asyncio.wait((woken,), timeout=min(left, POLL_SECONDS))
            finally:
                self._ready.forget(study.id, woken)

    async def _try(
        self, study: KnownStudy, wish: Wish, deadline: float, *, waited: bool
    ) -> Taken | None:
        async with self._hot.connection() as connection:
            claimed = await self._claim(connection, study, wish)
            if claimed is not None:
                if waited:
                    await met(connection, wish.lease_id)
                return await self._taken(connection, study, claimed)
            standing = check_open(await standing_of(connection, study.id, wish.context))
            if standing.over:
                async with connection.transaction():
                    await complete_if_done(connection, study.id)
                standing = check_open(await standing_of(connection, study.id, wish.context))
            if standing.used_up and await none_left(connection, study.id, wish.context):
                text = "every config of the space has been tried in this context"
                raise StudyEnded(f"the study goes on, but {text}", reason=text)
            if not standing.full and not standing.spent:
                left = max(0.0, deadline - time.monotonic())
                await demand(connection, study.id, wish, left)
            return None

    async def _claim(
        self, connection: AsyncConnection[Any], study: KnownStudy, wish: Wish
    ) -> Claimed | None:
        """A trial that was waiting, a new one, or the one that this lease id took before."""
        while True:
            try:
                claimed = await claim_queued(connection, study, wish) or await take_suggestion(
                    connection, study, wish
                )
            except UniqueViolation as error:
                if error.diag.constraint_name == CONFIG_TAKEN:
                    await drop_taken(connection, study.id)
                    continue
                if error.diag.constraint_name not in LEASE_ID_USED:
                    raise
                return await self._again(connection, study, wish)
            return claimed or await self._again(connection, study, wish)

    async def _again(
        self, connection: AsyncConnection[Any], study: KnownStudy, wish: Wish
    ) -> Claimed | None:
        claimed = await find_lease(connection, study, wish.lease_id)
        if claimed is not None:
            if not same_context(claimed.context or {}, wish.context):
                raise LeaseInUse("this lease id was used in another context")
            renewal = {
                "seconds": study.lease_seconds,
                "trial": claimed.id,
                "lease": wish.lease_id,
            }
            await connection.execute(RENEW, renewal)
            return replace(claimed, lease_seconds=study.lease_seconds)
        row = await (await connection.execute(OWNER, (wish.lease_id,))).fetchone()
        if row is None:
            return None
        if row[0] != study.id:
            raise LeaseInUse("this lease id was used in another study")
        raise LeaseLost("the trial of this lease id has ended or moved on: ask with a new one")

    async def _taken(
        self, connection: AsyncConnection[Any], study: KnownStudy, claimed: Claimed
    ) -> Taken:
        trial = KnownTrial(
            claimed.id,
            claimed.public_id,
            claimed.number,
            claimed.spec_version,
            study,
            claimed.planned,
        )
        self._known.remember_trial(trial)
        if not self._known.begun.get(study.id):
            await connection.execute(BEGUN, (study.id,))
            self._known.begun.put(study.id, True)
        spec = await self._known.spec(connection, study.id, claimed.spec_version)
        self._known.until.put(claimed.id, claimed.until)
        until = milestone(claimed.until, spec, trial)
        return Taken(claimed=claimed, until=until, spec=spec)


def check_open(standing: StudyStanding | None) -> StudyStanding:
    """Raise unless a trial may still come.

    While a trial is queued or running, a spent budget is no end: its worker may be lost and the
    trial come back.  When the last one ends, so does the study.
    """
    if standing is None or standing.deleted:
        raise NotFound("no such study")
    if standing.state in {"stopped", "completed"}:
        reason = standing.state_reason or standing.state
        raise StudyEnded(f"the study is {standing.state}: {reason}", reason=reason)
    if standing.state == "paused":
        raise StudyPaused(
            f"the study is paused: {standing.state_reason or 'by a person'}",
            reason=standing.state_reason,
        )
    return standing
