"""Looking up keys: a row of the database, remembered for a few seconds.

A remembered key saves a query on every call of a worker.  The price: a key that is revoked, or that
expires, goes on working for at most REMEMBERED seconds on a replica that has just seen it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.auth.keys import public_part, verify
from service.auth.principal import Principal
from service.db.engine import HotPool

REMEMBERED = 5.0  # seconds
LARGEST = 10_000  # keys remembered at once

FIND = """
select id, project_id, public_id, name, scopes, digest, expires_at,
       revoked_at is null and coalesce(expires_at > clock_timestamp(), true) as good,
       coalesce(last_used_at < clock_timestamp() - interval '1 minute', true) as due
  from api_key where public_id = %s
"""
# Conditional, so that of many replicas one writes and the row changes at most once a minute.
TOUCH = """
update api_key set last_used_at = clock_timestamp()
 where id = %s and coalesce(last_used_at < clock_timestamp() - interval '1 minute', true)
"""


@dataclass(frozen=True)
class KnownKey:
    """A key as it was when it was last read."""

    principal: Principal
    digest: bytes
    good: bool
    read_at: float


class Keyring:
    """The keys that this process has lately seen."""

    def __init__(
        self, pool: HotPool, *, pepper: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool = pool
        self._pepper = pepper
        self._clock = clock
        self._known: dict[str, KnownKey] = {}

    async def find(self, key: str) -> KnownKey | None:
        """The key, if it is one of ours and neither revoked nor expired."""
        public = public_part(key)
        if public is None:
            return None
        known = self._known.get(public)
        if known is None or self._clock() - known.read_at > REMEMBERED:
            known = await self._read(key, public)
        if known is None or not verify(key, known.digest, self._pepper):
            return None
        return known if known.good else None

    def forget(self, public_id: str) -> None:
        """Read the key anew at its next use, as when this replica has just revoked it."""
        self._known.pop(public_id, None)

    async def _read(self, key: str, public: str) -> KnownKey | None:
        now = self._clock()
        async with self._pool.connection() as connection:
            row = await (await connection.execute(FIND, (public,))).fetchone()
            if row is None:
                self._known.pop(public, None)
                return None
            known = _known(row, now)
            if known.good and row[8] and verify(key, known.digest, self._pepper):
                await connection.execute(TOUCH, (known.principal.key_id,))
        self._remember(public, known)
        return known

    def _remember(self, public: str, known: KnownKey) -> None:
        if len(self._known) >= LARGEST:
            self._known.clear()
        self._known[public] = known


def _known(row: tuple[Any, ...], now: float) -> KnownKey:
    principal = Principal(
        key_id=row[0],
        project_id=row[1],
        public_id=row[2],
        name=row[3],
        scopes=frozenset(row[4]),
        expires_at=row[6],
    )
    return KnownKey(principal=principal, digest=bytes(row[5]), good=row[7], read_at=now)
