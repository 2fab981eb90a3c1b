"""Queued trials: configs to be run before any suggestion; they count in the budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from search.errors import InvalidConfig
from search.space import SearchSpace
from search.values import Config, Value
from service.errors import ConfigExists, InvalidRequest, WrongState
from service.trials.context import stored
from service.trials.identity import config_hash, new_trial_id

# Suggestions of the same configs are of no use any more.  They are locked before the counter, as an
# ask does.
FORGET = "delete from suggestion where study_id = %(study)s and config_hash = any(%(hashes)s)"
TAKE_NUMBERS = """
update study_counter
   set next_number = next_number + %(count)s, version = version + 1,
       finished = finished + %(finished)s, imported = imported + %(finished)s
 where study_id = %(study)s
returning next_number - %(count)s, version
"""
INSERT = """
with made as (
  insert into trial (public_id, study_id, number, spec_version, state, config, context,
                     config_hash, replicate, origin, retry_of, planned, changed_version)
  select n.public_id, s.id, %(first)s + (n.place - 1)::int, s.spec_version, 'queued', n.config,
         %(context)s, n.hash, %(replicate)s, %(origin)s, %(retry_of)s,
         (select planned from trial where id = %(retry_of)s), %(version)s
    from study s, unnest(%(ids)s::text[], %(configs)s::jsonb[], %(hashes)s::bytea[])
         with ordinality as n (public_id, config, hash, place)
   where s.id = %(study)s
  returning id, study_id
)
insert into event (study_id, trial_id, kind, detail)
select study_id, id, 'trial_queued', %(origin)s from made
"""
TAKEN = """
select config_hash from trial
 where study_id = %(study)s and config_hash = any(%(hashes)s) and not replicate
"""
STATE = "select state from study where id = %s for share"


@dataclass(frozen=True, slots=True)
class Place:
    """A trial that was made."""

    id: str
    number: int


async def enqueue(
    connection: AsyncConnection[Any],
    study_id: int,
    configs: Sequence[Config],
    replicate: bool,
    origin: Mapping[str, Any],
    *,
    context: Config | None = None,
    retry_of: int | None = None,
) -> list[Place]:
    """Queue checked configs, all in one context, in the caller's transaction, in the order given.

    They are full runs, except that a retry runs as far as what it is a retry of.

    Raises ConfigExists, unless `replicate`, when the study has one of them already.
    """
    hashes = [config_hash(config, context) for config in configs]
    if not replicate:
        await check_new(connection, study_id, hashes)
    first, version = await take_numbers(connection, study_id, hashes)
    ids = [new_trial_id() for _ in configs]
    values = {
        "study": study_id,
        "first": first,
        "version": version,
        "context": stored(context or {}),
        "replicate": replicate,
        "origin": Jsonb(dict(origin)),
        "retry_of": retry_of,
        "ids": ids,
        "configs": [Jsonb(dict(config)) for config in configs],
        "hashes": hashes,
    }
    try:
        await connection.execute(INSERT, values)
    except UniqueViolation:
        raise ConfigExists("the study has just got a trial with one of these configs") from None
    return [Place(public_id, number) for number, public_id in enumerate(ids, first)]


async def take_numbers(
    connection: AsyncConnection[Any], study_id: int, hashes: Sequence[bytes], *, finished: int = 0
) -> tuple[int, int]:
    """Take a number for each config: the first of them, and the study's new version.

    `finished` of them were run elsewhere, and stand outside the budget.
    """
    values = {"study": study_id, "hashes": list(hashes), "count": len(hashes), "finished": finished}
    await connection.execute(FORGET, values)
    row = await (await connection.execute(TAKE_NUMBERS, values)).fetchone()
    if row is None:
        raise LookupError(f"study {study_id} has no counter")
    return row[0], row[1]


async def check_new(
    connection: AsyncConnection[Any], study_id: int, hashes: Sequence[bytes]
) -> None:
    """Raise ConfigExists, naming the first culprit, unless all configs are new to the study."""
    rows = await (
        await connection.execute(TAKEN, {"study": study_id, "hashes": list(hashes)})
    ).fetchall()
    taken = {bytes(row[0]) for row in rows}
    for place, digest in enumerate(hashes):
        if digest in taken:
            raise ConfigExists(f"configs.{place}: the study has a trial with this config")
        taken.add(digest)


async def check_going_on(connection: AsyncConnection[Any], study_id: int) -> None:
    """Raise WrongState for a study that has ended; it does not end before the caller commits.

    The study's row comes last: trial, lease, study_counter, study.
    """
    row = await (await connection.execute(STATE, (study_id,))).fetchone()
    if row is None or row[0] not in {"active", "paused"}:
        state = "gone" if row is None else row[0]
        raise WrongState(f"the study is {state}: it takes no more trials")


def check_configs(
    space: SearchSpace, configs: Sequence[Config], field: str = "configs.{}"
) -> list[dict[str, Value]]:
    """The configs as the space holds them; raises InvalidRequest, naming the culprit."""
    return [_check(space, config, field.format(place)) for place, config in enumerate(configs)]


def _check(space: SearchSpace, config: Config, field: str) -> dict[str, Value]:
    try:
        return space.check(config)
    except InvalidConfig as error:
        name = f"{field}.{error.parameter}" if error.parameter else field
        problem = {"in": "body", "field": name, "message": str(error), "kind": "config"}
        raise InvalidRequest(f"{name}: {error}", errors=[problem]) from None
