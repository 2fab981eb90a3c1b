"""What a person does to single trials: cancel one, run one again."""

from typing import Any

from psycopg import AsyncConnection

from search.trial import TrialState
from service.errors import NotFound, WrongState
from service.leases.consequences import follow
from service.leases.ending import Ending, Seen, end
from service.leases.known import Known, KnownTrial
from service.trials.enqueue import Place, check_going_on, enqueue

STATE = "select state from trial where id = %s"
CONFIG = "select state, config, context from trial where id = %s"


async def cancel(
    connection: AsyncConnection[Any], known: Known, trial: KnownTrial, reason: str
) -> None:
    """End a trial that has not ended yet; its worker, if it has one, hears 409 at its next call.

    A repeat does nothing.  Raises WrongState for a trial that ended in another way.
    """
    while True:
        state = TrialState(await _one(connection, STATE, trial))
        if state is TrialState.CANCELLED:
            return
        if state.final:
            raise WrongState(f"trial {trial.number} has ended: it is {state}")
        ending = Ending(
            state=TrialState.CANCELLED, end_reason="cancelled", reason=reason, forget=True
        )
        count = await end(connection, Seen(trial_id=trial.id, state=state), ending)
        if count is not None:
            spec = await known.spec(connection, trial.study.id, trial.spec_version)
            await follow(connection, spec.problem, None, count, state=TrialState.CANCELLED)
            return


async def retry(connection: AsyncConnection[Any], trial: KnownTrial) -> Place:
    """Queue the config of an ended trial again, as a new trial, in the caller's transaction.

    Raises WrongState for a trial that may still end by itself, and for a study that has ended.
    """
    row = await (await connection.execute(CONFIG, (trial.id,))).fetchone()
    if row is None:
        raise NotFound("no such trial")
    if not TrialState(row[0]).final:
        raise WrongState(f"trial {trial.number} is {row[0]}: only an ended one is run again")
    origin = {"by": "retry", "of": trial.number}
    (made,) = await enqueue(
        connection, trial.study.id, [row[1]], True, origin, context=row[2], retry_of=trial.id
    )
    await check_going_on(connection, trial.study.id)
    return made


async def _one(connection: AsyncConnection[Any], query: str, trial: KnownTrial) -> str:
    row = await (await connection.execute(query, (trial.id,))).fetchone()
    if row is None:
        raise NotFound("no such trial")
    return str(row[0])
