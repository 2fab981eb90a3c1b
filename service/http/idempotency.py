"""One effect for a request that is sent twice: its answer is kept in the work's transaction.

A client that has heard no answer sends the request again with the same Idempotency-Key, within 24
hours, and gets the answer of the first time.  A key is its project's; the same key with another
request is refused.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from service.auth.deps import Writer
from service.db.rows import fetch_one
from service.errors import IdempotencyMismatch

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="made by the client; a repeat with the same key gets the first answer",
    ),
]

# Two requests with one key wait for each other, and the second then finds the first one's answer.
LOCK = "select pg_advisory_xact_lock(hashtextextended(%(key)s, %(project)s))"
FIND = """
select request_hash, status, body from idempotency
 where project_id = %(project)s and key = %(key)s
"""
KEEP = """
insert into idempotency (project_id, key, request_hash, status, body)
values (%(project)s, %(key)s, %(fingerprint)s, %(status)s, %(body)s)
"""


@dataclass(frozen=True)
class Once:
    """A request that may have been sent before; without a key it never was."""

    project_id: int
    key: str | None
    fingerprint: bytes

    async def answered(self, connection: AsyncConnection[Any]) -> Any | None:
        """The body of the first answer, if there was one; raises IdempotencyMismatch.

        Call it first in the transaction that does the work.
        """
        if self.key is None:
            return None
        values = {"key": self.key, "project": self.project_id}
        await connection.execute(LOCK, values)
        row = await fetch_one(connection, FIND, values)
        if row is None:
            return None
        if bytes(row["request_hash"]) != self.fingerprint:
            raise IdempotencyMismatch(f"{self.key!r:.80} was used for another request")
        return row["body"]

    async def keep(self, connection: AsyncConnection[Any], *, status: int, body: Any) -> None:
        """Keep the answer; call it last in that transaction.  `body` is plain JSON."""
        if self.key is not None:
            values = {
                "project": self.project_id,
                "key": self.key,
                "fingerprint": self.fingerprint,
                "status": status,
                "body": Jsonb(body),
            }
            await connection.execute(KEEP, values)


async def _once(request: Request, caller: Writer, idempotency_key: IdempotencyKey = None) -> Once:
    """What tells this request from another one with the same key."""
    text = f"{request.method} {request.url.path}\n".encode() + await request.body()
    return Once(caller.project_id, idempotency_key, hashlib.sha256(text).digest())


OnlyOnce = Annotated[Once, Depends(_once)]
